"""Where students start: initial parameters and the settings of torch under which all arithmetic is reproducible."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch

from kd_uncertainty.population.contract import Build, State
from kd_uncertainty.population.seeds import derive_seed


def initial_state(build: Build, initialisation_seed: int) -> State:
    """Return the parameters and buffers of ``build()`` under a seed derived from ``initialisation_seed``.

    Torch's global CPU generator, which networks draw their parameters from, is left as it was found.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(initialisation_seed, "initialisation"))
        network = build()
    return {name: values.detach() for name, values in (*network.named_parameters(), *network.named_buffers())}


def initial_states(build: Build, initialisation_seeds: Sequence[int], device: torch.device) -> State:
    """Return :func:`initial_state` of every seed, stacked (students, ...); equal seeds are built once."""
    built = {seed: initial_state(build, seed) for seed in dict.fromkeys(initialisation_seeds)}
    names = next(iter(built.values()))
    return {name: torch.stack([built[seed][name] for seed in initialisation_seeds]).to(device) for name in names}


@contextlib.contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """Within the context, torch uses one intra-op thread on the CPU; its generators are restored afterwards.

    A sum that is split over threads rounds differently, and small networks are faster on one thread anyway.
    """
    threads = torch.get_num_threads()
    devices = [torch.cuda.current_device() if device.index is None else device.index] if device.type == "cuda" else []
    try:
        if device.type == "cpu":
            torch.set_num_threads(1)
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        if device.type == "cpu":
            torch.set_num_threads(threads)
