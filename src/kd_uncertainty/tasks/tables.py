"""From a table to examples: checks, split, label noise, preprocessing fitted on the training split only."""

from __future__ import annotations

import hashlib
import logging
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from kd_uncertainty.errors import UserError
from kd_uncertainty.tasks.bundled import LABEL_NOISE
from kd_uncertainty.tasks.options import SPLITS, IngestionOptions

# train_test_split needs a member of every class on both sides of both cuts.
_SMALLEST_CLASS = 3
_MANY_CATEGORIES = 100
_LARGEST_INPUT = 1e150  # its square, as the variance needs it, is still far from the end of float64
_COLLECTIONS = (list, tuple, dict, set, frozenset, np.ndarray)
_REFUSED = {
    "date": "dates",
    "datetime": "dates",
    "datetime64": "dates",
    "period": "dates",
    "timedelta": "durations",
    "timedelta64": "durations",
    "complex": "complex numbers",
}
"""What pandas infers of a column that is neither a number nor a category, and what to call it."""

logger = logging.getLogger(__name__)


class Task(NamedTuple):
    """Examples, one row each, and what is known about the task as a whole (JSON-safe)."""

    examples: pd.DataFrame
    description: dict[str, Any]


def prepare_task(source: pd.DataFrame, options: IngestionOptions) -> Task:
    """Turn a table into examples with a seeded stratified split.

    Numeric columns are imputed by the median and, if asked, standardised; all others are imputed by their most frequent
    value and one-hot encoded. Both are fitted on the training split only. ``example_id`` is the row's position in the
    source. Column names that are not text stand for their text; dropped columns may hold anything.

    Returns:
        ``examples`` with columns example_id, split, inputs (list of float32), target (class index, after label noise),
        source_target (before) and label_flipped; and the task's description: sizes, class and input names.

    Raises:
        UserError: if the table cannot be used; the message names the column and the mend.
    """
    frame = _checked(source, options)
    classes, labels = _encode_target(frame[options.target], options.target)
    features = frame.drop(columns=[options.target])
    split = _split(labels, classes, options)
    train = np.flatnonzero(split == "train")
    inputs, names = _preprocess(features, train, options)
    noise = source.attrs.get(LABEL_NOISE, 0.0) if options.label_noise is None else options.label_noise
    noisy = flip_labels(labels, train, len(classes), noise, options.seed)
    examples = pd.DataFrame(
        {
            "example_id": np.arange(len(frame), dtype=np.int64),
            "split": split,
            "inputs": list(inputs),
            "target": noisy,
            "source_target": labels,
            "label_flipped": noisy != labels,
        }
    )
    description = _describe(examples, classes, names, options)
    return Task(examples, description | {"label_noise": noise, "source_digest": table_digest(frame)})


def table_digest(table: pd.DataFrame) -> str:
    """Sixteen hexadecimal digits of a table's column names and values, so that a report can say what it is about."""
    digest = hashlib.blake2b("\x00".join(map(str, table.columns)).encode(), digest_size=8)
    digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    return digest.hexdigest()


def flip_labels(
    labels: NDArray[np.int64], rows: NDArray[np.int64], num_classes: int, fraction: float, seed: int
) -> NDArray[np.int64]:
    """Give ``round(fraction * len(rows))`` of the rows another class, each of the others equally likely."""
    generator = np.random.default_rng([seed, 1])
    chosen = generator.choice(rows, size=round(fraction * len(rows)), replace=False)
    noisy = labels.copy()
    noisy[chosen] = (labels[chosen] + generator.integers(1, num_classes, size=len(chosen))) % num_classes
    return noisy


def _checked(source: pd.DataFrame, options: IngestionOptions) -> pd.DataFrame:
    """The table without the dropped columns, once everything about it that could be wrong is known to be right."""
    frame = _with_text_names(source)
    columns = ", ".join(map(str, frame.columns))
    if options.target not in frame.columns:
        raise UserError(
            f"source table: target column '{options.target}' is missing (columns: {columns}); set ingestion.target"
        )
    unknown = [column for column in options.drop_columns if column not in frame.columns]
    if unknown:
        raise UserError(f"source table: ingestion.drop_columns names {unknown}, which it lacks (columns: {columns})")
    if options.target in options.drop_columns:
        raise UserError(f"ingestion.drop_columns: holds the target column '{options.target}'; take it out")
    frame = frame.drop(columns=list(options.drop_columns)).reset_index(drop=True)
    if frame.columns.duplicated().any():
        raise UserError(f"source table: column '{frame.columns[frame.columns.duplicated()][0]}' is there twice")
    if frame.empty:
        raise UserError("source table: has 0 rows; give it examples")
    if frame.shape[1] == 1:
        raise UserError("source table: has no input column beside the target")
    if _holds_collections(frame[options.target]):
        raise UserError(
            f"source table: target column '{options.target}' holds lists or other collections, and classification "
            "needs classes; name another column in ingestion.target"
        )
    for column in frame.columns.drop(options.target):
        _check_input(frame[column])
    return frame


def _with_text_names(source: pd.DataFrame) -> pd.DataFrame:
    frame = pd.DataFrame(source).rename(columns=str)
    for name in frame.columns[frame.columns.duplicated()]:
        same = [column for column in source.columns if str(column) == name]
        if len(set(same)) > 1:
            raise UserError(
                f"source table: columns {' and '.join(map(repr, same))} have the same name once it is text; rename one"
            )
    return frame


def _holds_collections(values: pd.Series[Any]) -> bool:
    return not pd.api.types.is_numeric_dtype(values) and any(isinstance(value, _COLLECTIONS) for value in values)


def _check_input(values: pd.Series[Any]) -> None:
    where = f"source table: column '{values.name}'"
    if values.isna().all():
        raise UserError(f"{where} has no value at all (all NaN); list it in ingestion.drop_columns")
    content = _REFUSED.get(pd.api.types.infer_dtype(values, skipna=True))
    if _holds_collections(values):
        content = "lists or other collections"
    if content:
        raise UserError(f"{where} holds {content}; turn it into numbers, or list it in ingestion.drop_columns")
    if not pd.api.types.is_numeric_dtype(values):
        return
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(numbers).any():
        raise UserError(f"{where} holds infinite values; replace them, or leave them empty to be imputed")
    if (np.abs(numbers) > _LARGEST_INPUT).any():
        raise UserError(_too_large(str(values.name), "its numbers go beyond 1e150"))


def _too_large(column: str, why: str) -> str:
    return (
        f"source table: column '{column}' holds values that are too large ({why}); rescale or replace them, or list it "
        "in ingestion.drop_columns"
    )


def _encode_target(values: pd.Series[Any], column: str) -> tuple[list[str], NDArray[np.int64]]:
    """Class names in sorted order and each row's class index."""
    missing = int(values.isna().sum())
    if missing:
        rows = "1 row" if missing == 1 else f"{missing} rows"
        # Fewer would be too few for a class of that name, and a column of numbers had no such text.
        text = missing >= _SMALLEST_CLASS and not pd.api.types.is_numeric_dtype(values)
        hint = " (pandas reads texts such as NA as empty: load_args: {keep_default_na: false} keeps them)"
        raise UserError(
            f"source table: target column '{column}' is empty in {rows}; fill or remove them{hint if text else ''}"
        )
    found = pd.unique(values)
    if len(found) < 2:
        raise UserError(f"source table: target column '{column}' has a single class ({found[0]}); nothing to learn")
    try:
        ordered = sorted(found)
    except TypeError:
        ordered = sorted(found, key=str)
    if pd.api.types.is_float_dtype(values) and not np.equal(np.mod(values, 1), 0).all():
        raise UserError(
            f"source table: target column '{column}' holds real numbers, and classification needs classes; "
            "name another column in ingestion.target"
        )
    if len(values) < _SMALLEST_CLASS * len(ordered):
        raise UserError(
            f"source table: {len(values)} examples for {len(ordered)} classes of column '{column}'; each class needs "
            f"at least {_SMALLEST_CLASS}, one for each split (is '{column}' an identifier?)"
        )
    index = {value: code for code, value in enumerate(ordered)}
    return [str(value) for value in ordered], np.array([index[value] for value in values], dtype=np.int64)


def _split(labels: NDArray[np.int64], classes: list[str], options: IngestionOptions) -> NDArray[np.object_]:
    """Assign every row to train, validation or test with the classes' shares kept."""
    counts = np.bincount(labels, minlength=len(classes))
    if counts.min() < _SMALLEST_CLASS:
        raise UserError(
            f"source table: class '{classes[int(counts.argmin())]}' has {counts.min()} examples; each class needs "
            f"at least {_SMALLEST_CLASS}, one for each split: add examples or merge the class"
        )
    rows = np.arange(len(labels))
    try:
        rest, test = train_test_split(
            rows, test_size=options.test_fraction, stratify=labels, random_state=_state(options.seed, 2)
        )
        share = options.validation_fraction / (1.0 - options.test_fraction)
        _, validation = train_test_split(
            rest, test_size=share, stratify=labels[rest], random_state=_state(options.seed, 3)
        )
    except ValueError as error:
        raise UserError(
            f"source table: {len(labels)} examples cannot be split with all {len(classes)} classes in every split "
            f"({error}); raise ingestion.validation_fraction and test_fraction, or add examples"
        ) from error
    split = np.full(len(labels), "train", dtype=object)
    split[validation], split[test] = "validation", "test"
    return split


def _state(seed: int, purpose: int) -> int:
    """A 32-bit state for scikit-learn, independent for each purpose."""
    return int(np.random.SeedSequence([seed, purpose]).generate_state(1)[0])


def _preprocess(
    features: pd.DataFrame, train: NDArray[np.int64], options: IngestionOptions
) -> tuple[NDArray[np.float32], list[str]]:
    """Impute, scale and encode; everything is fitted on the training rows."""
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
            raise UserError(_too_large(column, "float32, which networks compute in, ends at 3.4e38"))
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


def _describe(
    examples: pd.DataFrame, classes: list[str], names: list[str], options: IngestionOptions
) -> dict[str, Any]:
    counts = examples["split"].value_counts()
    return {
        "target": options.target,
        "num_inputs": len(names),
        "num_classes": len(classes),
        "classes": classes,
        "features": names,
        "num_examples": {split: int(counts[split]) for split in SPLITS},
        "num_flipped": int(examples["label_flipped"].sum()),
        "seed": options.seed,
    }
