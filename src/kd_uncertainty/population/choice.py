"""Which backend trains a population, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.backends import loop, native, vmap
from kd_uncertainty.population.contract import Build, Cohort, Facts, Loss, Monitor, State, TrainCohort
from kd_uncertainty.population.initialisation import initial_states, reproducible
from kd_uncertainty.population.options import TrainingOptions


@dataclass(frozen=True)
class Backend:
    """A way to train cohorts.

    Attributes:
        train_cohort: trains one.
        obstacle: from a network and the facts of a population to a clause that says why they cannot be trained so, or
            None.
        tolerance: largest difference of any parameter from the loop's in a dry run on the CPU; 0 asks for the very
            bits, None for no dry run.
        relative: whether the dry run is one of plain SGD, and the difference a share of the largest that any parameter
            moves. Rounding stays rounding there, while Adam may turn it into whole steps, where gradients vanish; what
            a backend does not compute at all shows in both.
        merit: why it is taken, where that a dry run succeeded says too little.
    """

    train_cohort: TrainCohort
    obstacle: Callable[[nn.Module, Facts], str | None]
    tolerance: float | None
    relative: bool = False
    merit: Callable[[], str] | None = None


BACKENDS = {
    "native": Backend(native.train_cohort, native.obstacle, tolerance=1e-3, relative=True, merit=native.merit),
    "vmap": Backend(vmap.train_cohort, vmap.obstacle, tolerance=0.0),
    "loop": Backend(loop.train_cohort, lambda *_: None, tolerance=None),
}
"""All backends by name, in order of preference, which is that of speed; the last one trains anything."""


def choose_backend(
    build: Build,
    backend: str,
    inputs: Tensor,
    num_outputs: int,
    options: TrainingOptions,
    device: torch.device,
    loss: Loss = "distillation",
) -> tuple[str, str]:
    """Return the name of the backend to use and the reason, for the record.

    ``auto`` takes the first backend that nothing speaks against: neither an obstacle in the network, the loss, the
    options or the device, nor a dry run of two students over one full and one partial batch, which must succeed and,
    on the CPU, give what the loop gives. The reason then tells what spoke against those before it. The choice depends
    on the network, the loss, the options and the machine, never on chunk or worker counts.

    Args:
        build: builds one network.
        backend: "auto", or a name in ``BACKENDS``, which is taken as it is.
        inputs: (examples, features), the training inputs.
        num_outputs: logits (or real outputs) of an example.
        options: how the students will be trained.
        device: where.
        loss: what they minimise.

    Raises:
        UserError: if there is no such backend, or one is asked for where it cannot work.
    """
    if backend not in ("auto", *BACKENDS):
        known = ", ".join(("auto", *sorted(BACKENDS)))
        raise UserError(f"students.backend: there is no backend '{backend}'; known: {known}")
    facts = Facts(loss, options, device)
    with reproducible(device):  # a choice draws no random numbers that anybody notices
        network = build()
    trial = _Trial(build, inputs, num_outputs, facts)
    if backend != "auto":
        asked_for = BACKENDS[backend]
        objection = asked_for.obstacle(network, facts)
        if objection is None and asked_for.relative:  # a difference that is none of rounding is nobody's wish
            objection = trial.objection(backend, asked_for)
        if objection:
            raise UserError(f"students.backend: {backend} cannot train these students: {objection}; use auto or loop")
        return backend, "asked for"
    against: list[str] = []
    for name, candidate in BACKENDS.items():
        objection = candidate.obstacle(network, facts) or trial.objection(name, candidate)
        if objection is None:
            praise = [candidate.merit()] if candidate.merit else []
            praise += [] if praise or candidate.tolerance is None else [trial.praise(candidate)]
            return name, "; ".join(praise + against)
        against += [] if objection in against else [objection]
    raise AssertionError("the loop has no obstacle")


def require_backend(build: Build, backend: str, facts: Facts) -> None:
    """Check what can be checked in no time of a backend that :func:`choose_backend` has returned before.

    Raises:
        UserError: if the network has what the backend cannot train.
    """
    with reproducible(facts.device):
        obstacle = BACKENDS[backend].obstacle(build(), facts)
    if obstacle:
        raise UserError(f"students.backend: {backend} cannot train these students: {obstacle}; use auto or loop")


def arithmetic_of(backend: str) -> str:
    """Return what a backend's rounding depends on, beside torch: a phrase, empty for those that are torch's own."""
    merit = BACKENDS[backend].merit
    return merit() if merit else ""


class _Trial:
    """Two students' first epoch, of one full and one partial batch."""

    def __init__(self, build: Build, inputs: Tensor, num_outputs: int, facts: Facts) -> None:
        size = min(facts.options.batch_size, len(inputs))
        examples, device = min(len(inputs), size + len(inputs) % size), facts.device
        values = torch.sin(torch.arange(2.0 * examples * num_outputs)).view(2, examples, num_outputs)
        labels = torch.arange(examples) % num_outputs if facts.loss == "distillation" else values[0].cos()
        targets = torch.softmax(values, -1) if facts.loss == "distillation" else values
        mixing, temperature = torch.tensor([0.5, 1.0]), torch.tensor([1.0, 2.0])
        cohort = Cohort(targets, mixing, temperature, (1, 2), (3, 4), loss=facts.loss)
        self.build, self.device = build, device
        self.inputs, self.labels, self.cohort = inputs[:examples].to(device), labels.to(device), cohort.to(device)
        self.options = facts.options.model_copy(
            update={"epochs": 1, "schedule": "constant", "milestones": (), "warmup_epochs": 0}
        )
        self._expected: dict[bool, State] = {}

    def objection(self, name: str, backend: Backend) -> str | None:
        """Return what a dry run says against the backend, as a clause."""
        if backend.tolerance is None:
            return None
        try:
            with reproducible(self.device, self.options.precision):
                found = self._run(backend, backend.relative)
                difference = self._difference(found, backend.relative) if self.device.type == "cpu" else 0.0
        except Exception as error:  # whatever torch.func or a user's network raises
            text = (str(error).splitlines() or [""])[0][:200]
            return f"{name} fails on the network ({type(error).__name__}: {text})"
        if difference <= backend.tolerance:
            return None
        if backend.relative:
            return f"{name} computes something else than the network does (a dry run differs by {difference:.1e})"
        if backend.tolerance == 0:
            return f"{name} rounds differently from the loop on this network and machine"
        return f"{name} differs from the loop by {difference:.1e} on this network and machine"

    def praise(self, backend: Backend) -> str:
        """Return why a backend is trusted that a dry run said nothing against."""
        if self.device.type != "cpu":
            return "a dry run succeeded"
        return "a dry run equals the loop " + (
            "bit for bit" if backend.tolerance == 0 else f"within {backend.tolerance:.0e}"
        )

    def _run(self, backend: Backend, relative: bool) -> State:
        plain = {"optimiser": "sgd", "momentum": 0.0, "weight_decay": 0.0, "learning_rate": 1e-3} if relative else {}
        arguments = (self.inputs, self.labels, self.cohort, self.options.model_copy(update=plain))
        return backend.train_cohort(self.build, self._initial(), *arguments, Monitor(lambda *_: None))

    def _initial(self) -> State:
        return initial_states(self.build, self.cohort.initialisation_seeds, self.device)

    def _difference(self, found: State, relative: bool) -> float:
        """Return the largest difference from the loop; infinite where only one of the two is a number."""
        if relative not in self._expected:
            self._expected[relative] = self._run(BACKENDS["loop"], relative)
        expected = self._expected[relative]
        if all(torch.equal(values, found[name]) for name, values in expected.items()):
            return 0.0
        return _largest(found, expected) / (_largest(self._initial(), expected) if relative else 1.0)


def _largest(one: State, other: State) -> float:
    """Return the largest difference of any parameter."""
    differences = [(values - other[name]).abs() for name, values in one.items() if values.numel()]
    return max(float(values.nan_to_num(nan=torch.inf).max()) for values in differences)
