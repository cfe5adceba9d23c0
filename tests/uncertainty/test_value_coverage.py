"""How often nominal 95 % intervals of real-valued predictions contain a truth that is known in closed form.

The students are linear: least squares on 40 inputs of a world's own, predicting 100 fresh test points x ~ N(0, I). What
varies the targets by sigma^2 varies the predictions by sigma^2 x'(X'X)^-1 x, on average sigma^2 tr (X'X)^-1 with the
intercept counted. Print the figures of a docstring below with
``python -c "from tests.uncertainty.test_value_coverage import effects_coverage; print(effects_coverage())"``.
"""

import numpy as np
import pytest

from kd_uncertainty.population.linear.design import make_design, predict
from kd_uncertainty.population.linear.population import train_students
from kd_uncertainty.population.linear.shared import noisy_students, parameter_covariance
from kd_uncertainty.uncertainty.components import crossed_design
from kd_uncertainty.uncertainty.mean_squares import MEAN_SQUARE_STATISTICS
from kd_uncertainty.uncertainty.resampling import Multipliers, interval
from kd_uncertainty.uncertainty.values import SplitValues, sample_values

from .worlds import EFFECTS, crossing

EXAMPLES, FEATURES, POINTS = 40, 6, 100
DEVIATIONS = (1.0, 0.7, 0.4, 0.4, 0.3, 0.3, 0.4)
LOWEST, HIGHEST = 0.92, 0.98


def hits_of(values, truth, shape, repetition):
    """Whether the intervals of predictions (students, points) contain the truth, one by one."""
    multipliers = Multipliers(400, repetition)
    sampled = sample_values(SplitValues(values), "test", crossed_design(crossing(shape)), multipliers)
    lower, upper = interval(sampled.replicates, 0.95)
    return (lower <= truth) & (truth <= upper)


def truth_of(variances, shape):
    """Every statistic's expectation from the variances of ``EFFECTS``."""
    variances = np.asarray(variances)
    # A crossing of so many levels shows this share of an effect as variance between its students (ddof 0).
    shown = [1.0 - 1.0 / np.prod([n for n, present in zip(shape, one, strict=True) if present]) for one in EFFECTS]
    return np.array([shown @ variances, variances.sum(), *variances[:3], variances[3:].sum()])


def least_squares_coverage(num_students=8, num_responses=4, repetitions=1000):
    """Share of worlds whose inter-student variance and response component lie in their intervals.

    The students are those of ``kd_uncertainty.population.linear``: they differ in their responses alone.
    """
    rng = np.random.default_rng(0)
    shape = (num_students, 1, 1)
    hits = []
    for repetition in range(repetitions):
        design = make_design(rng.standard_normal((EXAMPLES, FEATURES)))
        train = noisy_students(design, rng.standard_normal(EXAMPLES), 0.7, num_responses=num_responses)
        students = train_students(train, rng.integers(2**63, size=num_students, dtype=np.uint64))
        variance = np.trace(parameter_covariance(design, 0.7, num_responses))
        values = predict(students, rng.standard_normal((POINTS, FEATURES)))
        hits.append(hits_of(values, truth_of([variance, 0, 0, 0, 0, 0, 0], shape), shape, repetition))
    return dict(zip(MEAN_SQUARE_STATISTICS[:3], np.mean(hits, axis=0).tolist(), strict=False))


def effects_coverage(shape=(8, 3, 3), repetitions=1000, deviations=DEVIATIONS, features=FEATURES):
    """Share of worlds whose statistics lie in their intervals, for linear students with every kind of effect.

    Response, initialisation, order and each interaction add independent noise of the given standard deviation to a
    student's targets.
    """
    rng = np.random.default_rng(1)
    hits = []
    for repetition in range(repetitions):
        design = make_design(rng.standard_normal((EXAMPLES, features)))
        targets = np.zeros((*shape, EXAMPLES))
        for effect, deviation in zip(EFFECTS, deviations, strict=True):
            levels = tuple(n if present else 1 for n, present in zip(shape, effect, strict=True))
            targets = targets + deviation * rng.standard_normal((*levels, EXAMPLES))
        students = targets.reshape(-1, EXAMPLES) @ design.pseudo_inverse
        variances = np.square(deviations) * np.trace(parameter_covariance(design, 1.0))
        values = predict(students, rng.standard_normal((POINTS, features)))
        hits.append(hits_of(values, truth_of(variances, shape), shape, repetition))
    return dict(zip(MEAN_SQUARE_STATISTICS, np.mean(hits, axis=0).tolist(), strict=True))


def test_intervals_cover_quickly():
    """60 worlds each; a binomial with 0.95 falls below 0.85 once in 500."""
    found = [*effects_coverage(repetitions=60).values(), *least_squares_coverage(repetitions=60).values()]
    assert min(found) >= 0.85, found


@pytest.mark.slow
@pytest.mark.parametrize("num_students", [4, 8, 24])
def test_intervals_of_least_squares_students_cover(num_students):
    found = least_squares_coverage(num_students)
    assert all(LOWEST <= share <= HIGHEST for share in found.values()), found


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(8, 3, 3), (6, 6, 6)])
def test_intervals_of_linear_students_with_every_effect_cover(shape):
    found = effects_coverage(shape)
    assert all(LOWEST <= share <= HIGHEST for share in found.values()), found
