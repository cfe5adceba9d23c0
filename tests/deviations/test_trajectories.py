"""Gradient descent of the models: against automatic differentiation and the closed form."""

import numpy as np
import pytest
import torch

from kd_uncertainty.deviations.filters import descent_rates, student_filter, teacher_filter
from kd_uncertainty.deviations.trajectories import Descent, LinearCrossEntropy, LinearSquared, TwoLayers

SEEDS, EXAMPLES, INPUTS, CLASSES, HIDDEN = 3, 40, 6, 3, 5


def task(seed=0):
    generator = np.random.default_rng(seed)
    inputs = generator.standard_normal((SEEDS, EXAMPLES, INPUTS)) * np.arange(1, INPUTS + 1) ** -0.75
    targets = generator.random((SEEDS, EXAMPLES, CLASSES))
    return inputs - inputs.mean(axis=1, keepdims=True), targets / targets.sum(axis=2, keepdims=True)


def state_of(learner, seed=1):
    generator = np.random.default_rng(seed)
    if isinstance(learner, TwoLayers):
        shapes = [(INPUTS, HIDDEN), (1, HIDDEN), (HIDDEN, CLASSES), (1, CLASSES)]
    else:
        shapes = [(INPUTS, CLASSES)]
    return tuple(generator.standard_normal((SEEDS, *shape)) for shape in shapes)


def loss(learner, state, inputs, targets):
    """Sum over seeds of the mean loss, in torch."""
    if isinstance(learner, TwoLayers):
        outputs = torch.relu(inputs @ state[0] + state[1]) @ state[2] + state[3]
    else:
        outputs = inputs @ state[0]
    if isinstance(learner, LinearSquared):
        return ((outputs - targets) ** 2).sum() / 2 / EXAMPLES
    return -(targets * torch.log_softmax(outputs, dim=2)).sum() / EXAMPLES


def directions_of(inputs):
    values, vectors = np.linalg.eigh(np.swapaxes(inputs, 1, 2) @ inputs / inputs.shape[1])
    return values[:, ::-1], vectors[:, :, ::-1]


@pytest.mark.parametrize("learner", [LinearSquared(), LinearCrossEntropy(), TwoLayers()])
def test_gradients_are_those_of_autograd(learner):
    inputs, targets = task()
    state = state_of(learner)
    leaves = [torch.from_numpy(values).requires_grad_() for values in state]
    expected = torch.autograd.grad(loss(learner, leaves, torch.from_numpy(inputs), torch.from_numpy(targets)), leaves)
    for found, wanted in zip(learner.gradients(state, inputs, targets), expected, strict=True):
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-13)


@pytest.mark.parametrize("learner", [LinearCrossEntropy(), TwoLayers()])
def test_answers_are_probabilities(learner):
    answers = learner.answers(state_of(learner), task()[0])
    np.testing.assert_allclose(answers.sum(axis=2), 1.0, atol=1e-14)
    assert (answers > 0.0).all()


def test_squared_loss_follows_the_closed_form():
    """Teacher, and student of the stopped teacher, to 1e-10 of the least-squares solution's size in each direction."""
    inputs, targets = task()
    values, vectors = directions_of(inputs)
    rate, stop, steps = 0.3, 50, 400
    learner = LinearSquared()
    descent = Descent(learner, inputs, rate / values[:, 0], vectors)
    start = (np.zeros((SEEDS, INPUTS, CLASSES)),)
    teacher = descent.follow(start, targets, steps, keep=[stop])
    student = descent.follow(start, learner.answers(teacher.states[stop], inputs), steps)
    solution = np.linalg.pinv(inputs) @ targets
    final = np.linalg.norm(np.swapaxes(vectors, 1, 2) @ solution, axis=2)[:, None]
    times = np.arange(steps + 1)[:, None]
    for seed in range(SEEDS):
        rates = descent_rates(values[seed], rate / values[seed, 0])
        expected = teacher_filter(rates, times), student_filter(rates, times, stop)
        np.testing.assert_allclose(teacher.sizes[seed] / final[seed], expected[0], atol=1e-10)
        np.testing.assert_allclose(student.sizes[seed] / final[seed], expected[1], atol=1e-10)
    assert expected[1].max(axis=0).min() < 0.9  # the stop is felt


def test_small_steps_follow_gradient_flow():
    inputs, targets = task()
    values, vectors = directions_of(inputs)
    descent = Descent(LinearSquared(), inputs, 1e-3 / values[:, 0], vectors)
    sizes = descent.follow((np.zeros((SEEDS, INPUTS, CLASSES)),), targets, 1000).sizes
    final = np.linalg.norm(np.swapaxes(vectors, 1, 2) @ (np.linalg.pinv(inputs) @ targets), axis=2)
    flow = teacher_filter(values / values[:, :1], 1.0)
    np.testing.assert_allclose(sizes[:, -1] / final, flow, rtol=1e-3)
    assert np.abs(sizes[:, -1] / final / flow - 1).max() > 1e-5  # gradient descent it is


def test_heavy_ball_follows_its_recursion():
    inputs, targets = task()
    values, vectors = directions_of(inputs)
    rates = 0.05 / values[:, 0]
    sizes = (
        Descent(LinearSquared(), inputs, rates, vectors, 0.9)
        .follow((np.zeros((SEEDS, INPUTS, CLASSES)),), targets, 60)
        .sizes
    )
    final = np.linalg.norm(np.swapaxes(vectors, 1, 2) @ (np.linalg.pinv(inputs) @ targets), axis=2)
    learnt, speed, path = np.zeros_like(final), np.zeros_like(final), [np.zeros_like(final)]
    for _ in range(60):
        speed = 0.9 * speed + values * (learnt - 1.0)
        learnt = learnt - rates[:, None] * speed
        path.append(learnt)
    np.testing.assert_allclose(sizes, np.abs(np.stack(path, axis=1)) * final[:, None], atol=1e-12)


def test_a_seed_does_not_depend_on_its_neighbours():
    inputs, targets = task()
    learner = TwoLayers()
    _, vectors = directions_of(inputs)
    start = state_of(learner)
    rates = np.array([0.1, 0.2, 0.3])
    whole = Descent(learner, inputs, rates, vectors).follow(start, targets, 20, keep=[0, 20])
    alone = Descent(learner, inputs[1:2], rates[1:2], vectors[1:2]).follow(
        tuple(values[1:2] for values in start), targets[1:2], 20
    )
    np.testing.assert_array_equal(whole.sizes[1:2], alone.sizes)
    np.testing.assert_array_equal(whole.states[0][0], start[0])
    moved = np.swapaxes(vectors, 1, 2) @ (whole.states[20][0] - start[0])
    np.testing.assert_allclose(whole.sizes[:, 20], np.sqrt((moved**2).sum(axis=2)), rtol=1e-13)


def test_progress_is_told():
    inputs, targets = task()
    told = []
    descent = Descent(LinearSquared(), inputs, np.full(SEEDS, 0.1), directions_of(inputs)[1])
    descent.follow((np.zeros((SEEDS, INPUTS, CLASSES)),), targets, 7, advance=told.append)
    assert sum(told) == 7
