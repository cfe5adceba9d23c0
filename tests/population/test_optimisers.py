"""The optimisers against their published updates, written out by hand in float64."""

import pytest
import torch

from kd_uncertainty.population.optimisers import make_optimiser
from kd_uncertainty.population.options import TrainingOptions

STEPS, RATE, DECAY = 7, 0.01, 0.1


def _gradients():
    return torch.randn(STEPS, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _descend(**options):
    values = torch.linspace(-1, 1, 5, dtype=torch.float64)
    optimiser = make_optimiser([values], TrainingOptions(learning_rate=RATE, **options))
    for gradient in _gradients():
        values.grad = gradient
        optimiser.step()
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
    options = TrainingOptions(optimiser=kind, weight_decay=DECAY, learning_rate=RATE)
    generator = torch.Generator().manual_seed(1)
    for size in (1, 3, 10, 17, 33):
        start, gradients = (torch.randn(6, 5, size, generator=generator) for _ in range(2))
        stacked = start[:, 0].clone()
        optimiser = make_optimiser([stacked], options)
        for step in range(5):
            stacked.grad = gradients[:, step].clone()
            optimiser.step()
        for student in range(6):
            alone = start[student, 0].clone()
            optimiser = make_optimiser([alone], options)
            for step in range(5):
                alone.grad = gradients[student, step].clone()
                optimiser.step()
            assert torch.equal(stacked[student], alone)
