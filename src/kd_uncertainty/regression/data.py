"""A regression task as arrays, in the units of its source."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_uncertainty.errors import UserError

Floats = NDArray[np.float64]


class RegressionData(NamedTuple):
    """The training split and the split that predictions are measured on.

    Attributes:
        train_inputs: (examples, features).
        train_targets: (examples,), the data's own, in the source's units.
        test_inputs: (points, features).
        test_targets: (points,).
        target_mean: mean of the training targets.
        target_std: their standard deviation (ddof 0), by which networks see targets scaled.
    """

    train_inputs: Floats
    train_targets: Floats
    test_inputs: Floats
    test_targets: Floats
    target_mean: float
    target_std: float

    @property
    def target_variance(self) -> float:
        """Var(y_train) (ddof 0), the unit of noise multipliers, in squared units of the source."""
        return self.target_std**2

    def scaled(self, targets: Floats) -> Floats:
        """Return targets as networks learn them: mean 0 and variance 1 over the training split."""
        return (targets - self.target_mean) / self.target_std

    def unscaled(self, outputs: Floats) -> Floats:
        """Return a network's outputs in the source's units, the inverse of :meth:`scaled`."""
        return outputs * self.target_std + self.target_mean


def regression_data(examples: pd.DataFrame, split: str = "test") -> RegressionData:
    """Return the arrays of an examples table (example_id, split, inputs, target), rows in order of ``example_id``.

    Args:
        examples: of the regression study's ingestion stage.
        split: whose points the predictions are measured on.

    Raises:
        UserError: if the training targets are all the same.
    """
    ordered = examples.sort_values("example_id")
    inputs, targets = _arrays(ordered[ordered["split"] == "train"])
    std = float(targets.std())
    if not std > 0.0:
        raise UserError("regression: all training targets are the same number, so there is nothing to learn")
    return RegressionData(inputs, targets, *_arrays(ordered[ordered["split"] == split]), float(targets.mean()), std)


def _arrays(rows: pd.DataFrame) -> tuple[Floats, Floats]:
    return np.stack(rows["inputs"].to_list()).astype(np.float64), rows["target"].to_numpy(np.float64)
