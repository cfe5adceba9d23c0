"""What the sections share: students' noise and what trains students."""

import numpy as np
import pytest

from kd_uncertainty.population.linear.noise import standard_normals
from kd_uncertainty.regression._cells import NoiseSums, make_learner, seeds_of
from tests.regression.worlds import QUICK, hat_matrices, task


def test_moments_are_those_of_the_responses_themselves():
    seeds = seeds_of(3, "response", 4)
    noise = np.stack([standard_normals(seeds, stream, 6) for stream in range(5)])
    few, many, means = NoiseSums(seeds, 6), NoiseSums(seeds, 6), np.arange(6.0)
    few.extend(2)
    many.extend(3)
    many.extend(5)
    many.extend(1)  # is there already
    found = many.responses(means, 2.0)
    responses = means + 2.0 * noise
    np.testing.assert_allclose(found.mean, responses.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.variance, responses.var(0), rtol=1e-10)
    assert found.num_responses == 5
    np.testing.assert_allclose(many.later_mean(few, means, 2.0), responses[2:].mean(0), rtol=1e-12)
    one = NoiseSums(seeds, 6)
    one.extend(1)
    np.testing.assert_array_equal(one.responses(means, 2.0).variance, 0.0)


def test_linear_teacher_is_least_squares():
    data = task()
    hat, to_test = hat_matrices(data)
    learner = make_learner("linear", data, QUICK, seed=1)
    np.testing.assert_allclose(learner.means, hat @ data.train_targets, rtol=1e-10)
    np.testing.assert_allclose(learner.teacher.test[0], to_test @ data.train_targets, rtol=1e-10)


@pytest.mark.parametrize("model", ["linear", "network"])
def test_a_student_depends_on_its_targets_number_and_purpose_alone(model):
    data = task(20, 2, 5)
    learner = make_learner(model, data, QUICK, seed=1)
    targets = data.train_targets + 10 * np.random.default_rng(0).standard_normal((6, 20))
    together, alone = learner.learn(targets, "student"), learner.learn(targets[:2], "student")
    np.testing.assert_array_equal(together.test[:2], alone.test)
    np.testing.assert_array_equal(together.train[:2], alone.train)
    pilots = learner.learn(targets, "pilot")
    assert (pilots.test == together.test).all() == (model == "linear")  # networks start elsewhere


def test_network_teacher_learns_and_equal_targets_leave_the_initialisation():
    data = task(60, 3, 20)
    learner = make_learner("network", data, QUICK, seed=1)
    assert np.mean((learner.means - data.train_targets) ** 2) < 0.5 * data.target_variance
    students = learner.learn(np.tile(learner.means, (3, 1)), "student").test
    assert students.var(axis=0).min() > 0.0


def test_progress_is_told_of_students_and_not_of_the_teacher():
    for model in ("linear", "network"):
        told = []
        learner = make_learner(model, task(20, 2, 5), QUICK, 1, progress=told.append)
        assert not told
        learner.learn(np.tile(learner.means, (7, 1)), "student")
        assert sum(told) == 7
