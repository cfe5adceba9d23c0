"""From a table with a real-valued target to examples: checks, split, preprocessing fitted on the training split."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from kd_uncertainty.errors import UserError
from kd_uncertainty.tasks.options import SPLITS, TableOptions
from kd_uncertainty.tasks.preprocessing import preprocess
from kd_uncertainty.tasks.sources import Task, checked_table, random_state, table_digest

_FEWEST_EXAMPLES = 10
_LARGEST_TARGET = 1e15  # its square, summed over millions of rows, keeps digits to spare in float64
_FEW_VALUES = 10

logger = logging.getLogger(__name__)


def prepare_regression(source: pd.DataFrame, options: TableOptions) -> Task:
    """Turn a table into examples with a seeded random split; targets keep the units of the source.

    Inputs are prepared as for classification: numeric columns imputed by the median and, if asked, standardised; all
    others imputed by their most frequent value and one-hot encoded; everything fitted on the training split only.

    Returns:
        ``examples`` with columns example_id (the row's position in the source), split, inputs (list of float32) and
        target (float64); and the task's description, with mean and standard deviation (ddof 0) of the training targets.

    Raises:
        UserError: if the table cannot be used; the message names the column and the mend.
    """
    frame = checked_table(source, options, needs="regression needs numbers")
    targets = _targets(frame[options.target], options.target)
    split = _split(len(frame), options)
    train = np.flatnonzero(split == "train")
    if np.ptp(targets[train]) == 0.0:
        raise UserError(
            f"source table: target column '{options.target}' has a single value ({targets[0]:g}) in the training "
            "split; nothing to learn"
        )
    inputs, names = preprocess(frame.drop(columns=[options.target]), train, options)
    examples = pd.DataFrame(
        {
            "example_id": np.arange(len(frame), dtype=np.int64),
            "split": split,
            "inputs": list(inputs),
            "target": targets,
        }
    )
    counts = examples["split"].value_counts()
    description: dict[str, Any] = {
        "kind": "regression",
        "target": options.target,
        "num_inputs": len(names),
        "features": names,
        "num_examples": {name: int(counts[name]) for name in SPLITS},
        "target_mean": float(targets[train].mean()),
        "target_std": float(targets[train].std()),
        "seed": options.seed,
        "source_digest": table_digest(frame),
    }
    return Task(examples, description)


def _targets(values: pd.Series[Any], column: str) -> NDArray[np.float64]:
    """The target column as float64."""
    where = f"source table: target column '{column}'"
    missing = int(values.isna().sum())
    if missing:
        rows = "1 row" if missing == 1 else f"{missing} rows"
        raise UserError(f"{where} is empty in {rows}; fill or remove them")
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        raise UserError(
            f"{where} holds {pd.api.types.infer_dtype(values)} values, and regression needs numbers; name another "
            "column in ingestion.target, or run the classification study"
        )
    numbers = values.to_numpy(dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise UserError(f"{where} holds infinite values; replace or remove them")
    if np.abs(numbers).max() > _LARGEST_TARGET:
        raise UserError(f"{where} holds numbers beyond {_LARGEST_TARGET:g}; rescale it")
    if len(np.unique(numbers)) < _FEW_VALUES < len(numbers):
        logger.warning(
            "%s has only %s different values: are these classes? Then run the classification study",
            where,
            len(np.unique(numbers)),
        )
    return numbers


def _split(num_examples: int, options: TableOptions) -> NDArray[np.object_]:
    """Assign every row to train, validation or test at random."""
    if num_examples < _FEWEST_EXAMPLES:
        raise UserError(
            f"source table: {num_examples} examples are too few to split and fit; give it at least {_FEWEST_EXAMPLES}"
        )
    rows = np.arange(num_examples)
    share = options.validation_fraction / (1.0 - options.test_fraction)
    rest, test = train_test_split(rows, test_size=options.test_fraction, random_state=random_state(options.seed, 2))
    try:
        _, validation = train_test_split(rest, test_size=share, random_state=random_state(options.seed, 3))
    except ValueError as error:
        raise UserError(
            f"source table: {num_examples} examples cannot be split ({error}); raise ingestion.validation_fraction and "
            "test_fraction, or add examples"
        ) from error
    split = np.full(num_examples, "train", dtype=object)
    split[validation], split[test] = "validation", "test"
    return split
