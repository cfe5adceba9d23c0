"""How often nominal 95 % intervals of real-valued predictions contain a truth that is known in closed form.

Print the figures of a table below with, for example,
``python -c "from tests.uncertainty.test_value_coverage import effects_coverage; print(effects_coverage())"``.
"""

import numpy as np
import pytest

from kd_uncertainty.population.linear.design import make_design, predict
from kd_uncertainty.population.linear.population import train_students
from kd_uncertainty.population.linear.shared import noisy_students, parameter_covariance
from kd_uncertainty.uncertainty.components import COMPONENTS, crossed_design
from kd_uncertainty.uncertainty.resampling import Multipliers, interval
from kd_uncertainty.uncertainty.values import SplitValues, sample_values

from .worlds import EFFECTS, crossing

FEATURES = 6
DEVIATIONS = (1.0, 0.7, 0.4, 0.4, 0.3, 0.3, 0.4)
BAND = (0.92, 0.98)


def interval_of(values, shape, repetition):
    """Bounds (2, components) of predictions (students, examples)."""
    multipliers = Multipliers(400, repetition)
    sampled = sample_values(SplitValues(values), "test", crossed_design(crossing(shape)), multipliers)
    return np.stack(interval(sampled.replicates[:, 1:], 0.95))


def covered(bounds, truth):
    lower, upper = bounds
    return (lower <= truth) & (truth <= upper)


def least_squares_coverage(num_students=8, num_responses=4, repetitions=1000):
    """Share of worlds whose response component and inter-student variance lie in their intervals.

    Each world has its own inputs, closed-form students of a noisy linear teacher, and 100 fresh test points. The truth
    is the mean of sigma^2 x'(X'X)^-1 x / k over the distribution of test points, x ~ N(0, I) with an intercept:
    sigma^2 tr (X'X)^-1 / k.
    """
    rng = np.random.default_rng(0)
    hits = []
    for repetition in range(repetitions):
        design = make_design(rng.standard_normal((40, FEATURES)))
        train = noisy_students(design, rng.standard_normal(40), 0.7, num_responses=num_responses)
        students = train_students(train, rng.integers(2**63, size=num_students, dtype=np.uint64))
        values = predict(students, rng.standard_normal((100, FEATURES)))
        truth = np.trace(parameter_covariance(design, 0.7, num_responses))
        bounds = interval_of(values, (num_students, 1, 1), repetition)
        hits.append(covered(bounds, truth)[:2])
    return dict(zip(COMPONENTS, np.mean(hits, axis=0), strict=False))


def effects_coverage(shape=(8, 3, 3), repetitions=1000, deviations=DEVIATIONS, features=FEATURES):
    """Share of worlds whose components lie in their intervals, for linear students with every kind of effect.

    The students' parameters are a common vector plus independent Gaussian effects of response, initialisation, order
    and all interactions, each with a covariance of its own. Test points x ~ N(0, I), so an effect with covariance S
    has the component tr S.
    """
    rng = np.random.default_rng(1)
    hits = []
    for repetition in range(repetitions):
        parameters = np.zeros((*shape, features))
        components = []
        for effect, deviation in zip(EFFECTS, deviations, strict=True):
            root = deviation * rng.standard_normal((features, features)) / features
            levels = tuple(n if present else 1 for n, present in zip(shape, effect, strict=True))
            parameters = parameters + rng.standard_normal((*levels, features)) @ root
            components.append(np.square(root).sum())
        values = parameters.reshape(-1, features) @ rng.standard_normal((features, 100))
        truth = np.array([sum(components), *components[:3], sum(components[3:])])
        hits.append(covered(interval_of(values, shape, repetition), truth))
    return dict(zip(COMPONENTS, np.mean(hits, axis=0), strict=True))


def test_intervals_cover_quickly():
    """60 worlds each; a binomial with 0.95 falls below 0.85 once in 500."""
    found = [*effects_coverage(repetitions=60).values(), *least_squares_coverage(repetitions=60).values()]
    assert min(found) >= 0.85, found


@pytest.mark.slow
@pytest.mark.parametrize("num_students", [4, 8, 24])
def test_intervals_of_least_squares_students_cover(num_students):
    found = least_squares_coverage(num_students)
    assert all(BAND[0] <= share <= BAND[1] for share in found.values()), found


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(8, 3, 3), (6, 6, 6)])
def test_intervals_of_linear_students_with_every_effect_cover(shape):
    found = effects_coverage(shape)
    assert all(BAND[0] <= share <= BAND[1] for share in found.values()), found
