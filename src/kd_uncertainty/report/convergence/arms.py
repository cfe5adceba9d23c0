"""The arms of the convergence study: what the labels are, how an arm is named and coloured, and its estimates."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kd_uncertainty.report.arms import NO_ESTIMATE, Tables, table
from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.figures.style import MUTED

ARMS = ("one_hot", "additive", "dirichlet", "mixture", "teacher", "exact")
"""Kinds of labels in the order in which figures and tables show them: from the data's own to the exact ones."""
COLOURS = {
    "one_hot": ("#D55E00",),
    "exact": ("#0072B2",),
    "dirichlet": ("#C07A00", "#009E73", "#94A84C", "#3A5A40"),
    "additive": ("#7B2CBF", "#B185DB"),
    "mixture": ("#5B7083", "#9AA5B1"),
}
"""One colour a level, in order of the level; the last serves all that follow."""
TEACHERS = ("#8A6D3B", "#C4548B", "#56B4E9", "#6B8E23", "#B56576", "#4C566A", "#E09F3E", "#2A9D8F", "#5E548E")
"""In order of the names, the deterministic teacher first; none is the colour of one-hot or exact labels."""
NOISE_NAMES = {
    "noise_accuracy_std": "accuracy, standard deviation",
    "noise_accuracy_step": "accuracy, differences",
    "noise_nll_std": "NLL, standard deviation",
    "noise_nll_step": "NLL, differences",
    "gradient_variance": "gradient variance",
}
"""The definitions of convergence noise; all are shown, none is picked."""
NOISES = tuple(NOISE_NAMES)


class ArmKey(NamedTuple):
    """One kind of labels: level is ν of additive noise or a of Dirichlet(a P), mixing the weight of the teacher."""

    arm: str
    teacher: str = "none"
    level: float = math.nan
    mixing: float = 1.0

    @property
    def label(self) -> str:
        """``Dirichlet, a = 5``, ``ensemble teacher``; with the mixing where the labels are mixed with one-hot ones."""
        names = {"one_hot": "one-hot", "exact": "exact", "teacher": f"{self.teacher.replace('_', ' ')} teacher"}
        names["dirichlet"] = "Dirichlet"
        name = names.get(self.arm, self.arm)
        if self.arm in ("dirichlet", "additive") or (self.arm == "mixture" and not math.isnan(self.level)):
            name += f", {'ν' if self.arm == 'additive' else 'a'} = {self.level:g}"
        mixed = self.arm not in ("one_hot", "exact") and self.mixing != 1.0
        return f"{name}, λ = {self.mixing:.3g}" if mixed else name

    @property
    def order(self) -> tuple[int, str, float, float]:
        """Where the arm stands among the others."""
        rank = ARMS.index(self.arm) if self.arm in ARMS else len(ARMS)
        teacher = self.teacher if self.teacher != "deterministic" else ""
        return rank, teacher, 0.0 if math.isnan(self.level) else self.level, self.mixing

    def matches(self, other: ArmKey) -> bool:
        """Whether the two are the same kind of labels; a level that does not apply equals any other such level."""
        same = self.level == other.level or (math.isnan(self.level) and math.isnan(other.level))
        return same and (self.arm, self.teacher, self.mixing) == (other.arm, other.teacher, other.mixing)


def key_of(row: Mapping[Any, Any]) -> ArmKey:
    """The arm of a table's row; columns that the table lacks are at their defaults."""
    arm = str(row["arm"])
    level, mixing = _number(row.get("level")), _number(row.get("mixing", 1.0))
    # One level and one mixing where they say nothing, so that equal arms are equal keys.
    level = level if arm in ("dirichlet", "additive", "mixture") else math.nan
    mixing = mixing if arm not in ("one_hot", "exact") and not math.isnan(mixing) else 1.0
    return ArmKey(arm, str(row.get("teacher") or "none"), level, mixing)


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan


def keys_of(frame: Any) -> list[ArmKey]:
    """The arms of a table without repetition, in their order."""
    found: list[ArmKey] = []
    for row in frame.to_dict("records") if len(frame) else []:
        key = key_of(row)
        if not any(key.matches(other) for other in found):
            found.append(key)
    return sorted(found, key=lambda key: key.order)


def rows_of(frame: Any, key: ArmKey) -> list[dict[Any, Any]]:
    """The rows of a table that belong to an arm."""
    return [row for row in frame.to_dict("records") if key_of(row).matches(key)]


def shades_of(keys: Iterable[ArmKey]) -> dict[str, str]:
    """A colour for every arm by its label, the same in every figure that has the same levels and teachers."""
    shades, counts = {}, defaultdict[str, int](int)
    for key in sorted(keys, key=lambda key: key.order):
        # Mixed labels have colours of their own, so that a level keeps its colour where there are none.
        kind = "mixture" if key.mixing != 1.0 else key.arm
        palette = TEACHERS if kind == "teacher" else COLOURS.get(kind, (MUTED,))
        shades[key.label] = palette[min(counts[kind], len(palette) - 1)]
        counts[kind] += 1
    return shades


@dataclass(frozen=True)
class NetworkArm:
    """Networks trained on one kind of labels: their metrics by split, and the ratio of each to one-hot's."""

    key: ArmKey
    num_seeds: int = 0
    metrics: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    ratios: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)

    def metric(self, name: str, split: str) -> Estimate:
        """A metric on a split, its mean over seeds."""
        return self.metrics.get(split, {}).get(name, NO_ESTIMATE)

    def ratio(self, name: str, split: str) -> Estimate:
        """The metric over that of one-hot labels, paired over seeds."""
        return self.ratios.get(split, {}).get(name, NO_ESTIMATE)

    def noise(self, name: str) -> Estimate:
        """A convergence noise on whichever split it was measured: the test split first."""
        return self._first(self.metrics, name)

    def noise_ratio(self, name: str) -> Estimate:
        """A convergence noise over that of one-hot labels, paired over seeds."""
        return self._first(self.ratios, name)

    @staticmethod
    def _first(figures: Mapping[str, Mapping[str, Estimate]], name: str) -> Estimate:
        for split in ("test", "validation", "train"):
            if name in figures.get(split, {}):
                return figures[split][name]
        return NO_ESTIMATE

    @property
    def is_teacher(self) -> bool:
        """Whether the labels are a teacher's, which a user can have without knowing the Bayes probabilities."""
        return self.key.arm == "teacher"

    @property
    def is_available(self) -> bool:
        """Whether a user without the Bayes probabilities could train this way."""
        return self.is_teacher or self.key.arm == "one_hot"


def read_arms(tables: Tables) -> list[NetworkArm]:
    """The arms of the table ``stability`` in their order."""
    frame = table(tables, "stability")
    if frame.empty or not {"arm", "split", "metric", "estimate"} <= set(frame.columns):
        return []
    found = []
    for key in keys_of(frame):
        metrics: dict[str, dict[str, Estimate]] = defaultdict(dict)
        ratios: dict[str, dict[str, Estimate]] = defaultdict(dict)
        rows = rows_of(frame, key)
        for row in rows:
            metrics[str(row["split"])][str(row["metric"])] = estimate_of(row)
            ratios[str(row["split"])][str(row["metric"])] = estimate_of(row, "ratio")
        seeds = [_number(row.get("num_seeds")) for row in rows]
        found.append(NetworkArm(key, int(max((s for s in seeds if not math.isnan(s)), default=0)), metrics, ratios))
    return found


def best(arms: Iterable[NetworkArm], metric: str = "nll", split: str = "validation") -> NetworkArm | None:
    """The arm whose mean metric is surely lowest: by default the validation NLL, on which the choice rests."""
    known = [arm for arm in arms if arm.metric(metric, split).known]
    return min(known, key=lambda arm: (_pessimistic(arm.metric(metric, split)), arm.key.order), default=None)


def _pessimistic(figure: Estimate) -> float:
    return figure.estimate if math.isnan(figure.upper) else figure.upper
