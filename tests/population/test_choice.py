"""The automatic choice of a backend, and its reasons."""

import functools

import pytest
import torch
from torch import nn

from kd_uncertainty.errors import UserError
from kd_uncertainty.population import choice
from kd_uncertainty.population.choice import choose_backend
from kd_uncertainty.population.options import TrainingOptions

from .worlds import CPU, DataDependent, mlp, normalised

INPUTS = torch.randn(70, 8)


def _choose(build, backend="auto"):
    return choose_backend(build, backend, INPUTS, 3, TrainingOptions(batch_size=32), CPU)


def _frozen():
    network = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 3))
    network[0].requires_grad_(False)
    return network


def test_perceptrons_are_vectorised_after_a_dry_run():
    assert _choose(mlp(8, 3, 10)) == ("vmap", "a dry run equals the loop bit for bit")


@pytest.mark.parametrize(
    ("build", "obstacle"),
    [
        (mlp(8, 3, 10, dropout=0.1), "dropout"),
        (functools.partial(normalised, 8, 3), "batch normalisation"),
        (_frozen, "frozen parameters"),
    ],
)
def test_what_vmap_cannot_do_is_looped_and_refused_when_asked_for(build, obstacle):
    assert _choose(build) == ("loop", f"the network has {obstacle}")
    with pytest.raises(UserError, match=f"vmap cannot train a network with {obstacle}"):
        _choose(build, "vmap")


def test_a_network_that_vmap_fails_on_is_looped_with_the_reason():
    name, reason = _choose(functools.partial(DataDependent, 8, 3))
    assert name == "loop"
    assert reason.startswith("vmap fails on the network (RuntimeError")


def test_a_dry_run_that_differs_in_one_bit_is_looped(monkeypatch):
    original = choice.BACKENDS["vmap"]

    def off_by_a_bit(*arguments):
        state = original(*arguments)
        values = next(iter(state.values()))
        values.view(-1)[0] = torch.nextafter(values.view(-1)[0], torch.tensor(9.0))
        return state

    monkeypatch.setitem(choice.BACKENDS, "vmap", off_by_a_bit)
    assert _choose(mlp(8, 3, 10)) == ("loop", "vmap rounds differently from the loop on this network and machine")


def test_a_choice_of_the_user_is_taken():
    assert _choose(mlp(8, 3, 10), "loop") == ("loop", "asked for")
    assert _choose(mlp(8, 3, 10), "vmap") == ("vmap", "asked for")
    with pytest.raises(UserError, match="no backend 'native'; known: auto, loop, vmap"):
        _choose(mlp(8, 3, 10), "native")
