"""The shared law of the two papers: against its closed form and against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.convergence.law import inverse_variance_weight, read_mixtures

from .study import RATES, SIGMA, best_mixing, noise_of, teachers


def test_mixtures_are_read_by_teacher(tables):
    found = read_mixtures(tables["mixture"].sample(frac=1.0, random_state=0))  # in any order of rows
    assert [(one.key.arm, one.key.level) for one in found] == teachers()
    for one in found:
        arm, level = one.key.arm, one.key.level
        assert one.mixing == sorted(one.mixing)
        assert one.predicted == best_mixing(arm, level)
        assert one.one_hot_plateau == pytest.approx(RATES[0] * SIGMA / 4.0)
        assert one.predicted_plateau_at(1.0) == pytest.approx(RATES[0] * noise_of(arm, level) / 4.0)
        assert not one.at(0.3).known  # not measured there


def test_the_law_is_least_at_lambda_star_where_it_is_one_less_it(tables):
    weights = np.linspace(0.0, 1.0, 100_001)
    for one in read_mixtures(tables["mixture"]):
        heights = np.array([one.predicted_plateau_at(at) for at in (0.0, 1.0)])
        law = ((1.0 - weights) ** 2 * heights[0] + weights**2 * heights[1]) / one.one_hot_plateau
        assert weights[law.argmin()] == pytest.approx(one.predicted, abs=1e-5)
        assert law.min() == pytest.approx(1.0 - one.predicted, abs=1e-9)


def test_the_law_needs_neither_end(tables):
    frame = tables["mixture"]
    whole = read_mixtures(frame)[0].predicted_plateau_at(0.0)
    inner = read_mixtures(frame[frame["mixing"].between(0.2, 0.8)])[0]
    assert inner.predicted_plateau_at(0.0) == pytest.approx(whole)
    assert not inner.inverse_variance.known


def test_the_weight_minimises_the_variance_of_the_weighted_sum():
    one_hot, teacher = 2.0, 0.7
    found = inverse_variance_weight(*(Estimate(value, 0.9 * value, 1.1 * value) for value in (one_hot, teacher)))
    weights = np.linspace(0.0, 1.0, 10_001)
    variances = (1.0 - weights) ** 2 * one_hot + weights**2 * teacher
    assert found.estimate == pytest.approx(weights[variances.argmin()], abs=1e-4)
    assert found.lower < found.estimate < found.upper


def test_the_interval_of_the_weight_covers():
    rng = np.random.default_rng(2)
    error, count = 0.1, 4000
    draws = [value * np.exp(rng.normal(0.0, error, count)) for value in (2.0, 0.7)]
    inside = 0
    for pair in zip(*draws, strict=True):
        bounds = (Estimate(v, v * math.exp(-1.96 * error), v * math.exp(1.96 * error)) for v in pair)
        found = inverse_variance_weight(*bounds)
        inside += found.lower <= 2.0 / 2.7 <= found.upper
    assert inside / count == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / count))


def test_ties_are_what_is_not_measurably_above_the_least(tables):
    one = read_mixtures(tables["mixture"])[0]  # λ* = 0.8
    assert 0.75 in one.tied
    assert 0.0 not in one.tied
    assert one.nearest == 0.75
