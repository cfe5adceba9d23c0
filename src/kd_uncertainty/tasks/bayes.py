"""The class probabilities P(c | x) that a source table brings along: one column a class, checked and in order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_uncertainty.errors import UserError

_SUM_TOLERANCE = 1e-4  # texts with five digits still count as normalised

Floats = NDArray[np.float64]


def probability_columns(frame: pd.DataFrame, prefix: str) -> list[str]:
    """Columns that hold class probabilities: those whose name begins with the prefix."""
    return [column for column in map(str, frame.columns) if column.startswith(prefix)]


def read_probabilities(columns: pd.DataFrame, classes: Sequence[str], prefix: str) -> Floats | None:
    """Class probabilities (rows, classes) in order of the classes; None if there are no columns.

    Args:
        columns: columns ``prefix + class`` in any order.
        classes: names of the classes.
        prefix: what the columns' names begin with.

    Raises:
        UserError: if a class has no column or a column no class, or a row is not a distribution; it is named.
    """
    if columns.empty:
        return None
    wanted = [f"{prefix}{name}" for name in classes]
    missing = [column for column in wanted if column not in columns]
    if missing:
        raise UserError(
            f"source table: columns '{prefix}...' are class probabilities, and column '{missing[0]}' is missing (there "
            f"are: {', '.join(map(str, columns))}); give every class one, or list them in ingestion.drop_columns"
        )
    unknown = [column for column in columns if column not in wanted]
    if unknown:
        raise UserError(
            f"source table: column '{unknown[0]}' is the probability of a class that no row has (classes: "
            f"{', '.join(classes)}); remove it, or set another ingestion.bayes_prefix if it is an input"
        )
    probabilities = np.stack([_numbers(columns[column]) for column in wanted], axis=1)
    sums = probabilities.sum(axis=1)
    worst = int(np.abs(sums - 1.0).argmax())
    if abs(sums[worst] - 1.0) > _SUM_TOLERANCE:
        raise UserError(
            f"source table: the class probabilities of row {worst} (columns '{prefix}...') sum to {sums[worst]:.6g}, "
            "not 1; normalise them"
        )
    return np.asarray(probabilities / sums[:, None])


def _numbers(values: pd.Series[float]) -> Floats:
    where = f"source table: column '{values.name}'"
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        raise UserError(f"{where} must hold probabilities, holds {pd.api.types.infer_dtype(values)} values")
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    if np.isnan(numbers).any():
        raise UserError(f"{where} has no value in row {int(np.isnan(numbers).argmax())}; fill or remove the row")
    if (numbers < 0.0).any():
        row = int((numbers < 0.0).argmax())
        raise UserError(f"{where} has a negative probability in row {row} ({numbers[row]:g}); mend it")
    return np.asarray(numbers)
