"""Teachers of squared errors, against a training loop of torch's own."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import MLP
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.initialisation import initial_states
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.seeds import batch_orders, derive_seed
from kd_uncertainty.teachers import mse
from kd_uncertainty.teachers.collection import fit_teachers, from_nested, posterior_logits, to_nested
from kd_uncertainty.teachers.contract import teacher_options
from kd_uncertainty.tensors import load_nested, save_nested

OPTIONS = teacher_options({"kind": "mse"})


@pytest.fixture(scope="module")
def fitted(problem):
    return fit_teachers(problem, {"squares": OPTIONS}, seed=4)


def test_it_is_trained_by_squared_errors_of_probabilities(problem):
    """Three epochs of a loop that is written out: the same parameters and losses, but for rounding."""
    short = replace(problem, training=problem.training.model_copy(update={"epochs": 3}))
    found = mse.fit(short, mse.Options(), seed=7)
    network = MLP(2, 3, hidden=[16])
    initial = initial_states(lambda: MLP(2, 3, hidden=[16]), [derive_seed(7, "initialisation", 0)], torch.device("cpu"))
    network.load_state_dict({name: values[0] for name, values in initial.items()})
    optimiser, losses = torch.optim.Adam(network.parameters(), lr=0.01), []
    for epoch in range(3):
        order = torch.from_numpy(batch_orders([derive_seed(7, "order", 0)], epoch, 120)[0])
        total = 0.0
        for rows in order.split(20):
            errors = network(problem.inputs[rows]).softmax(-1) - one_hot(problem.labels[rows], 3)
            loss = errors.square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += float(loss.detach()) / 6
        losses.append(total)
    for name, values in network.named_parameters():
        torch.testing.assert_close(found.parameters[name][0], values.detach(), atol=1e-5, rtol=1e-4)
    assert list(found.curves["train_loss"]) == pytest.approx(losses, rel=1e-5)


def test_its_curves_are_those_of_classes(problem, fitted):
    curves = fitted[1]
    assert {"member", "epoch", "train_loss", "validation_nll", "validation_accuracy"} <= set(curves.columns)
    assert "validation_mse" not in curves
    assert list(curves["epoch"]) == list(range(1, 21))
    logits = posterior_logits(fitted[0]["squares"], problem.validation_inputs, [0], seed=0)[0]
    last, labels = curves.iloc[-1], problem.validation_labels
    assert last["validation_nll"] == pytest.approx(float(nn.functional.cross_entropy(logits, labels)), rel=1e-5)
    assert last["validation_accuracy"] == pytest.approx(float((logits.argmax(-1) == labels).float().mean()))
    assert last["validation_accuracy"] > 0.85
    errors = posterior_logits(fitted[0]["squares"], problem.inputs, [0], 0)[0].softmax(-1) - one_hot(problem.labels, 3)
    assert last["train_loss"] == pytest.approx(float(errors.square().mean()), rel=0.1)


def test_its_logits_are_not_probabilities_and_its_draw_is_one(problem, fitted):
    teacher = fitted[0]["squares"]
    logits = posterior_logits(teacher, problem.inputs, range(3), seed=5)
    assert logits.shape == (3, 120, 3)
    assert (logits.sum(-1) - 1).abs().max() > 0.5
    assert torch.equal(logits[0], logits[2])
    assert teacher.options.cached_draws(64) == 1
    parts = [posterior_logits(teacher, part, range(3), seed=6) for part in torch.split(problem.inputs, 7)]
    torch.testing.assert_close(torch.cat(parts, dim=1), logits)


def test_a_saved_teacher_answers_the_same(problem, fitted, tmp_path):
    save_nested(to_nested(fitted[0]), tmp_path / "teachers.safetensors")
    loaded = from_nested(load_nested(tmp_path / "teachers.safetensors"))["squares"]
    ours, theirs = (posterior_logits(one, problem.inputs, [0], 9) for one in (fitted[0]["squares"], loaded))
    assert torch.equal(ours, theirs)


def test_fitting_is_reproducible_and_leaves_the_global_generator(problem, fitted):
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    again = fit_teachers(problem, {"squares": OPTIONS}, seed=4)[0]["squares"]
    assert torch.rand(1) == expected
    for name, values in fitted[0]["squares"].parameters.items():
        assert torch.equal(again.parameters[name], values)


def test_numbers_are_refused(problem):
    numbers = replace(problem, labels=problem.inputs[:, :1], loss="mse")
    with pytest.raises(UserError, match="mse predicts classes, not numbers"):
        mse.fit(numbers, mse.Options(), seed=0)


def test_a_teacher_that_diverges_or_a_network_that_fails_is_named(problem):
    wild = TrainingOptions(epochs=5, batch_size=20, optimiser="sgd", learning_rate=1e38)
    with pytest.raises(UserError, match=r"^teacher network 0: .* smaller teachers\.training\.learning_rate"):
        mse.fit(replace(problem, training=wild), mse.Options(), seed=0)
    network = NetworkOptions.model_validate({"class": "tests.population.worlds.Normalised"})
    training = TrainingOptions(epochs=1, batch_size=17)
    with pytest.raises(UserError, match=r"'tests\.population\.worlds\.Normalised'.*another teachers\.training\.batch"):
        mse.fit(replace(problem, network=network, training=training), mse.Options(), 0)
