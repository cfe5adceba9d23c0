"""What of a teacher's gain students recover whose loss is the teacher's in one part of training alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from kd_uncertainty.errors import UserError
from kd_uncertainty.loss_schedules import CONSTANT
from kd_uncertainty.schemas import ARM_KEYS, FACTORS, SEED_COLUMNS
from kd_uncertainty.uncertainty.budget import Interval
from kd_uncertainty.uncertainty.components import CrossedDesign, crossed_design
from kd_uncertainty.uncertainty.decomposition import FloatArray
from kd_uncertainty.uncertainty.metrics import mean_interval

CONTROL = "one_hot"
"""Target of the arm that gains are measured from."""
IMPROVEMENT = {"accuracy": 1.0, "nll": -1.0}
"""Metrics, and the sign of an improvement."""
NOTHING = Interval(math.nan, math.nan, math.nan)

_FIGURES = ("gain", "constant_gain", "recovered")
COLUMNS = (
    *("arm", *ARM_KEYS, "split", "metric"),
    *(f"{figure}{bound}" for figure in _FIGURES for bound in ("", "_lower", "_upper")),
    *("recoverable", "num_students"),
)


class _Students(NamedTuple):
    """Metrics of one arm, and how its students cross their seeds.

    Attributes:
        keys: each of the arm keys.
        design: the crossing.
        metrics: by split, a row a student in the order of the design.
    """

    keys: Mapping[str, Any]
    design: CrossedDesign
    metrics: Mapping[str, pd.DataFrame]


def schedule_gains(student_metrics: pd.DataFrame, plan: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """Return the gain over one-hot labels of every arm that switches, and the share of the gain without a switch.

    Students are paired by initialisation and order seed, which all arms share, and with the arm of the same keys and a
    constant schedule by response seed too. Levels of seeds are the sample (:func:`mean_interval`).

    Args:
        student_metrics: student, arm, the arm keys, split, accuracy, nll.
        plan: student, arm, the arm keys and the three seed columns.
        confidence: of the intervals.

    Returns:
        arm, the arm keys, split, metric, gain and constant_gain (positive for an improvement) and recovered, each with
        bounds, recoverable (whether constant_gain is clear of 0), num_students. recovered is NaN unless recoverable,
        constant_gain is NaN where no arm is constant otherwise the same; no rows where none switches or there is no
        control.

    Raises:
        UserError: if arms do not share their initialisation and order seeds, or an arm is no full crossing.
    """
    arms = dict(_arms(student_metrics, plan)) if (plan["schedule"] != CONSTANT).any() else {}
    rows: list[dict[str, Any]] = []
    for number, arm, control, constant in _compared(arms):
        for split, metric in product(arm.metrics, IMPROVEMENT):
            gain = _gain(arm, control, split, metric)
            whole = None if constant is None else _gain(constant, control, split, metric)
            labels = {"arm": number, **arm.keys, "split": split, "metric": metric}
            rows.append(labels | _figures(gain, whole, confidence))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def crossed_share(part: FloatArray, whole: FloatArray, confidence: float = 0.95) -> Interval:
    r"""Return ``mean(part) / mean(whole)``, with the bounds that Fieller (1954) finds for a ratio of paired means.

    A share theta lies within them if the interval of ``part - theta whole`` (:func:`mean_interval`) contains 0. They
    are finite because the whole is clear of 0; theta may be negative or above 1.

    Args:
        part: (response, initialisation, order) gains of crossed students.
        whole: the gains of the students with the same seeds whose mean is 1.
        confidence: of the interval, and of the claim that there is a gain at all.

    Returns:
        All NaN unless the interval of the whole gain lies above 0: of no gain there are no shares.
    """
    if not is_clear(whole, confidence) or not np.isfinite(part).all():
        return NOTHING
    share = float(part.mean() / whole.mean())
    # Both fall through 0: the upper bound of the contrast above the share, the lower bound below it.
    above = _root(lambda theta: mean_interval(part - theta * whole, confidence)[2], share, 1.0)
    below = _root(lambda theta: mean_interval(part - theta * whole, confidence)[1], share, -1.0)
    return Interval(share, below, above)


def is_clear(gain: FloatArray, confidence: float = 0.95) -> bool:
    """Whether the interval of the mean of a gain (response, initialisation, order) lies above 0."""
    return mean_interval(gain, confidence)[1] > 0.0


def _root(bound: Callable[[float], float], start: float, side: float) -> float:
    """The first sign change of a bound on one side of the share, where it has the sign of ``side`` or is 0."""
    if side * bound(start) <= 0.0:
        return start
    step = 1.0
    while side * bound(start + side * step) > 0.0:
        step *= 2.0
    return float(brentq(bound, start, start + side * step, xtol=1e-12))


def _arms(student_metrics: pd.DataFrame, plan: pd.DataFrame) -> Iterator[tuple[int, _Students]]:
    metrics = student_metrics.set_index("student")
    for number in plan["arm"].unique():
        rows = plan[plan["arm"] == number]
        try:
            design = crossed_design(rows[list(SEED_COLUMNS)].to_numpy())
        except UserError as error:
            raise UserError(f"arm {number}: {error}") from error
        own = metrics.loc[rows["student"].to_numpy()[design.rows]]
        splits = {str(split): own[own["split"] == split] for split in own["split"].unique()}
        yield int(number), _Students({key: rows[key].iloc[0] for key in ARM_KEYS}, design, splits)


def _compared(arms: Mapping[int, _Students]) -> Iterator[tuple[int, _Students, _Students, _Students | None]]:
    """Every arm that switches, the control, and the arm that is the same but for its schedule."""
    control = next((arm for arm in arms.values() if arm.keys["target"] == CONTROL), None)
    for number, arm in arms.items():
        if control is None or arm.keys["schedule"] == CONSTANT:
            continue
        wanted = {**arm.keys, "schedule": CONSTANT}
        constant = next((other for other in arms.values() if other.keys == wanted), None)
        _check_paired(number, arm, control, (1, 2))
        if constant is not None:
            _check_paired(number, arm, constant, (0, 1, 2))
        yield number, arm, control, constant


def _check_paired(number: int, arm: _Students, other: _Students, factors: Sequence[int]) -> None:
    for factor in factors:
        if not np.array_equal(arm.design.levels[factor], other.design.levels[factor]):
            raise UserError(
                f"arm {number}: its {FACTORS[factor]} seeds are not those of the arm that it is compared with; give "
                "all arms the same seeds"
            )


def _gain(arm: _Students, control: _Students, split: str, metric: str) -> FloatArray:
    """The improvement of each student over that of the same start and order; the control has one response seed."""
    ours, base = (
        one.metrics[split][metric].to_numpy(dtype=np.float64).reshape(one.design.shape) for one in (arm, control)
    )
    return np.asarray(IMPROVEMENT[metric] * (ours - base))


def _figures(gain: FloatArray, whole: FloatArray | None, confidence: float) -> dict[str, Any]:
    found = {
        "gain": Interval(*mean_interval(gain, confidence)),
        "constant_gain": NOTHING if whole is None else Interval(*mean_interval(whole, confidence)),
        "recovered": NOTHING if whole is None else crossed_share(gain, whole, confidence),
    }
    row: dict[str, Any] = {}
    for name in _FIGURES:
        row |= dict(zip((name, f"{name}_lower", f"{name}_upper"), found[name], strict=True))
    return row | {"recoverable": whole is not None and is_clear(whole, confidence), "num_students": gain.size}
