"""The shared law of the two papers: noise of mixed labels, its minimum, and the minimum that was measured.

Labels (1-λ) one-hot + λ teacher have, at the optimum, the gradient noise (1-λ)² σ₁ + λ² σₜ, as the two are independent
given the input. It is least at λ* = σ₁ / (σ₁ + σₜ), which is the weight that the inverse-variance rule gives the
teacher, and there it is σ₁ σₜ / (σ₁ + σₜ) = (1-λ*) σ₁: over all teachers the minima lie on one straight line.
Sources: arXiv 2601.01484 (gradient noise), arXiv 2601.18909 (inverse-variance weighting).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kd_uncertainty.report.arms import NO_ESTIMATE
from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.convergence.arms import ArmKey, key_of
from kd_uncertainty.report.frames import missing
from kd_uncertainty.report.rules import ratio

COLUMNS = (
    *("arm", "level", "mixing", "predicted_noise", "measured_noise", "predicted_plateau", "plateau"),
    *("lambda_star", "lambda_hat"),
)


class Mixture(NamedTuple):
    """One teacher's labels mixed with one-hot ones.

    Attributes:
        key: The teacher, without the mixing.
        mixing: The λ that were measured, ascending.
        noise: Measured gradient noise at the optimum by λ.
        predicted_noise: Its law by λ.
        plateau: Measured excess risk at which SGD stays, nats, by λ.
        predicted_plateau: α/4 times the noise's law, by λ.
        predicted: λ*.
        minimum: Where a parabola through the measured plateaus is least, with its interval; NaN if there is none.
        inverse_variance: The weight of the inverse-variance rule from the noises measured at λ = 0 and 1.
    """

    key: ArmKey
    mixing: list[float]
    noise: list[Estimate]
    predicted_noise: list[float]
    plateau: list[Estimate]
    predicted_plateau: list[float]
    predicted: float
    minimum: Estimate
    inverse_variance: Estimate

    @property
    def label(self) -> str:
        """The teacher's name."""
        return self.key.label

    @property
    def one_hot_plateau(self) -> float:
        """The predicted plateau of one-hot labels alone, nats."""
        return self.predicted_plateau_at(0.0)

    def predicted_plateau_at(self, mixing: float) -> float:
        """The law at any λ, from the predictions in the table."""
        square = np.array([[(1.0 - at) ** 2, at**2] for at in self.mixing])
        one_hot, teacher = np.linalg.lstsq(square, np.array(self.predicted_plateau), rcond=None)[0]
        return float((1.0 - mixing) ** 2 * one_hot + mixing**2 * teacher)

    def at(self, mixing: float) -> Estimate:
        """The measured plateau at a λ of the table."""
        return self.plateau[self.mixing.index(mixing)] if mixing in self.mixing else NO_ESTIMATE

    @property
    def nearest(self) -> float:
        """The measured λ nearest to λ*."""
        return min(self.mixing, key=lambda at: abs(at - self.predicted))

    @property
    def tied(self) -> list[float]:
        """The measured λ whose plateau is not measurably above the least one."""
        known = [value for value in self.plateau if value.measured]
        least = min((value.upper for value in known), default=math.nan)
        return [at for at, value in zip(self.mixing, self.plateau, strict=True) if value.lower <= least]


def read_mixtures(table: pd.DataFrame) -> list[Mixture]:
    """The teachers of the table ``mixture`` in their order; empty where it was not run."""
    if missing(table, COLUMNS):
        return []
    groups: dict[str, tuple[ArmKey, list[dict[Any, Any]]]] = {}
    for row in table.sort_values("mixing").to_dict("records"):
        key = key_of({**row, "mixing": 1.0})
        groups.setdefault(key.label, (key, []))[1].append(row)
    ranked = sorted(groups.values(), key=lambda group: group[0].order)
    return [_mixture(key, rows) for key, rows in ranked]


def _mixture(key: ArmKey, rows: Sequence[dict[Any, Any]]) -> Mixture:
    mixing = [float(row["mixing"]) for row in rows]
    noise = [estimate_of(row, "measured_noise") for row in rows]
    plateau = [estimate_of(row, "plateau") for row in rows]
    ends = [noise[mixing.index(end)] if end in mixing else NO_ESTIMATE for end in (0.0, 1.0)]
    return Mixture(
        key,
        mixing,
        noise,
        [float(row["predicted_noise"]) for row in rows],
        plateau,
        [float(row["predicted_plateau"]) for row in rows],
        float(rows[0]["lambda_star"]),
        estimate_of(rows[0], "lambda_hat"),
        inverse_variance_weight(*ends),
    )


def inverse_variance_weight(one_hot: Estimate, teacher: Estimate) -> Estimate:
    """The teacher's weight (1/σₜ) / (1/σ₁ + 1/σₜ) = r / (1 + r), r = σ₁/σₜ, with the interval of r carried over."""
    return Estimate(*(end / (1.0 + end) if math.isfinite(end) else end for end in ratio(one_hot, teacher)))
