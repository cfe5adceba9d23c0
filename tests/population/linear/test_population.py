"""Populations: moments of exactly these students, at any number of threads, in bounded memory."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.linear.bootstrap import bootstrap_students
from kd_uncertainty.population.linear.design import make_design, predict
from kd_uncertainty.population.linear.moments import moments_of
from kd_uncertainty.population.linear.population import (
    PIECE,
    linear_population,
    merge_populations,
    train_students,
)
from kd_uncertainty.population.linear.shared import noisy_students
from tests.population.linear.worlds import regression, seeds_of


def trains():
    inputs, means = regression(50, 4)
    design = make_design(inputs)
    return {"noisy": noisy_students(design, means, 1.0), "bootstrap": bootstrap_students(design, means**2, 50)}


@pytest.mark.parametrize("kind", ["noisy", "bootstrap"])
@pytest.mark.parametrize("count", [1, 2, 191, PIECE, 2 * PIECE + 5])
def test_moments_are_those_of_the_students(kind, count):
    train, seeds = trains()[kind], seeds_of(count)
    points = np.random.default_rng(0).standard_normal((7, 4))
    found = linear_population(train, seeds, points=points)
    parameters = train_students(train, seeds)
    assert parameters.shape == (count, 5)
    expected = moments_of(parameters, products=True)
    assert found.parameters.students == found.predictions.students == count
    np.testing.assert_allclose(found.parameters.mean, expected.mean, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(found.parameters.scatter, expected.scatter, rtol=1e-11, atol=1e-11)
    predictions = parameters[:, :4] @ points.T + parameters[:, 4:]
    np.testing.assert_allclose(found.predictions.mean, predictions.mean(0), rtol=1e-12)
    if count > 1:
        np.testing.assert_allclose(found.predictions.variance, predictions.var(0, ddof=1), rtol=1e-10)


@pytest.mark.parametrize("kind", ["noisy", "bootstrap"])
def test_threads_change_no_bit(kind):
    train, seeds, points = trains()[kind], seeds_of(4 * PIECE + 3), np.eye(4)
    one = linear_population(train, seeds, points=points)
    for threads in (2, 5):
        many = linear_population(train, seeds, points=points, threads=threads)
        for found, expected in ((many.parameters, one.parameters), (many.predictions, one.predictions)):
            np.testing.assert_array_equal(found.mean, expected.mean)
            np.testing.assert_array_equal(found.scatter, expected.scatter)


def test_populations_merge():
    train, seeds = trains()["noisy"], seeds_of(1000)
    both = merge_populations(*(linear_population(train, half, points=np.eye(4)) for half in np.split(seeds, [300])))
    whole = linear_population(train, seeds, points=np.eye(4))
    np.testing.assert_allclose(both.parameters.covariance, whole.parameters.covariance, rtol=1e-11)
    np.testing.assert_allclose(both.predictions.mean, whole.predictions.mean, rtol=1e-13)
    without = merge_populations(linear_population(train, seeds), whole)
    assert without.parameters.students == 2000
    assert without.predictions is None


def test_students_without_an_intercept():
    inputs, means = regression(50, 4)
    train = noisy_students(make_design(inputs, intercept=False), means, 1.0)
    seeds = seeds_of(500)
    found = linear_population(train, seeds, points=inputs)
    expected = predict(train_students(train, seeds), inputs)
    np.testing.assert_allclose(found.predictions.variance, expected.var(0, ddof=1), rtol=1e-11)


def test_memory_does_not_grow_with_the_students():
    train = trains()["noisy"]
    peaks = []
    for count in (2 * PIECE, 20 * PIECE):
        seeds = seeds_of(count)
        tracemalloc.start()
        try:
            linear_population(train, seeds, points=np.eye(4))
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2


@pytest.mark.parametrize("seeds", [np.zeros(0, np.uint64), np.zeros((2, 2), np.uint64)])
def test_students_need_seeds(seeds):
    with pytest.raises(UserError, match="the seeds must be a list of at least one number"):
        linear_population(trains()["noisy"], seeds)
    with pytest.raises(UserError, match="the seeds must be a list"):
        train_students(trains()["noisy"], seeds)


MILLION = """
import resource
import numpy as np
from kd_uncertainty.population.linear.design import make_design
from kd_uncertainty.population.linear.population import linear_population
from kd_uncertainty.population.linear.shared import noisy_students, prediction_variance
generator = np.random.default_rng(0)
inputs = generator.standard_normal((200, 20))
design, means = make_design(inputs), inputs @ generator.standard_normal(20)
train = noisy_students(design, means, 1.5)
linear_population(train, np.arange(30_000), points=inputs, threads=2)  # libraries are loaded, pages touched
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = linear_population(train, np.arange(1_000_000), points=inputs, threads=2)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
ratio = found.predictions.variance / prediction_variance(design, inputs, 1.5)
assert found.parameters.students == 1_000_000
assert np.abs(ratio - 1).max() < 4.5 * np.sqrt(2 / 999_999), ratio
assert grown < 40 * 1024, grown  # KiB: the seeds are 8 MB, all noise would be 1.6 GB
"""


@pytest.mark.slow
def test_a_million_students_in_bounded_memory():
    if sys.platform != "linux":
        pytest.skip("peaks of memory have another unit")
    subprocess.run([sys.executable, "-c", MILLION], check=True)


@pytest.mark.parametrize(
    "seeds",
    [
        np.array([1.2, 1.7]),
        np.array([1.0, 2.0]),
        [1, 2.5],
        [-1],
        np.array([3, -1]),
        [1 << 64],
        np.array([True]),
        [True],
        ["1"],
    ],
)
def test_seeds_that_would_be_rounded_or_wrapped_are_refused(seeds):
    for run in (train_students, linear_population):
        with pytest.raises(UserError, match=r"seeds must be integers from 0 to 2\^64 - 1"):
            run(trains()["noisy"], seeds)


def test_integers_of_any_type_are_seeds():
    train = trains()["noisy"]
    large = [5, 2**63 + 1, 2**64 - 1]
    expected = train_students(train, np.array(large, np.uint64))
    np.testing.assert_array_equal(train_students(train, large), expected)
    for kind in (np.int8, np.int64, np.uint32):
        np.testing.assert_array_equal(train_students(train, np.array([5], kind)), expected[:1])


@pytest.mark.parametrize("threads", [0, -1, 1.5])
def test_threads_below_one_are_refused(threads):
    for run in (train_students, linear_population):
        with pytest.raises(UserError, match=rf"threads is {threads}; set it to a whole number, 1 or more"):
            run(trains()["noisy"], seeds_of(3), threads=threads)
