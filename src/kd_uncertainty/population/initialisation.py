"""Where students start: initial parameters and the settings of torch under which all arithmetic is reproducible.

Networks whose only random parameters are those of ``nn.Linear`` and ``nn.Conv1d/2d/3d`` by torch's default are drawn
without being built: from the same distribution, but by counter, for all students in one go. Networks with another
initialisation of their own are built, one for each seed.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import is_lazy

from kd_uncertainty.population.contract import Build, State
from kd_uncertainty.population.counter import INITIALISATION, as_seeds, philox_words
from kd_uncertainty.population.options import Precision
from kd_uncertainty.population.precision import product_precision
from kd_uncertainty.population.seeds import derive_seed

InitialisationKind = Literal["counter", "module"]
"""Whether parameters are drawn by counter, or by building a module for each seed."""

T = TypeVar("T")

_MANTISSA = 24  # bits of a float32: what is drawn is exact before its one rounding
_TILE = 1 << 16  # elements drawn at once, so that what is between words and result stays in cache
_PROBES = 1, 2  # torch seeds under which a network is looked at


def initial_states(build: Build, initialisation_seeds: Sequence[int], device: torch.device) -> State:
    """Return the initial parameters and buffers of every student, stacked (students, ...).

    Element ``j`` of parameter ``i`` is ``(word_j >> 8) / 2^23 - 1`` times its layer's bound ``1 / sqrt(fan_in)``, with
    the words of stream ``i`` under the student's seed (see ``counter``): uniform on [-bound, bound), which is the
    distribution that torch's layers draw from. Constants are copied. Networks that initialise themselves
    (:func:`initialisation_kind`) are built instead, one for each seed. Equal seeds are drawn once.

    Args:
        build: builds one network.
        initialisation_seeds: one a student.
        device: where the result goes.
    """
    different = {seed: row for row, seed in enumerate(dict.fromkeys(initialisation_seeds))}
    recipe = _recipe(build)
    if isinstance(recipe, str):
        built = [_built_state(build, seed) for seed in different]
        states = {name: torch.stack([state[name] for state in built]) for name in built[0]}
    else:
        states = _drawn_states(recipe, as_seeds(different))
    if len(different) < len(initialisation_seeds):
        rows = torch.tensor([different[seed] for seed in initialisation_seeds])
        states = {name: values.index_select(0, rows) for name, values in states.items()}
    return {name: values.to(device) for name, values in states.items()}


def initialisation_kind(build: Build) -> tuple[InitialisationKind, str]:
    """Return how :func:`initial_states` draws the network's parameters, and why, for the record."""
    recipe = _recipe(build)
    if isinstance(recipe, str):
        return "module", recipe
    return "counter", "all that is random are Linear and convolutional layers, initialised by torch's default"


@dataclass(frozen=True)
class _Uniform:
    """A parameter that is uniform on [-bound, bound), from the words of a stream."""

    stream: int
    bound: float
    shape: torch.Size


_Recipe = dict[str, _Uniform | Tensor]
"""How each parameter and buffer is drawn, or what it always is."""


def _recipe(build: Build) -> _Recipe | str:
    """Return how a network's parameters are drawn, or why they cannot be, from two networks under known seeds.

    The default layers of the second network are drawn again under the first network's seed. If that makes it equal the
    first one bit for bit, and leaves torch's generator in the same state, then nothing else is random.
    """
    network, generator = _seeded(_PROBES[0], build)
    if any(is_lazy(values) for values in (*network.parameters(), *network.buffers())):
        return "the network has no sizes before its first forward pass"
    other, _ = _seeded(_PROBES[1], build)
    expected, found = _tensors(network), _tensors(other)
    layers: list[Any] = [module for module in other.modules() if _has_default_initialisation(module)]
    _, redrawn = _seeded(_PROBES[0], lambda: [layer.reset_parameters() for layer in layers])
    if names := [name for name in expected if not _equal(expected[name], found.get(name))]:
        return f"the network draws '{names[0]}' in its own way"
    if not torch.equal(generator, redrawn):
        return "the network draws random numbers beside those of its layers"
    bounds = {parameter: _bound(layer) for layer in layers for parameter in layer.parameters()}
    uniform = {
        name: _Uniform(stream, bounds[parameter], parameter.shape)
        for stream, (name, parameter) in enumerate(other.named_parameters())
        if parameter in bounds
    }
    return expected | uniform


def _has_default_initialisation(module: nn.Module) -> bool:
    """Whether a module is a Linear or convolutional layer that is initialised as its class does it."""
    if not isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return False
    default = nn.Linear if isinstance(module, nn.Linear) else _ConvNd
    parameters = dict(module.named_parameters())
    return (
        type(module).reset_parameters is default.reset_parameters
        and "weight" in parameters
        and parameters.keys() <= {"weight", "bias"}
        and all(values.dtype == torch.float32 for values in parameters.values())
    )


def _bound(layer: Any) -> float:
    fan_in = math.prod(layer.weight.shape[1:])
    return 1 / math.sqrt(fan_in) if fan_in else 0.0


def _drawn_states(recipe: _Recipe, seeds: NDArray[np.uint64]) -> State:
    """Return parameters and buffers (students, ...) by the recipe."""
    states: State = {}
    for name, rule in recipe.items():
        if isinstance(rule, Tensor):
            states[name] = rule.detach().repeat(len(seeds), *(1 for _ in rule.shape))
        else:
            states[name] = torch.from_numpy(_uniform(seeds, rule)).view(len(seeds), *rule.shape)
    return states


def _uniform(seeds: NDArray[np.uint64], rule: _Uniform) -> NDArray[np.float32]:
    """Return (students, elements): the upper 24 bits of each word, centred and scaled with one rounding."""
    half, count = 1 << (_MANTISSA - 1), rule.shape.numel()
    result = np.empty((len(seeds), count), dtype=np.float32)
    step = max(_TILE // max(count, 1), 1)
    for first in range(0, len(seeds), step):
        words = philox_words(seeds[first : first + step], rule.stream, INITIALISATION, count)
        centred = (words >> np.uint32(32 - _MANTISSA)).view(np.int32)
        centred -= np.int32(half)
        values = result[first : first + step]
        values[...] = centred
        values *= np.float32(rule.bound / half)
    return result


def _built_state(build: Build, initialisation_seed: int) -> State:
    """Return the parameters and buffers of ``build()`` under a seed derived from ``initialisation_seed``."""
    return _tensors(_seeded(derive_seed(initialisation_seed, "initialisation"), build)[0])


def _tensors(network: nn.Module) -> State:
    return {name: values.detach() for name, values in (*network.named_parameters(), *network.named_buffers())}


def _equal(expected: Tensor, found: Tensor | None) -> bool:
    return found is not None and expected.dtype == found.dtype and torch.equal(expected, found)


def _seeded(seed: int, action: Callable[[], T]) -> tuple[T, Tensor]:
    """Return the action's result, and the state it leaves torch's CPU generator in, which starts from the seed.

    To everybody else the generator stays as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return action(), torch.default_generator.get_state()


@contextlib.contextmanager
def reproducible(device: torch.device, precision: Precision = "float32") -> Iterator[None]:
    """Within the context, torch uses one intra-op thread on the CPU; its generators are restored afterwards.

    A sum that is split over threads rounds differently, and small networks are faster on one thread anyway. On a GPU
    products are those of ``precision``, whatever torch is set to.
    """
    threads = torch.get_num_threads()
    devices = [torch.cuda.current_device() if device.index is None else device.index] if device.type == "cuda" else []
    try:
        if device.type == "cpu":
            torch.set_num_threads(1)
        with torch.random.fork_rng(devices=devices), product_precision(device, precision):
            yield
    finally:
        if device.type == "cpu":
            torch.set_num_threads(threads)
