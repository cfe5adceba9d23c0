"""Columns of exact figures, and estimates without an interval."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from kd_uncertainty.report.comparison import Estimate


def column(frame: pd.DataFrame, name: str) -> list[float]:
    """A column as floats; NaN where the table lacks it."""
    values = frame[name] if name in frame else pd.Series(np.nan, index=frame.index)
    return [float(value) for value in values]


def exactly(value: float) -> Estimate:
    """A figure that has no interval, as it is computed and not measured."""
    return Estimate(value, math.nan, math.nan)
