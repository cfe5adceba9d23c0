"""The table ``network_bounds`` as the report reads it: one cell a number of examples and label noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from kd_uncertainty.report.arms import NO_ESTIMATE
from kd_uncertainty.report.bounds.proxies import proxies_in
from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.frames import missing

COLUMNS = ("num_examples", "label_noise", "quantity", "estimate", "lower", "upper")
GAPS = {"gen_student_pseudo": "student, pseudo-labels", "gen_student_true": "student, true labels"}
"""The student's gap by the labels on which its training loss is taken."""
GAP_SHADES = {"gen_student_pseudo": "#0072B2", "gen_student_true": "#D55E00"}


@dataclass(frozen=True)
class Cell:
    """What was measured at one number of examples and label noise.

    Attributes:
        num_examples: n.
        label_noise: The share of labels that were replaced.
        num_sets: Training sets.
        figures: Every quantity by its name in the table.
    """

    num_examples: int
    label_noise: float
    num_sets: int = 0
    figures: Mapping[str, Estimate] = field(default_factory=dict)

    def figure(self, name: str) -> Estimate:
        """A quantity; one that was not measured is NaN."""
        return self.figures.get(name, NO_ESTIMATE)

    @property
    def label(self) -> str:
        """``n = 100, label noise 0.2``."""
        return f"n = {self.num_examples:,}, label noise {self.label_noise:g}"

    @property
    def proxies(self) -> list[str]:
        """The constants for which there is an interval."""
        return proxies_in(self.figures)

    def interval(self, proxy: str) -> tuple[float, float]:
        """The bounds on the student's gap: gen_T ± sigma sqrt(2 K)."""
        return self.figure(f"lower_{proxy}").estimate, self.figure(f"upper_{proxy}").estimate

    def width(self, proxy: str) -> Estimate:
        """The width of the interval, 2 sigma sqrt(2 K), with bounds from those of sigma and K on the log scale.

        A sigma without an interval, such as the largest value seen, counts as known.
        """
        low, high = self.interval(proxy)
        width, sigma, divergence = high - low, self.figure(f"sigma_{proxy}"), self.figure("divergence")
        if not (width > 0.0 and divergence.measured and divergence.lower > 0.0):
            return Estimate(width, math.nan, math.nan)
        known = sigma if sigma.measured and sigma.lower > 0.0 else Estimate(1.0, 1.0, 1.0)
        below, above = (
            math.hypot(math.log(known.estimate / one), 0.5 * math.log(divergence.estimate / other))
            for one, other in ((known.lower, divergence.lower), (known.upper, divergence.upper))
        )
        return Estimate(width, width * math.exp(-below), width * math.exp(above))

    def used(self, proxy: str, gap: str) -> float:
        """The distance of a student's gap from the teacher's over half the interval's width: 1 at its end."""
        half = self.width(proxy).estimate / 2.0
        distance = abs(self.figure(gap).estimate - self.figure("gen_teacher").estimate)
        if math.isnan(half) or math.isnan(distance):
            return math.nan
        return distance / half if half > 0.0 else math.inf if distance > 0.0 else 0.0


def read_cells(table: pd.DataFrame) -> list[Cell]:
    """The cells of the table by label noise, then number of examples."""
    if missing(table, COLUMNS):
        return []
    cells = []
    for _, own in table.groupby(["label_noise", "num_examples"], sort=True):
        rows = own.to_dict("records")
        sets = int(own["num_sets"].max()) if "num_sets" in own else 0
        figures = {str(row["quantity"]): estimate_of(row) for row in rows}
        cells.append(Cell(int(rows[0]["num_examples"]), float(rows[0]["label_noise"]), sets, figures))
    return cells


def all_proxies(cells: Sequence[Cell]) -> list[str]:
    """Every constant of the cells, in order."""
    return proxies_in([f"sigma_{name}" for cell in cells for name in cell.proxies])


def narrowest(cells: Sequence[Cell]) -> str:
    """The constant with the narrowest interval in the last cell; not the standard deviation, which is below any σ."""
    known = [name for name in all_proxies(cells) if not math.isnan(cells[-1].width(name).estimate)]
    return min(
        [name for name in known if name != "std"] or known or ["std"],
        key=lambda name: cells[-1].width(name).estimate,
    )
