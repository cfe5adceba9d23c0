"""The linear-Gaussian case as the report reads it: the terms of the bound, its dials, and the design checklist."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from kd_uncertainty.report.comparison import estimate_of
from kd_uncertainty.report.frames import choose, missing

TERMS = {
    "bias": "Bias",
    "variance": "Var",
    "approximation": "Apx",
    "covariance": "Cov",
    "spread": "Spread",
}
"""The terms of the bound by column, in the order in which they are stacked: the data's shift first."""
MEANINGS = {
    "bias": "how far the teacher’s mean is from the truth",
    "variance": "how far its draws are from its mean",
    "approximation": "what a student of rank r cannot express",
    "covariance": "how the student’s covariance differs from the teacher’s",
    "spread": "how far the teacher would move if it were fitted to its own pseudo-labels",
}
SHADES = {
    "bias": "#4C566A",
    "variance": "#0072B2",
    "approximation": "#D55E00",
    "covariance": "#C07A00",
    "spread": "#A65698",
}
DIALS = {
    "inverse_temperature": "inverse temperature β",
    "rank": "rank r of the student",
    "num_examples": "number of examples n",
    "label_noise": "label noise ν",
    "prior_precision": "prior precision λ",
    "student_sharpness": "sharpness of the student",
}
"""The dials by their names in the tables, in the order of the panels."""
SWEEPS = ("dial", "value", "divergence_exact", "corrected_bound", *TERMS)
CHECKLIST = ("term", "share", "dial", "from", "to", "bound_before", "bound_after")
TOTAL = "total"
EQUAL = 0.01
"""The line of the checklist about the bound as a whole, and the share by which a width may change unheeded."""


def dial_name(dial: str) -> str:
    """A dial in words; one that is not known by its own name."""
    return DIALS.get(dial, dial.replace("_", " "))


def dials_of(sweeps: pd.DataFrame) -> list[str]:
    """The dials of the table ``decomposition_sweeps``: known ones in their order, then the others."""
    if missing(sweeps, SWEEPS):
        return []
    found = [str(name) for name in dict.fromkeys(sweeps["dial"])]
    return [name for name in DIALS if name in found] + [name for name in found if name not in DIALS]


def sweep_of(sweeps: pd.DataFrame, dial: str) -> pd.DataFrame:
    """The rows of one dial by its value; none where the table lacks what is needed."""
    if missing(sweeps, SWEEPS):
        return pd.DataFrame(columns=[*SWEEPS, "best"])
    return choose(sweeps, dial=dial).sort_values("value", ignore_index=True)


def best_of(sweep: pd.DataFrame, form: str = "corrected_bound") -> Mapping[str, float] | None:
    """The numbers of the setting of a dial with the least corrected bound, or least by another column."""
    known = sweep[sweep[form].notna()].select_dtypes("number") if form in sweep else sweep[:0]
    if not len(known):
        return None
    return dict(zip(map(str, known.columns), known.to_numpy()[known[form].to_numpy().argmin()].tolist(), strict=True))


@dataclass(frozen=True)
class Item:
    """A line of the checklist: a term of the bound, or the bound itself, and the single turn that lowers it most.

    Attributes:
        term: The term's column, or `TOTAL`.
        share: Its share of the bound at the base configuration.
        dial: The dial; empty where none lowers the term.
        start: The dial's value at the base.
        end: The value at which the term is least.
        before: The bound at the base, in nats.
        after: The bound after the turn.
        width: The width of the interval after the turn over that before, for σ ~ 1/√n; NaN where not known.
    """

    term: str
    share: float
    dial: str
    start: float
    end: float
    before: float
    after: float
    width: float = math.nan

    @property
    def name(self) -> str:
        """The term's short name."""
        return "the bound" if self.term == TOTAL else TERMS.get(self.term, self.term)

    @property
    def turn(self) -> str:
        """``inverse temperature β from 4 to 0.5``."""
        return f"{dial_name(self.dial)} from {self.start:.4g} to {self.end:.4g}"

    @property
    def helps(self) -> bool:
        """Whether the turn lowers the bound and does not widen the interval."""
        return bool(self.dial) and self.after < self.before and not self.widens

    @property
    def widens(self) -> bool:
        """Whether the interval grows: because σ does, as with fewer examples, or because the divergence itself does."""
        return self.width > 1.0 + EQUAL

    @property
    def advice(self) -> str:
        """What to make of it, in a few words."""
        if not self.dial:
            return "no dial lowers it"
        if self.after >= self.before:
            return "no: the bound rises"
        return "no: the interval widens" if self.widens else "yes"


def read_checklist(table: pd.DataFrame, sweeps: pd.DataFrame) -> list[Item]:
    """The table ``decomposition_checklist``: the bound as a whole first, then its terms, the largest first.

    Args:
        table: The checklist.
        sweeps: The table ``decomposition_sweeps``, from which the interval's width is taken.
    """
    if missing(table, CHECKLIST):
        return []
    items = []
    for row in table.sort_values("share", ascending=False, kind="stable").to_dict("records"):
        dial = "" if pd.isna(row["dial"]) or row["dial"] == "none" else str(row["dial"])
        start, end = float(row["from"]), float(row["to"])
        before, after = float(row["bound_before"]), float(row["bound_after"])
        width = _width(sweep_of(sweeps, dial), start, end)
        items.append(Item(str(row["term"]), float(row["share"]), dial, start, end, before, after, width))
    return items


def best_turns(sweeps: pd.DataFrame) -> list[Item]:
    """Of every dial the turn that lowers the bound most, for the term that falls most by it; the best turn first."""
    items = []
    for dial in dials_of(sweeps):
        sweep, best = sweep_of(sweeps, dial), best_of(sweep_of(sweeps, dial))
        bases = [row for row in sweep.to_dict("records") if row.get("is_base")]
        if best is None or not bases:
            continue
        base = bases[0]
        before, after = float(base["corrected_bound"]), float(best["corrected_bound"])
        term = max(TERMS, key=lambda name: float(base[name]) - float(best[name]))
        start, end = float(base["value"]), float(best["value"])
        turn = "" if start == end else dial
        items.append(Item(term, float(base[term]) / before, turn, start, end, before, after, _width(sweep, start, end)))
    return sorted(items, key=lambda item: item.after)


def _width(sweep: pd.DataFrame, start: float, end: float) -> float:
    if "scaled_width" not in sweep:
        return math.nan
    widths = dict(zip(sweep["value"].astype(float), sweep["scaled_width"].astype(float), strict=True))
    return widths[end] / widths[start] if {start, end} <= set(widths) else math.nan


@dataclass(frozen=True)
class Agreement:
    """Where one dial is best: by the bound, by the divergence itself, and by the form as printed.

    Attributes:
        dial: The dial.
        bound: The setting with the least corrected bound.
        divergence: The setting with the least divergence; NaN where it is not known.
        literal: The setting at which the form as printed is least; NaN where it is not known.
        same: Whether the divergence at the first two is the same, or their intervals overlap.
    """

    dial: str
    bound: float
    divergence: float
    literal: float
    same: bool


def agreements(sweeps: pd.DataFrame) -> list[Agreement]:
    """The settings of every dial that are least by three figures."""
    found = []
    for dial in dials_of(sweeps):
        sweep = sweep_of(sweeps, dial)
        bound, least = best_of(sweep), best_of(sweep, "divergence_exact")
        if bound is not None and least is not None:
            literal = best_of(sweep, "literal_form")
            first, second = (estimate_of(row, "divergence_exact") for row in (bound, least))
            same = bound["value"] == least["value"] or first.lower <= second.upper
            printed = math.nan if literal is None else float(literal["value"])
            found.append(Agreement(dial, float(bound["value"]), float(least["value"]), printed, bool(same)))
    return found
