"""From columns to numbers, everything fitted on the training split only."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from kd_uncertainty.errors import UserError
from kd_uncertainty.tasks.options import TableOptions
from kd_uncertainty.tasks.sources import too_large

_MANY_CATEGORIES = 100

logger = logging.getLogger(__name__)


def preprocess(
    features: pd.DataFrame, train: NDArray[np.int64], options: TableOptions
) -> tuple[NDArray[np.float32], list[str]]:
    """Impute, scale and encode; everything is fitted on the training rows.

    Numeric columns are imputed by the median and, if asked, standardised; all others are imputed by their most frequent
    value and one-hot encoded.

    Returns:
        Inputs (rows, inputs) float32, and their names.

    Raises:
        UserError: if a column is empty in the training rows, or beyond float32; it is named.
    """
    numeric = [str(c) for c in features if pd.api.types.is_numeric_dtype(features[c]) and features[c].dtype != bool]
    other = [str(c) for c in features if c not in numeric]
    for column in features:
        if features[column].iloc[train].isna().all():
            raise UserError(
                f"source table: column '{column}' has no value in the training split; list it in ingestion.drop_columns"
            )
    prepared = features.copy()
    for column in numeric:
        prepared[column] = prepared[column].to_numpy(dtype=np.float64, na_value=np.nan)
    for column in other:
        values = features[column]
        texts = [None if missing else str(value) for value, missing in zip(values, values.isna(), strict=True)]
        prepared[column] = pd.Series(texts, index=features.index, dtype=object)
    scale = [StandardScaler()] if options.standardise else []
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    fill = SimpleImputer(strategy="most_frequent", missing_values=None)
    transformer = ColumnTransformer(
        [
            ("numeric", make_pipeline(SimpleImputer(strategy="median"), *scale), numeric),
            ("categorical", Pipeline([("fill", fill), ("encode", encoder)]), other),
        ]
    )
    transformer.fit(prepared.iloc[train])
    with np.errstate(over="ignore"):  # what overflows becomes infinite, which is refused by name
        inputs = np.asarray(transformer.transform(prepared), dtype=np.float32)
    for position, column in enumerate(numeric):
        if not np.isfinite(inputs[:, position]).all():
            raise UserError(too_large(column, "float32, which networks compute in, ends at 3.4e38"))
    names = list(numeric)
    if other:
        fitted = transformer.named_transformers_["categorical"]["encode"]
        _warn_of_many({column: len(found) for column, found in zip(other, fitted.categories_, strict=True)})
        names += [str(name) for name in fitted.get_feature_names_out(other)]
    return inputs, _unique(names)


def _unique(names: list[str]) -> list[str]:
    """The names, with a number behind each that has occurred: category b of column a may meet a column a_b."""
    unique: dict[str, None] = {}
    for name in names:
        free, number = name, 2
        while free in unique or (free != name and free in names):
            free, number = f"{name}_{number}", number + 1
        unique[free] = None
    return list(unique)


def _warn_of_many(categories: dict[str, int]) -> None:
    many = [f"'{column}' ({count})" for column, count in categories.items() if count > _MANY_CATEGORIES]
    if many:
        logger.warning(
            "source table: more than %s one-hot inputs from column %s: an identifier or a date? If so, list it in "
            "ingestion.drop_columns",
            _MANY_CATEGORIES,
            ", ".join(many),
        )
