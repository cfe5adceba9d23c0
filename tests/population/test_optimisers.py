"""The optimisers against their published updates, written out by hand in float64."""

import functools
import subprocess
import sys

import numpy as np
import pytest
import torch

from kd_uncertainty.population.optimisers import CapturableOptimiser, Optimiser
from kd_uncertainty.population.options import TrainingOptions

STEPS, RATE, DECAY = 7, 0.01, 0.1


def _gradients():
    return torch.randn(STEPS, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _descend(**options):
    values = torch.linspace(-1, 1, 5, dtype=torch.float64)
    optimiser = Optimiser([values], TrainingOptions(**options))
    for gradient in _gradients():
        optimiser.step([gradient], RATE)
    return values


def _momentum_by_hand(momentum, decay):
    """Sutskever et al. 2013 in torch's form: velocity = momentum * velocity + gradient."""
    values, velocity = torch.linspace(-1, 1, 5, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)
    for gradient in _gradients():
        velocity = momentum * velocity + gradient + decay * values
        values = values - RATE * velocity
    return values


def _adam_by_hand(coupled, decoupled):
    """Kingma & Ba 2015, algorithm 1, with L2 (coupled) or Loshchilov & Hutter 2019 (decoupled) decay."""
    values = torch.linspace(-1, 1, 5, dtype=torch.float64)
    first = second = torch.zeros(5, dtype=torch.float64)
    for step, slope in enumerate(_gradients(), start=1):
        values = values * (1 - RATE * decoupled)
        gradient = slope + coupled * values
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        values = values - RATE * (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
    return values


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"optimiser": "sgd"}, _momentum_by_hand(0.0, 0.0)),
        ({"optimiser": "sgd", "momentum": 0.9}, _momentum_by_hand(0.9, 0.0)),
        ({"optimiser": "sgd", "momentum": 0.9, "weight_decay": DECAY}, _momentum_by_hand(0.9, DECAY)),
        ({"optimiser": "adam"}, _adam_by_hand(0.0, 0.0)),
        ({"optimiser": "adam", "weight_decay": DECAY}, _adam_by_hand(DECAY, 0.0)),
        ({"optimiser": "adamw", "weight_decay": DECAY}, _adam_by_hand(0.0, DECAY)),
        ({"optimiser": "adamw"}, _adam_by_hand(0.0, 0.0)),  # no decay unless asked for, unlike torch's default
    ],
)
def test_updates_are_the_published_ones(options, expected):
    torch.testing.assert_close(_descend(**options), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_stacked_parameters_are_updated_as_each_alone_bit_for_bit(kind):
    """Sizes that are no multiple of a vector register, so that tails fall on different elements in a stack."""
    options = TrainingOptions(optimiser=kind, weight_decay=DECAY)
    generator = torch.Generator().manual_seed(1)
    for size in (1, 3, 10, 17, 33):
        start, gradients = (torch.randn(6, 5, size, generator=generator) for _ in range(2))
        stacked = start[:, 0].clone()
        optimiser = Optimiser([stacked], options)
        for step in range(5):
            optimiser.step([gradients[:, step].clone()], RATE)
        for student in range(6):
            alone = start[student, 0].clone()
            optimiser = Optimiser([alone], options)
            for step in range(5):
                optimiser.step([gradients[student, step].clone()], RATE)
            assert torch.equal(stacked[student], alone)


KINDS = {
    "sgd": (torch.optim.SGD, {}),
    "momentum": (functools.partial(torch.optim.SGD, momentum=0.9), {"optimiser": "sgd", "momentum": 0.9}),
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_those_of_torchs_classes_bit_for_bit(kind):
    """Rates that change, and a parameter that has no gradient in some steps (its own step count stands still)."""
    make, options = KINDS[kind]
    options = TrainingOptions(**({"optimiser": kind, "weight_decay": DECAY} | options))
    generator = torch.Generator().manual_seed(2)
    theirs = [torch.randn(size, generator=generator) for size in (5, 17)]
    ours = [values.clone() for values in theirs]
    reference, optimiser = make(theirs, weight_decay=DECAY, foreach=True), Optimiser(ours, options)
    for step in range(STEPS):
        gradients = [torch.randn(size, generator=generator) for size in (5, 17)]
        gradients[1] = None if step in (0, 3) else gradients[1]
        reference.param_groups[0]["lr"] = RATE / (1 + step)
        for values, gradient in zip(theirs, gradients, strict=True):
            values.grad = gradient
        reference.step()
        optimiser.step(gradients, RATE / (1 + step))
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    before = [values.clone() for values in ours]
    optimiser.step([None, None], RATE)
    assert all(torch.equal(one, other) for one, other in zip(ours, before, strict=True))


@pytest.mark.parametrize("decay", [0.0, DECAY])
@pytest.mark.parametrize("kind", KINDS)
def test_capturable_steps_are_those_of_torchs_classes_to_rounding(kind, decay):
    """Over a thousand steps, where Adam's bias corrections matter and where they do not; rates that change."""
    make, options = KINDS[kind]
    options = TrainingOptions(**({"optimiser": kind, "weight_decay": decay} | options))
    generator = torch.Generator().manual_seed(2)
    theirs = [torch.randn(size, generator=generator, dtype=torch.float64) for size in (5, 17)]
    ours = [values.float() for values in theirs]
    rates, position = RATE / (1 + np.arange(1000) / 100), torch.zeros((), dtype=torch.int64)
    reference = make(theirs, weight_decay=decay, foreach=True)
    optimiser = CapturableOptimiser(ours, options, rates, position)
    largest = 0.0
    for step, rate in enumerate(rates):
        gradients = [torch.randn(size, generator=generator) for size in (5, 17)]
        reference.param_groups[0]["lr"] = rate
        for values, gradient in zip(theirs, gradients, strict=True):
            values.grad = gradient.double()
        reference.step()
        position.fill_(step)
        optimiser.step(gradients)
        pairs = zip(ours, theirs, strict=True)
        largest = max(float(((one - other).abs() / (1 + other.abs())).max()) for one, other in pairs)
        if step == 0:
            assert largest < 3e-7  # a rounding or two: bias corrections are right from the first step
    assert largest < 1e-5


def test_capturable_steps_change_what_they_say_and_nothing_else():
    """What they change is put back after a warm-up, so the list has to be complete."""
    for kind, (_, options) in KINDS.items():
        values, gradient = torch.ones(3), torch.tensor([1.0, -2.0, 3.0])
        position = torch.zeros((), dtype=torch.int64)
        settings = TrainingOptions(**({"optimiser": kind, "weight_decay": DECAY} | options))
        optimiser = CapturableOptimiser([values], settings, np.full(4, RATE), position)
        saved = [changed.clone() for changed in optimiser.changed]
        results = []
        for _ in range(2):
            for step in range(4):
                position.fill_(step)
                optimiser.step([gradient])
            results.append(values.clone())
            for changed, before in zip(optimiser.changed, saved, strict=True):
                changed.copy_(before)
        assert torch.equal(*results), kind
        assert gradient.tolist() == [1.0, -2.0, 3.0]


@pytest.mark.slow
def test_training_imports_no_compiler():
    """It would take a second of every process."""
    code = (
        "import sys, torch\n"
        "from kd_uncertainty.population.options import TrainingOptions\n"
        "from kd_uncertainty.population.optimisers import Optimiser\n"
        "for kind in ('sgd', 'adam', 'adamw'):\n"
        "    Optimiser([torch.zeros(3)], TrainingOptions(optimiser=kind)).step([torch.ones(3)], 0.1)\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
