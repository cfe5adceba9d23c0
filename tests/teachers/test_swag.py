"""SWAG: its moments against those of the snapshots, and draws against the normal distribution that they define."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import network_builder
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.teachers import swag
from kd_uncertainty.teachers._fitting import fit_members
from kd_uncertainty.teachers.collection import fit_teachers, from_nested, posterior_logits, to_nested
from kd_uncertainty.tensors import load_nested, save_nested
from tests.teachers import worlds

SMALL = swag.Options(members=2, snapshots=5, rank=3)


@pytest.fixture(scope="module")
def teacher(problem):
    return fit_teachers(problem, {"swag": SMALL}, seed=3)[0]["swag"]


def test_moments_are_those_of_the_snapshots():
    """By the definitions, with numpy."""
    snapshots = np.random.default_rng(0).normal(3.0, 0.01, size=(7, 2, 4)).astype(np.float32)
    moments = swag.Moments(rank=3)
    for weights in snapshots:
        moments.add(torch.from_numpy(weights))
    exact = snapshots.astype(np.float64)
    np.testing.assert_allclose(moments.mean, exact.mean(0), rtol=1e-12)
    np.testing.assert_allclose(moments.diagonal, exact.var(0), rtol=1e-8)
    deviations = [exact[i] - exact[: i + 1].mean(0) for i in (4, 5, 6)]
    np.testing.assert_allclose(moments.deviations, np.stack(deviations, axis=1), atol=1e-12)


def test_descent_goes_on_from_training(problem):
    """Replayed with full batches, whose order does not matter: plain gradient descent, written out here."""
    problem = replace(problem, training=problem.training.model_copy(update={"batch_size": 200}))
    options = swag.Options(snapshots=4, rank=2, learning_rate=0.3)
    fitted = swag.fit(problem, options, seed=5).parameters
    start = fit_members(problem, problem.network.arguments, 1, seed=5).parameters
    network = network_builder(problem.network.class_path, problem.network.arguments, 2, 3)()
    network.load_state_dict({name: values[0] for name, values in start.items()})
    snapshots = []
    for _ in range(4):
        gradients = torch.autograd.grad(
            cross_entropy(network(problem.inputs), problem.labels), list(network.parameters())
        )
        with torch.no_grad():
            for values, gradient in zip(network.parameters(), gradients, strict=True):
                values.sub_(0.3 * gradient)
        snapshots.append(torch.cat([values.detach().flatten() for values in network.parameters()]).double())
    stack = torch.stack(snapshots)
    torch.testing.assert_close(fitted["mean"][0].double(), stack.mean(0), rtol=0, atol=1e-5)
    torch.testing.assert_close(
        fitted["diagonal"][0].double().sqrt(), stack.var(0, correction=0).sqrt(), rtol=0, atol=1e-5
    )
    expected = torch.stack([stack[2] - stack[:3].mean(0), stack[3] - stack.mean(0)])
    torch.testing.assert_close(fitted["deviations"][0].double(), expected, rtol=0, atol=1e-5)


def test_draws_have_the_moments_of_their_definition():
    """Covariance ``diag(d) / 2 + D D' / (2 (rank - 1))``; 6,000 draws, within 4.5 standard errors."""
    generator = torch.Generator().manual_seed(1)
    parameters = {
        "mean": torch.randn(1, 4, generator=generator),
        "diagonal": torch.rand(1, 4, generator=generator),
        "deviations": torch.randn(1, 3, 4, generator=generator),
    }
    draws = torch.stack([swag.draw_weights(parameters, draw, seed=2) for draw in range(6_000)]).double().numpy()
    deviations = parameters["deviations"][0].double().numpy()
    exact = np.diag(parameters["diagonal"][0].double().numpy()) / 2 + deviations.T @ deviations / 4
    variance = np.diagonal(exact)
    assert (np.abs(draws.mean(0) - parameters["mean"][0].numpy()) < 4.5 * np.sqrt(variance / len(draws))).all()
    error = np.sqrt((exact**2 + np.outer(variance, variance)) / len(draws))
    assert (np.abs(np.cov(draws.T) - exact) < 4.5 * error).all()


def test_draws_are_functions_of_seed_and_number_alone(problem, teacher):
    everything = posterior_logits(teacher, problem.inputs, range(6), seed=5)
    assert torch.equal(posterior_logits(teacher, problem.inputs, [4, 1], seed=5), everything[[4, 1]])
    assert len(everything.unique(dim=0)) == 6
    assert not torch.equal(posterior_logits(teacher, problem.inputs, [4], seed=6), everything[[4]])
    batched = torch.cat([posterior_logits(teacher, part, range(6), seed=5) for part in problem.inputs.split(50)], dim=1)
    torch.testing.assert_close(batched, everything)


def test_members_take_turns_in_an_order_of_the_seed(teacher):
    """Each draw of two is of another member: nearer to its mean, of which the members' are far apart."""
    means = teacher.parameters["mean"]

    def member(draw, seed):
        return int((means - swag.draw_weights(teacher.parameters, draw, seed)).norm(dim=1).argmin())

    assert all({member(draw, 0), member(draw + 1, 0)} == {0, 1} for draw in range(0, 20, 2))
    assert {member(0, seed) for seed in range(20)} == {0, 1}


def test_a_member_does_not_depend_on_the_others(problem):
    together = swag.fit(problem, SMALL, seed=7)
    alone = swag.fit(problem, SMALL.model_copy(update={"members": 1}), seed=7)
    for name, values in together.parameters.items():
        assert torch.equal(values[:1], alone.parameters[name])
    assert together.parameters["deviations"].shape == (2, 3, together.parameters["mean"].shape[1])


def test_curves_go_on_after_training(problem):
    curves = swag.fit(problem, SMALL, seed=7).curves
    assert curves.groupby("member")["epoch"].apply(list).to_list() == [list(range(1, 26))] * 2
    assert (curves.query("epoch > 20")["validation_accuracy"] > 0.85).all()


def test_numbers_are_predicted_too():
    problem = worlds.linear_regression(TrainingOptions(epochs=30, batch_size=10, learning_rate=0.05))
    teacher = fit_teachers(problem, {"swag": swag.Options()}, seed=1)[0]["swag"]
    answers = posterior_logits(teacher, problem.validation_inputs, range(16), seed=0)
    assert answers.shape == (16, 10, 1)
    assert float((answers.mean(0) - problem.validation_labels).square().mean()) < 0.5


def test_the_global_generator_neither_matters_nor_moves(problem, teacher):
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = swag.fit(problem, SMALL, seed=7).parameters
    posterior_logits(teacher, problem.inputs, range(2), seed=5)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(2)
    second = swag.fit(problem, SMALL, seed=7).parameters
    assert all(torch.equal(values, second[name]) for name, values in first.items())


def test_a_saved_teacher_answers_the_same(problem, teacher, tmp_path):
    save_nested(to_nested({"swag": teacher}), tmp_path / "teachers.safetensors")
    loaded = from_nested(load_nested(tmp_path / "teachers.safetensors"))["swag"]
    assert loaded.options == teacher.options
    ours, theirs = (posterior_logits(one, problem.inputs, range(3), 9) for one in (teacher, loaded))
    assert torch.equal(ours, theirs)


def test_descent_that_diverges_says_what_to_lower(problem):
    wild = SMALL.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(UserError, match=r"kind: swag: descent .* in epoch \d; lower its learning_rate \(now 1e"):
        swag.fit(problem, wild, seed=0)


def test_more_deviations_than_snapshots_are_refused():
    with pytest.raises(ValueError, match=r"rank must be at most snapshots \(10\), not 20"):
        swag.Options(snapshots=10)


@pytest.mark.parametrize(
    ("class_path", "reason"),
    [("tests.population.worlds.Normalised", "has buffers"), ("tests.teachers.worlds.Frozen", "has frozen parameters")],
)
def test_networks_that_are_more_than_weights_are_refused(problem, class_path, reason):
    with pytest.raises(UserError, match=rf"'{class_path}': {reason}.*kind: swag.*kind: deep_ensemble"):
        swag.fit(replace(problem, network=worlds.network(class_path)), SMALL, seed=0)
