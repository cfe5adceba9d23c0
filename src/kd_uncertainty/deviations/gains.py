r"""Do students that deviate more gain more? Rank correlations over arms."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from kd_uncertainty.deviations.statistics import DEVIATIONS, Floats
from kd_uncertainty.deviations.tables import TABLE_COLUMNS

GAIN_COLUMNS = ("arms", "split", "statistic", "group", "gain_split", "correlation", "lower", "upper", "num_arms")
FEWEST_ARMS = 4
"""Ranks of fewer arms say nothing."""


def gain_table(
    deviations: pd.DataFrame,
    *,
    by: str = "teacher",
    gain_split: str = "test",
    confidence: float = 0.95,
    num_bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Return arms, split, statistic, group, gain_split, correlation, lower, upper, num_arms.

    Spearman's rank correlation, over arms, of a deviation with the accuracy that the arm's students have above their
    control. Group "student" takes the deviation as it is; "difference" that above the control. Arms with the same
    control share its luck in both the gain and this difference, which correlates them by itself. "arms" is "all" and,
    where there are several, each value of the key ``by``: teachers that differ in deviation and gain make a correlation
    over all arms that none of them shows.

    Bounds are quantiles of a bootstrap over arms (Efron 1979): they say how far the correlation would move with other
    arms of the kind. With few they are coarse, and a correlation of 1 has bounds of 1 however few the arms are.
    Replicates in which either does not vary are left out.

    Args:
        deviations: as :func:`~kd_uncertainty.deviations.tables.deviation_table`, of several arms, with accuracies.
        by: key by which arms are also compared among themselves.
        gain_split: split on which accuracy is gained.
        confidence: of the bounds.
        num_bootstrap: replicates.
        seed: of the replicates, which are the same for every row.

    Returns:
        Correlations are NaN with fewer than four arms, or where a deviation is the same or unknown in all arms.
    """
    keys = [name for name in deviations.columns if name not in TABLE_COLUMNS]
    is_gain = (deviations["split"] == gain_split) & (deviations["statistic"] == "accuracy")
    gained = deviations[is_gain & (deviations["group"] == "difference")].set_index(keys)["estimate"].rename("gain")
    measured = deviations[
        deviations["statistic"].isin(DEVIATIONS) & deviations["group"].isin(("student", "difference"))
    ].join(gained, on=keys)
    parts = {str(value): part for value, part in measured.groupby(by, sort=False)}
    subsets = {"all": measured} | (parts if len(parts) > 1 else {})
    rows = []
    for arms, subset in subsets.items():
        for place, part in subset.groupby(["split", "statistic", "group"], sort=False):
            found = part[["estimate", "gain"]].dropna().to_numpy(np.float64)
            bounds = rank_correlation(found[:, 0], found[:, 1], confidence, num_bootstrap, seed)
            rows.append((arms, *place, gain_split, *bounds, len(found)))
    return pd.DataFrame(rows, columns=list(GAIN_COLUMNS))


def rank_correlation(
    first: Floats, second: Floats, confidence: float = 0.95, num_bootstrap: int = 1000, seed: int = 0
) -> tuple[float, float, float]:
    """Return Spearman's correlation with quantiles of its bootstrap over entries; NaN with fewer than four.

    Args:
        first: (arms,).
        second: (arms,).
        confidence: of the bounds.
        num_bootstrap: replicates.
        seed: of the replicates.
    """
    count = len(first)
    if count < FEWEST_ARMS:
        return math.nan, math.nan, math.nan
    drawn = np.random.default_rng(seed).integers(0, count, (num_bootstrap, count))
    estimate = float(_spearman(first[None], second[None])[0])
    replicates = _spearman(first[drawn], second[drawn])
    replicates = replicates[np.isfinite(replicates)]
    if math.isnan(estimate) or not len(replicates):
        return estimate, math.nan, math.nan
    lower, upper = np.quantile(replicates, ((1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0))
    return estimate, float(lower), float(upper)


def _spearman(first: Floats, second: Floats) -> Floats:
    """Rank correlations along the last axis; ties have their mean rank, and NaN is where either does not vary."""
    x, y = (rankdata(values, axis=-1) for values in (first, second))
    x, y = x - x.mean(axis=-1, keepdims=True), y - y.mean(axis=-1, keepdims=True)
    spread = np.sqrt(np.square(x).sum(axis=-1) * np.square(y).sum(axis=-1))
    return np.where(spread > 0.0, (x * y).sum(axis=-1) / np.where(spread > 0.0, spread, 1.0), np.nan)
