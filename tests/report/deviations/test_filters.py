"""The closed form against step-by-step descent."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kd_uncertainty.report.deviations.filters import filter_of, learning_rate, progress_and_law

from .study import EIGENVALUES, RATE


@pytest.mark.parametrize("eigenvalue", EIGENVALUES)
def test_the_filter_is_what_descent_learns(eigenvalue):
    weight = 0.0
    for step in range(1, 50):
        weight += RATE * eigenvalue * (1.0 - weight)
        assert filter_of(RATE, eigenvalue, step) == pytest.approx(weight, rel=1e-12)


def test_the_filter_keeps_its_accuracy_where_little_is_learnt():
    assert filter_of(1e-9, 1e-6, 1.0) == pytest.approx(1e-15, rel=1e-9)


def test_rate_and_law_are_read_from_the_paths(tables):
    frame = tables["eigenspace_trajectories"]
    own = frame[(frame["model"] == "linear_squared") & (frame["teacher_stop"] == 200)]
    assert learning_rate(own) == pytest.approx(RATE)
    pairs = progress_and_law(frame)
    assert len(pairs) > 20
    np.testing.assert_allclose([value.estimate for value, _ in pairs], [law for _, law in pairs])
    assert all(0.1 <= law <= 0.9 for _, law in pairs)


def test_without_the_first_step_there_is_no_law(tables):
    frame = tables["eigenspace_trajectories"]
    assert math.isnan(learning_rate(frame[frame["step"] != 1]))
    assert progress_and_law(frame[frame["step"] != 1]) == []
    assert progress_and_law(frame[:0]) == []
