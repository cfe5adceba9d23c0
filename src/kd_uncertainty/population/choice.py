"""Which backend trains a network, and why."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.backends import loop, vmap
from kd_uncertainty.population.contract import Build, Cohort, State
from kd_uncertainty.population.initialisation import initial_states, reproducible
from kd_uncertainty.population.options import TrainingOptions

BACKENDS = {"loop": loop.train_cohort, "vmap": vmap.train_cohort}


def choose_backend(
    build: Build,
    backend: str,
    inputs: Tensor,
    num_classes: int,
    options: TrainingOptions,
    device: torch.device,
) -> tuple[str, str]:
    """Return the name of the backend to use and the reason, for the record.

    ``auto`` takes the loop for networks whose state or randomness ``torch.func`` does not carry (dropout, batch
    normalisation, any buffers, frozen parameters); otherwise vmap, if a dry run of two students over one full and one
    partial batch succeeds and, on the CPU, gives the very bits of the loop. The choice depends on the network, the
    options and the machine, never on chunk or worker counts.

    Args:
        build: builds one network.
        backend: "auto", "loop" or "vmap"; the latter two are taken as they are.
        inputs: (examples, features), the training inputs.
        num_classes: logits of an example.
        options: how the students will be trained.
        device: where.

    Raises:
        UserError: if there is no such backend, or vmap is asked for where it cannot work.
    """
    if backend not in ("auto", *BACKENDS):
        raise UserError(f"students.backend: there is no backend '{backend}'; known: auto, {', '.join(BACKENDS)}")
    with reproducible(device):  # a choice draws no random numbers that anybody notices
        obstacle = _obstacle(build())
    if backend == "vmap" and obstacle:
        raise UserError(f"students.backend: vmap cannot train a network with {obstacle}; use auto or loop")
    if backend != "auto":
        return backend, "asked for"
    if obstacle:
        return "loop", f"the network has {obstacle}"
    try:
        equal = _dry_run(build, inputs, num_classes, options, device)
    except Exception as error:  # whatever torch.func or a user's network raises
        return "loop", f"vmap fails on the network ({type(error).__name__}: {str(error).splitlines()[0][:200]})"
    if not equal:
        return "loop", "vmap rounds differently from the loop on this network and machine"
    return "vmap", "a dry run equals the loop bit for bit" if device.type == "cpu" else "a dry run succeeded"


def _obstacle(network: nn.Module) -> str | None:
    for module in network.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0:
            return "dropout"
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            return "batch normalisation"
    if not all(parameter.requires_grad for parameter in network.parameters()):
        return "frozen parameters"
    return "buffers" if any(True for _ in network.buffers()) else None


def _dry_run(build: Build, inputs: Tensor, num_classes: int, options: TrainingOptions, device: torch.device) -> bool:
    """Train two students for one epoch of one full and one partial batch; on the CPU, compare with the loop."""
    size = min(options.batch_size, len(inputs))
    examples = min(len(inputs), size + len(inputs) % size)
    inputs = inputs[:examples].to(device)
    labels = torch.arange(examples, device=device) % num_classes
    targets = torch.softmax(torch.sin(torch.arange(2.0 * examples * num_classes)).view(2, examples, num_classes), -1)
    cohort = Cohort(targets, torch.tensor([0.5, 1.0]), torch.tensor([1.0, 2.0]), (1, 2), (3, 4)).to(device)
    options = options.model_copy(update={"epochs": 1})

    def run(backend: str) -> State:
        initial = initial_states(build, cohort.initialisation_seeds, device)
        return BACKENDS[backend](build, initial, inputs, labels, cohort, options, lambda *_: None)

    with reproducible(device):
        found = run("vmap")
        if device.type != "cpu":
            return True
        expected = run("loop")
    return all(torch.equal(found[name], expected[name]) for name in expected)
