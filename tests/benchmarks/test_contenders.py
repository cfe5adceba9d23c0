"""All contenders do the same work: equal losses in the mean over students, and equal pieces where they are exact."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import contenders
from benchmarks.contenders import CONTENDERS, ours, torch_loops

from .problems import small

PROBLEMS = {
    "soft labels": {},
    "T = 4, mixing 0.9": {"temperature": 4.0, "mixing": 0.9},
    "two hidden layers": {"hidden": (8, 6)},
    "squared errors, all examples": {"loss": "mse", "batch_size": 50},
    "squared errors, mixed": {"loss": "mse", "mixing": 0.3},
}


@cache
def reference(case: str) -> tuple[float, float]:
    """Mean and standard error of the loss that an independent implementation, in numpy, ends with."""
    losses = [_train_by_hand(small(**PROBLEMS[case]), student) for student in range(40)]
    return float(np.mean(losses)), float(np.std(losses, ddof=1) / np.sqrt(len(losses)))


def _train_by_hand(problem: Any, student: int) -> float:
    generator = np.random.default_rng([99, student])
    layers = []
    for fan_in, fan_out in pairwise(problem.widths):
        bound = fan_in**-0.5
        layers += [generator.uniform(-bound, bound, (fan_in, fan_out)), generator.uniform(-bound, bound, fan_out)]
    means, squares, steps = [0.0] * len(layers), [0.0] * len(layers), 0
    targets, count = problem.table(student).astype(float), len(problem.inputs)
    labels = problem.labels if problem.loss == "mse" else np.eye(targets.shape[1])[problem.labels]
    total = 0.0
    for _ in range(problem.epochs):
        total, order = 0.0, generator.permutation(count)
        for rows in np.split(order, range(problem.batch_size, count, problem.batch_size)):
            loss, gradients = _gradients(problem, layers, problem.inputs[rows], labels[rows], targets[rows])
            steps, total = steps + 1, total + loss * len(rows)
            for i, gradient in enumerate(gradients):
                means[i] = 0.9 * means[i] + 0.1 * gradient
                squares[i] = 0.999 * squares[i] + 0.001 * gradient**2
                step = means[i] / (1 - 0.9**steps) / (np.sqrt(squares[i] / (1 - 0.999**steps)) + 1e-8)
                layers[i] = layers[i] - problem.learning_rate * step
    return total / count


def _gradients(problem: Any, layers: list[Any], inputs: Any, labels: Any, targets: Any) -> tuple[float, list[Any]]:
    activations = [inputs.astype(float)]
    for position in range(0, len(layers), 2):
        outputs = activations[-1] @ layers[position] + layers[position + 1]
        activations.append(outputs if position == len(layers) - 2 else np.maximum(outputs, 0))
    loss, delta = _loss_and_residual(problem, activations[-1], labels, targets)
    gradients: list[Any] = []
    for position in range(len(layers) - 2, -2, -2):
        before = activations[position // 2]
        gradients = [before.T @ delta, delta.sum(0), *gradients]
        delta = delta @ layers[position].T * (before > 0)
    return loss, gradients


def _loss_and_residual(problem: Any, outputs: Any, labels: Any, targets: Any) -> tuple[float, Any]:
    mixing, temperature = problem.mixing, problem.temperature
    if problem.loss == "mse":
        hard, soft = ((outputs - labels) ** 2).mean(), ((outputs - targets) ** 2).mean()
        residual = 2 * (outputs - (1 - mixing) * labels - mixing * targets) / outputs.size
        return (1 - mixing) * hard + mixing * soft, residual
    one, softened = _softmax(outputs), _softmax(outputs / temperature)
    hard = -(labels * np.log(one)).sum(-1).mean()
    soft = -(targets * np.log(softened)).sum(-1).mean() * temperature**2
    residual = (1 - mixing) * (one - labels) + mixing * temperature * (softened - targets)
    return (1 - mixing) * hard + mixing * soft, residual / len(outputs)


def _softmax(logits: Any) -> Any:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize("case", PROBLEMS)
@pytest.mark.parametrize("name", [name for name, contender in CONTENDERS.items() if contender.yardstick])
def test_every_contender_ends_with_the_loss_of_an_implementation_by_hand(name, case):
    contender = CONTENDERS[name]
    if name == "jax":
        pytest.importorskip("jax")
    if name == "native":
        _skip_without_a_compiler()
    students = 12 if contender.sequential else 64
    train = contenders.load(contender.function)
    threads = torch.get_num_threads()
    try:
        losses = train(small(**PROBLEMS[case]), range(students), 5, 1, **contender.settings[0])
    finally:
        torch.set_num_threads(threads)
    assert losses.shape == (students,)
    assert len(set(losses.tolist())) == students  # every student starts elsewhere
    mean, error = reference(case)
    own_error = losses.std(ddof=1) / np.sqrt(students)
    assert abs(losses.mean() - mean) < 4.5 * np.hypot(error, own_error)


def _skip_without_a_compiler():
    from kd_uncertainty.errors import UserError

    try:
        ours.train(small(epochs=1), range(2), 0, 1, backend="native")
    except UserError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", ["indexing", "vmap", "jax"])
def test_the_seed_decides_the_students(name):
    if name == "jax":
        pytest.importorskip("jax")
    contender = CONTENDERS[name]
    train = contenders.load(contender.function)
    first, again, other = (train(small(), range(4), seed, 1, **contender.settings[0]) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not set(first.tolist()) & set(other.tolist())


@pytest.mark.parametrize("name", ["indexing", "vmap", "jax"])
def test_students_dealt_out_are_the_same_students(name):
    if name == "jax":
        pytest.importorskip("jax")
    contender = CONTENDERS[name]
    train = contenders.load(contender.function)
    setting = contender.settings[0]
    parts = [train(small(), share, 3, 1, **setting) for share in (range(3), range(3, 7))]
    np.testing.assert_allclose(np.concatenate(parts), train(small(), range(7), 3, 1, **setting), rtol=2e-5)


@pytest.mark.parametrize("adam", ["default", "foreach", "fused"])
def test_implementations_of_adam_agree(adam):
    expected = torch_loops.indexing_loop(small(), range(3), 1, 1)
    np.testing.assert_allclose(torch_loops.indexing_loop(small(), range(3), 1, 1, adam=adam), expected, rtol=1e-5)


def test_orders_in_jax_are_uniform_permutations():
    jax = pytest.importorskip("jax")
    from benchmarks.contenders import jax_population

    keys = jax.random.split(jax.random.key(0), 6000)
    orders = np.asarray(jax.vmap(lambda key: jax_population._order(key, 5))(keys))
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.broadcast_to(np.arange(5), orders.shape))
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 120
    chi_squared = ((counts - 50) ** 2 / 50).sum()  # 119 degrees of freedom: 119 ± 15.4
    assert abs(chi_squared - 119) < 4.5 * np.sqrt(2 * 119)


def test_students_in_jax_start_like_those_in_torch():
    jax = pytest.importorskip("jax")
    from benchmarks.contenders import jax_population

    parameters = jax_population._initial((64, 32, 10), jax.random.key(0))
    for (weight, bias), layer in zip(parameters, (torch.nn.Linear(64, 32), torch.nn.Linear(32, 10)), strict=True):
        bound = layer.in_features**-0.5
        assert weight.T.shape == layer.weight.shape
        for values in (np.asarray(weight), np.asarray(bias), layer.weight.detach().numpy()):
            assert np.abs(values).max() <= bound
            # A uniform distribution on [-b, b] has variance b²/3, and its square has variance 4 b⁴/45.
            assert abs((values**2).mean() - bound**2 / 3) < 4.5 * bound**2 * np.sqrt(4 / 45 / values.size)
