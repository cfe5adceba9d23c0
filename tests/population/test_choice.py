"""The automatic choice of a backend, and its reasons."""

import dataclasses
import functools
import re

import pytest
import torch
from torch import nn

from kd_uncertainty.errors import UserError
from kd_uncertainty.population import choice
from kd_uncertainty.population.choice import choose_backend
from kd_uncertainty.population.contract import Facts
from kd_uncertainty.population.options import TrainingOptions

from .worlds import CPU, Convolutional, DataDependent, Residual, mlp, normalised

INPUTS = torch.randn(70, 8)


@pytest.fixture(autouse=True)
def _without_the_kernel(monkeypatch):
    """What is said of the others must not depend on a compiler; test_native.py is about the kernel."""
    # A copy: deleted from the registry itself, it would come back at the end and be the last that auto tries.
    others = {name: backend for name, backend in choice.BACKENDS.items() if name != "native"}
    monkeypatch.setattr(choice, "BACKENDS", others)


def _choose(build, backend="auto", loss="distillation", **options):
    return choose_backend(build, backend, INPUTS, 3, TrainingOptions(**({"batch_size": 32} | options)), CPU, loss)


def _frozen():
    network = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 3))
    network[0].requires_grad_(False)
    return network


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("loss", ["distillation", "mse"])
@pytest.mark.parametrize("options", [{}, {"batch_size": 100}, {"schedule": "step", "milestones": (2, 8)}])
def test_perceptrons_are_vectorised_after_a_dry_run(dropout, loss, options):
    assert _choose(mlp(8, 3, 10, dropout=dropout), loss=loss, **options) == (
        "vmap",
        "a dry run equals the loop bit for bit",
    )


@pytest.mark.parametrize(
    ("build", "obstacle"),
    [
        (lambda: nn.Sequential(nn.Linear(8, 3), nn.AlphaDropout()), r"dropout of another kind \(AlphaDropout\)"),
        (functools.partial(normalised, 8, 3), "batch normalisation"),
        (_frozen, "frozen parameters"),
    ],
)
def test_what_vmap_cannot_do_is_looped_and_refused_when_asked_for(build, obstacle):
    name, reason = _choose(build)
    assert name == "loop"
    assert re.fullmatch(f"the network has {obstacle}", reason)
    with pytest.raises(
        UserError, match=f"vmap cannot train these students: the network has {obstacle}; use auto or loop"
    ):
        _choose(build, "vmap")


class HandWritten(nn.Module):
    """A plain sequence of layers, but no ``nn.Sequential``."""

    def __init__(self, activation):
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(8, 5), nn.Dropout(0.2), nn.Linear(5, 3)
        self.activation = activation

    def forward(self, inputs):
        return self.last(self.drop(self.activation(self.first(inputs))))


@pytest.mark.parametrize(
    "activation", [torch.relu, lambda values: values.relu(), torch.tanh, nn.functional.gelu, nn.SiLU(), nn.LeakyReLU()]
)
def test_layers_one_after_another_are_vectorised_however_they_are_written(activation):
    assert _choose(lambda: HandWritten(activation)) == ("vmap", "a dry run equals the loop bit for bit")


ONE_AFTER_ANOTHER = "vmap on the CPU takes Linear layers, elementwise activations and dropout, one after another, only"


@pytest.mark.parametrize("network", [Residual, DataDependent, Convolutional])
def test_where_a_students_rounding_could_depend_on_others_the_cpu_loops_and_a_gpu_does_not(network):
    """A dry run could pass by luck, so none is asked."""

    def build():
        return network(64, 3)

    inputs, options = torch.randn(70, 64), TrainingOptions(batch_size=32)
    choose = functools.partial(choose_backend, build, inputs=inputs, num_outputs=3, options=options, device=CPU)
    assert choose("auto") == ("loop", ONE_AFTER_ANOTHER)
    with pytest.raises(UserError, match=f"vmap cannot train these students: {ONE_AFTER_ANOTHER}; use auto or loop"):
        choose("vmap")
    obstacle = choice.BACKENDS["vmap"].obstacle
    assert obstacle(build(), Facts("distillation", options, torch.device("cuda"))) is None


def test_bf16_on_the_cpu_is_looped():
    assert _choose(mlp(8, 3, 10), precision="bf16") == ("loop", "vmap does not take bf16 on the CPU")
    options = TrainingOptions(precision="bf16")
    obstacle = choice.BACKENDS["vmap"].obstacle
    assert obstacle(mlp(8, 3, 10)(), Facts("distillation", options, torch.device("cuda"))) is None


def test_a_network_that_vmap_fails_on_is_looped_with_the_reason(monkeypatch):
    """As on a GPU, where nothing speaks against trying."""
    vmap = dataclasses.replace(choice.BACKENDS["vmap"], obstacle=lambda *_: None)
    monkeypatch.setitem(choice.BACKENDS, "vmap", vmap)
    name, reason = _choose(functools.partial(DataDependent, 8, 3))
    assert name == "loop"
    assert reason.startswith("vmap fails on the network (RuntimeError")


def test_a_dry_run_that_differs_in_one_bit_is_looped(monkeypatch):
    original = choice.BACKENDS["vmap"]

    def off_by_a_bit(*arguments):
        state = original.train_cohort(*arguments)
        values = next(iter(state.values()))
        values.view(-1)[0] = torch.nextafter(values.view(-1)[0], torch.tensor(9.0))
        return state

    monkeypatch.setitem(choice.BACKENDS, "vmap", dataclasses.replace(original, train_cohort=off_by_a_bit))
    assert _choose(mlp(8, 3, 10)) == ("loop", "vmap rounds differently from the loop on this network and machine")


def test_a_choice_of_the_user_is_taken():
    assert _choose(mlp(8, 3, 10), "loop") == ("loop", "asked for")
    assert _choose(mlp(8, 3, 10), "vmap") == ("vmap", "asked for")
    with pytest.raises(UserError, match="no backend 'jax'; known: auto, loop, vmap"):
        _choose(mlp(8, 3, 10), "jax")


def _with_candidate(monkeypatch, **changes):
    """The backends with one more before all others."""
    first = dataclasses.replace(choice.BACKENDS["vmap"], **changes)
    monkeypatch.setattr(choice, "BACKENDS", {"first": first, **choice.BACKENDS})


def test_the_first_backend_that_nothing_speaks_against_is_taken(monkeypatch):
    _with_candidate(monkeypatch, tolerance=2e-6)
    assert _choose(mlp(8, 3, 10)) == ("first", "a dry run equals the loop within 2e-06")
    assert _choose(mlp(8, 3, 10), "vmap") == ("vmap", "asked for")


def test_the_reason_tells_what_spoke_against_faster_backends(monkeypatch):
    _with_candidate(monkeypatch, obstacle=lambda _, facts: f"there is no compiler for {facts.loss}")
    reason = "a dry run equals the loop bit for bit; there is no compiler for mse"
    assert _choose(mlp(8, 3, 10), loss="mse") == ("vmap", reason)
    reason = "there is no compiler for distillation; the network has frozen parameters"
    assert _choose(_frozen) == ("loop", reason)
    with pytest.raises(UserError, match="first cannot train these students: there is no compiler for distillation"):
        _choose(mlp(8, 3, 10), "first")


def test_an_objection_that_backends_share_is_told_once(monkeypatch):
    _with_candidate(monkeypatch)
    assert _choose(_frozen) == ("loop", "the network has frozen parameters")


@pytest.mark.parametrize(("error", "told"), [(1e-7, None), (1e-3, "1.0e-03"), (float("nan"), "inf")])
def test_a_backend_may_differ_by_its_tolerance_and_no_more(monkeypatch, error, told):
    vmap = choice.BACKENDS["vmap"].train_cohort

    def shifted(*arguments):
        return {name: values + error for name, values in vmap(*arguments).items()}

    _with_candidate(monkeypatch, train_cohort=shifted, tolerance=2e-6)
    name, reason = _choose(mlp(8, 3, 10))
    assert name == ("first" if told is None else "vmap")
    if told is not None:
        assert reason.endswith(f"first differs from the loop by {told} on this network and machine")
