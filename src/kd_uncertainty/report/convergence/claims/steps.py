"""Claims on the step: the bound of the theorem, and whether exact probabilities double the step that is allowed."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.rules import Verdict
from kd_uncertainty.report.wording import value_text

SECTION = "step"
COLUMNS = ("arm", "learning_rate", "guarantee", "within_guarantee", "bound_holds", "growth")
BOUND = "holds if the mean squared distance is within the bound at every step that the theorem allows"
DOUBLE = (
    "holds if the bound stands up to 1/L with exact probabilities and the largest stable step is at least 1.5 times "
    "that with one-hot labels, wherever in their brackets the two lie; in part if only one of the two, such as the "
    "guarantee, doubles"
)
SURELY_MORE = 1.5
"""Limits are known to the grid of steps only: of a doubled one the least ratio of the two brackets is at least this."""


class Limit(NamedTuple):
    """The largest stable step, between two steps of the sweep; 0 below if none is stable, infinite above if all are."""

    lower: float
    upper: float


def read_limits(table: pd.DataFrame) -> dict[str, Limit]:
    """The limit of every arm: a step is stable if the start is surely forgotten, the growth's interval below 0."""
    found = {}
    for arm, own in table.sort_values("learning_rate").groupby("arm", sort=False):
        lower, upper = 0.0, math.inf
        for row in own.to_dict("records"):
            if not float(row.get("growth_upper", math.nan)) < 0.0:
                upper = float(row["learning_rate"])
                break
            lower = float(row["learning_rate"])
        found[str(arm)] = Limit(lower, upper)
    return found


def step_claims(table: pd.DataFrame) -> list[Claim]:
    """The theorem's bound within its guarantee, and the doubled step as a guarantee and as a limit."""
    frame = pd.DataFrame(columns=[*COLUMNS]) if missing(table, COLUMNS) else table
    return [_bound(frame), _doubled(frame)]


def _bound(frame: pd.DataFrame) -> Claim:
    claim = "the distance to the optimum stays within the theorem's bound at every step that it allows"
    fails = "the step exceeds the guarantee: there the theorem promises nothing"
    allowed = frame["within_guarantee"].astype(bool)
    within, beyond = frame[allowed], frame[~allowed]
    if within.empty:
        return Claim(SECTION, "bound", claim, rule=BOUND, fails=fails)
    right, count = int(within["bound_holds"].astype(bool).sum()), len(within)
    verdict: Verdict = "holds" if right == count else "holds in part" if 2 * right > count else "does not hold"
    sentence = f"It does at {right} of {count} allowed steps, both kinds of labels together."
    if len(beyond):
        held = int(beyond["bound_holds"].astype(bool).sum())
        sentence += f" Its formula is met at {held} of {len(beyond)} larger steps too, where nothing is promised."
    share = Estimate(right / count, math.nan, math.nan)
    figures = {"right": right, "count": count}
    measured = f"{right} of {count} steps"
    return Claim(SECTION, "bound", claim, measured, share, BOUND, verdict, sentence, False, figures, fails)


def _doubled(frame: pd.DataFrame) -> Claim:
    claim = "exact probabilities double the admissible step"
    fails = "curvature limits the step, not label noise: the limit is then the same for all labels"
    limits = read_limits(frame)
    if not {"exact", "one_hot"} <= set(limits):
        return Claim(SECTION, "doubled", claim, rule=DOUBLE, fails=fails)
    exact, one_hot = limits["exact"], limits["one_hot"]
    own = choose(frame, arm="exact")
    unit = float(own["guarantee"].iloc[0])
    guaranteed = _guaranteed(own[own["within_guarantee"].astype(bool)], unit)
    times = Estimate(
        _over(exact.lower, one_hot.lower), _over(exact.lower, one_hot.upper), _over(exact.upper, one_hot.lower)
    )
    doubled = times.lower >= SURELY_MORE
    verdict: Verdict = (
        "holds" if guaranteed and doubled else "holds in part" if guaranteed or doubled else "does not hold"
    )
    words = {
        (True, True): "It holds as a guarantee and as a limit",
        (True, False): "It holds as a guarantee; the limit itself does not double",
        (False, True): "The limit doubles, but the guarantee was not met",
        (False, False): "Neither was the guarantee met nor does the limit double",
    }
    sentence = (
        f"{words[guaranteed, doubled]}: the start is forgotten up to a step {_between(exact, unit)} with exact "
        f"probabilities and {_between(one_hot, unit)} with one-hot labels, and the theorem promises 1/L and 1/(2L)."
    )
    figures = {"guaranteed": guaranteed, "doubled": doubled, "exact": list(exact), "one_hot": list(one_hot)}
    measured = f"guarantee × 2, limit × {value_text(times.estimate, 2)}"
    return Claim(SECTION, "doubled", claim, measured, times, DOUBLE, verdict, sentence, False, figures, fails)


def _guaranteed(within: pd.DataFrame, unit: float) -> bool:
    """Whether the bound stands at all allowed steps, of which some are beyond one-hot's 1/(2L)."""
    beyond_half = within["learning_rate"] > 0.5 * unit * (1.0 + 1e-9)
    return bool(beyond_half.any() and within["bound_holds"].astype(bool).all())


def _over(first: float, second: float) -> float:
    if math.isinf(second):
        return 0.0
    return first / second if second > 0.0 else math.nan


def _between(limit: Limit, unit: float) -> str:
    low, high = value_text(limit.lower / unit, 2), value_text(limit.upper / unit, 2)
    return f"of at least {low}/L, the largest tried," if math.isinf(limit.upper) else f"between {low}/L and {high}/L"
