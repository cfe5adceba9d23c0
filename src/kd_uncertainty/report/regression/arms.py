"""The arms of the regression study, read from its tables: what each is, how good, and where its variance lies."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from kd_uncertainty.report.arms import NO_ESTIMATE, Estimates, Tables, table
from kd_uncertainty.report.comparison import Estimate, estimate_of

KEYS = ("model", "teacher", "target", "noise", "num_responses", "weighting", "mixing")
"""What makes two students belong to the same arm."""
CURVE = ("model", "teacher", "target", "noise", "weighting", "mixing")
"""Arms that agree on these differ in the number of responses alone."""
MODELS = ("linear", "network")
TARGETS = ("noise", "posterior", "exact", "ground_truth")
SAMPLED = ("noise", "posterior")
"""Targets that average sampled responses."""


@dataclass(frozen=True)
class RegressionArm:
    """One way to train students, with its estimates by split; noise is in multiples of Var(y)."""

    arm: int
    model: str
    teacher: str
    target: str
    noise: float
    num_responses: int
    weighting: str = "average"
    mixing: float = 1.0
    num_students: int = 0
    metrics: Mapping[str, Estimates] = field(default_factory=dict)
    components: Mapping[str, Estimates] = field(default_factory=dict)

    def metric(self, name: str, split: str) -> Estimate:
        """The mean over students of a metric on a split."""
        return self.metrics.get(split, {}).get(name, NO_ESTIMATE)

    def component(self, name: str, split: str) -> Estimate:
        """A component of the variance on a split, in squared units of the target."""
        return self.components.get(split, {}).get(name, NO_ESTIMATE)

    @property
    def is_control(self) -> bool:
        """Whether no teacher was used."""
        return self.target == "ground_truth"

    @property
    def curve(self) -> tuple[object, ...]:
        """Everything but the number of responses."""
        return tuple(getattr(self, name) for name in CURVE)

    def keys(self) -> dict[str, str | int | float]:
        """The columns that name the arm."""
        return {name: getattr(self, name) for name in KEYS}

    def label(self) -> str:
        """The arm in short: ``noise 0.5, k = 4``."""
        count = f", k = {self.num_responses}" if self.target in SAMPLED else ""
        return curve_label(self.target, self.noise) + count + variant(self.mixing, self.weighting)

    def named(self) -> str:
        """The arm in words: ``the average of 4 noisy responses (variance 0.5 Var(y)) of the linear teacher``."""
        rest = variant(self.mixing, self.weighting)
        if self.is_control:
            return f"the data's own targets{rest}"
        if self.target == "exact":
            return f"the mean of the {self.teacher} teacher{rest}"
        kind = f"noisy response (variance {self.noise:g} Var(y))" if self.target == "noise" else "posterior draw"
        count = f"one {kind}" if self.num_responses == 1 else f"the average of {self.num_responses} {_plural(kind)}"
        return f"{count} of the {self.teacher} teacher{rest}"


def _plural(kind: str) -> str:
    return kind.replace("response", "responses").replace("draw", "draws")


def curve_label(target: str, noise: float) -> str:
    """``noise 0.5``, ``posterior``, ``exact``, ``ground truth``."""
    return f"noise {noise:g}" if target == "noise" else target.replace("_", " ")


def variant(mixing: float, weighting: str) -> str:
    """The less usual keys of an arm with a leading comma, or an empty string."""
    parts = [f"mixing {mixing:g}"] if not math.isnan(mixing) and mixing != 1.0 else []
    parts += [f"{weighting} weighting"] if weighting not in ("average", "") else []
    return "".join(f", {part}" for part in parts)


def read_arms(tables: Tables) -> list[RegressionArm]:
    """Join ``arm_metrics``, ``variance_components`` and ``student_metrics`` by arm."""
    metrics = _by_arm(table(tables, "arm_metrics"), "metric")
    components = _by_arm(table(tables, "variance_components"), "component")
    students = table(tables, "student_metrics")
    counts = students.groupby("arm")["student"].nunique().to_dict() if len(students) else {}
    keys: dict[int, dict[str, Any]] = {}
    for name in ("arm_metrics", "variance_components"):
        frame = table(tables, name)
        if len(frame):
            columns = ["arm", *(key for key in KEYS if key in frame)]
            keys |= {int(row.pop("arm")): row for row in frame[columns].drop_duplicates().to_dict("records")}  # type: ignore[misc]
    return [
        RegressionArm(
            arm=number,
            num_students=int(counts.get(number, 0)),
            metrics=metrics.get(number, {}),
            components=components.get(number, {}),
            **_typed(own),
        )
        for number, own in sorted(keys.items())
    ]


def _typed(row: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {"num_responses": int, "noise": float, "mixing": float}
    return {name: kinds.get(name, str)(value) for name, value in row.items()}


def _by_arm(frame: pd.DataFrame, column: str) -> dict[int, dict[str, dict[str, Estimate]]]:
    found: dict[int, dict[str, dict[str, Estimate]]] = defaultdict(lambda: defaultdict(dict))
    for row in frame.to_dict("records"):
        found[int(row["arm"])][str(row["split"])][str(row[column])] = estimate_of(row)
    return found


def best(arms: Sequence[RegressionArm], split: str = "validation", metric: str = "mse") -> RegressionArm | None:
    """The arm whose mean validation MSE is surely lowest: the one with the lowest upper end of the interval."""
    candidates = [arm for arm in arms if arm.metric(metric, split).known]
    return min(candidates, key=lambda arm: (_pessimistic(arm.metric(metric, split)), arm.arm), default=None)


def _pessimistic(figure: Estimate) -> float:
    return figure.estimate if math.isnan(figure.upper) else figure.upper
