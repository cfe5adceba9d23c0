"""A population in JAX, as well as we can write it: one compiled program trains a chunk of students from start to end.

What was tried on two cores and kept: batches gathered inside the scan (a fifth faster than permuting whole epochs
first), and orders by sorting one 32-bit word that carries random bits above the position (3.5 times faster than
``jax.random.permutation`` and than ``argsort``, which sort pairs). Everything is inside one ``jit``, so there are no
buffers to donate. Wider vectors (``workers``) help by 2 to 6 %; other random generators, oneDNN, XNNPACK and fast
mathematics did not help.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import pairwise
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from benchmarks.problems import Problem

Parameters = list[tuple[jax.Array, jax.Array]]
BETAS, EPSILON = (0.9, 0.999), 1e-8


def train(
    problem: Problem, students: Sequence[int], seed: int, threads: int, chunk_size: int = 32
) -> NDArray[np.float64]:
    """Train in chunks of ``chunk_size`` students; XLA's threads are those of the process. See ``contenders``."""
    del threads
    compiled = _compiled(_Plan.of(problem))
    data = _on_device(problem)
    numbers = np.asarray(students)
    tables = numbers % len(problem.targets)
    chunks = [slice(start, start + chunk_size) for start in range(0, len(numbers), chunk_size)]
    key = jax.random.key(seed)
    losses = [compiled(key, jnp.asarray(numbers[chunk]), jnp.asarray(tables[chunk]), *data) for chunk in chunks]
    return np.concatenate([np.asarray(loss, np.float64) for loss in losses])


class _Plan(NamedTuple):
    """What is fixed at compile time."""

    widths: tuple[int, ...]
    num_examples: int
    epochs: int
    batch_size: int
    learning_rate: float
    mixing: float
    temperature: float
    loss: str

    @classmethod
    def of(cls, problem: Problem) -> _Plan:
        fixed = {name: getattr(problem, name) for name in cls._fields if name != "num_examples"}
        return cls(num_examples=len(problem.inputs), **fixed)


_DATA: WeakKeyDictionary[Problem, tuple[jax.Array, ...]] = WeakKeyDictionary()


def _on_device(problem: Problem) -> tuple[jax.Array, ...]:
    if problem not in _DATA:
        flat = problem.targets.reshape(-1, problem.targets.shape[-1])
        _DATA[problem] = tuple(jnp.asarray(array) for array in (problem.inputs, problem.labels, flat))
    return _DATA[problem]


@cache
def _compiled(plan: _Plan) -> Callable[..., jax.Array]:
    def chunk(key: jax.Array, students: jax.Array, tables: jax.Array, *data: jax.Array) -> jax.Array:
        keys = jax.vmap(partial(jax.random.fold_in, key))(students)
        return jax.vmap(lambda key, table: _train_student(plan, data, key, table))(keys, tables)

    return jax.jit(chunk)


def _train_student(plan: _Plan, data: tuple[jax.Array, ...], key: jax.Array, table: jax.Array) -> jax.Array:
    """Return the mean loss of the last epoch; all of it is compiled."""
    initial_key, order_key = jax.random.split(key)
    parameters = _initial(plan.widths, initial_key)
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    offset = table * plan.num_examples
    full = plan.num_examples // plan.batch_size * plan.batch_size

    def step(carry: Any, rows: jax.Array | None) -> tuple[Any, jax.Array]:
        batch = _batch(plan, data, rows, offset)
        loss, gradients = jax.value_and_grad(partial(_loss, plan))(carry[0], *batch)
        return _adam(plan.learning_rate, carry, gradients), loss * len(batch[0])

    def epoch(carry: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        if plan.batch_size >= plan.num_examples:
            carry, total = step(carry, None)
            return carry, total / plan.num_examples
        order = _order(key, plan.num_examples)
        carry, losses = jax.lax.scan(step, carry, order[:full].reshape(-1, plan.batch_size))
        total = losses.sum()
        if full < plan.num_examples:
            carry, last = step(carry, order[full:])
            total += last
        return carry, total / plan.num_examples

    keys = jax.random.split(order_key, plan.epochs)
    _, losses = jax.lax.scan(epoch, (parameters, zeros, zeros, jnp.float32(0)), keys)
    return losses[-1]


def _initial(widths: Sequence[int], key: jax.Array) -> Parameters:
    """Draw weights and biases from torch's default distribution, uniform within 1 / sqrt(fan_in)."""
    parameters = []
    for layer, (fan_in, fan_out) in enumerate(pairwise(widths)):
        keys = jax.random.split(jax.random.fold_in(key, layer))
        draw = partial(jax.random.uniform, minval=-(fan_in**-0.5), maxval=fan_in**-0.5)
        parameters.append((draw(keys[0], (fan_in, fan_out)), draw(keys[1], (fan_out,))))
    return parameters


def _order(key: jax.Array, count: int) -> jax.Array:
    """Return a random order: positions sorted by random bits, both in one word, so that a plain sort will do.

    Positions need 11 of the 32 bits for 1,077 examples; equal random bits, 1 pair in 2 million, fall back on position.
    """
    mask = (1 << (count - 1).bit_length()) - 1
    words = jax.random.bits(key, (count,)) & jnp.uint32(0xFFFFFFFF ^ mask) | jnp.arange(count, dtype=jnp.uint32)
    order: jax.Array = (jax.lax.sort(words, is_stable=False) & mask).astype(jnp.int32)
    return order


def _batch(
    plan: _Plan, data: tuple[jax.Array, ...], rows: jax.Array | None, offset: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    inputs, labels, targets = data
    if rows is None:
        return inputs, labels, jax.lax.dynamic_slice_in_dim(targets, offset, plan.num_examples)
    return inputs[rows], labels[rows], targets[rows + offset]


def _loss(plan: _Plan, parameters: Parameters, inputs: jax.Array, labels: jax.Array, targets: jax.Array) -> jax.Array:
    outputs = inputs
    for weight, bias in parameters[:-1]:
        outputs = jax.nn.relu(outputs @ weight + bias)
    outputs = outputs @ parameters[-1][0] + parameters[-1][1]
    if plan.loss == "mse":
        hard, soft = jnp.square(outputs - labels).mean(), jnp.square(outputs - targets).mean()
    else:
        hard = -jnp.take_along_axis(jax.nn.log_softmax(outputs), labels[:, None], 1).mean()
        softened = jax.nn.log_softmax(outputs / plan.temperature)
        soft = -(plan.temperature**2) * (targets * softened).sum(-1).mean()
    loss: jax.Array = soft if plan.mixing == 1 else (1 - plan.mixing) * hard + plan.mixing * soft
    return loss


def _adam(learning_rate: float, carry: Any, gradients: Parameters) -> Any:
    """One step of Adam as torch does it (Kingma & Ba 2015, algorithm 1)."""
    parameters, means, squares, steps = carry
    steps = steps + 1
    means = jax.tree.map(lambda mean, g: BETAS[0] * mean + (1 - BETAS[0]) * g, means, gradients)
    squares = jax.tree.map(lambda square, g: BETAS[1] * square + (1 - BETAS[1]) * g * g, squares, gradients)
    size, root = learning_rate / (1 - BETAS[0] ** steps), jnp.sqrt(1 - BETAS[1] ** steps)
    parameters = jax.tree.map(
        lambda p, mean, square: p - size * mean / (jnp.sqrt(square) / root + EPSILON), parameters, means, squares
    )
    return parameters, means, squares, steps
