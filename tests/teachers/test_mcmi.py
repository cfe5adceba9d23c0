"""Teachers of maximum conditional mutual information: the measure, its gradient, and what fine-tuning does."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import MLP
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.contract import Cohort
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.seeds import batch_orders, derive_seed
from kd_uncertainty.population.training import train
from kd_uncertainty.teachers import deterministic, mcmi
from kd_uncertainty.teachers.collection import fit_teachers, from_nested, posterior_logits, to_nested
from kd_uncertainty.teachers.contract import teacher_options
from kd_uncertainty.tensors import load_nested, save_nested

POSTERIORS = {
    "spread": teacher_options({"kind": "mcmi", "weight": 0.5, "epochs": 10}),
    "plain": teacher_options({"kind": "mcmi", "weight": 0.0, "epochs": 10}),
}


@pytest.fixture(scope="module")
def fitted(problem):
    """Both start from one network, as their seeds are equal."""
    return {name: mcmi.fit(problem, options, seed=4) for name, options in POSTERIORS.items()}


def logits_and_labels():
    generator = torch.Generator().manual_seed(2)
    logits = 2 * torch.randn(12, 4, generator=generator, dtype=torch.float64)
    return logits, torch.tensor([0, 0, 1, 1, 1, 3, 3, 0, 1, 3, 0, 0])  # no example of class 2


def information(problem, parameters, options):
    teacher = fit_as(problem, parameters, options)
    logits = posterior_logits(teacher, problem.inputs, [0], 0)[0].double()
    means = mcmi.centroids(logits, problem.labels)
    accuracy = (logits.argmax(-1) == problem.labels).double().mean()
    return float(mcmi.conditional_mutual_information(logits, problem.labels, means)), float(accuracy)


def fit_as(problem, parameters, options):
    from kd_uncertainty.teachers.contract import Teacher

    return Teacher("one", options, problem.network, problem.inputs.shape[1], problem.num_classes, parameters)


def test_the_measure_by_enumeration():
    """I(X; prediction | Y) from the joint distribution, example by example and class by class."""
    logits, labels = logits_and_labels()
    p, total = torch.softmax(logits, -1).numpy(), 0.0
    for label in (0, 1, 3):
        members = np.flatnonzero(labels.numpy() == label)
        share = len(members) / len(labels)
        for prediction in range(4):
            marginal = sum(p[member, prediction] for member in members) / len(members)
            for member in members:
                joint = p[member, prediction] / len(members)  # P(x, prediction | y)
                total += share * joint * np.log(joint / (marginal / len(members)))
    means = mcmi.centroids(logits, labels)
    assert float(mcmi.conditional_mutual_information(logits, labels, means)) == pytest.approx(total, rel=1e-12)
    torch.testing.assert_close(means[[0, 1, 3]].sum(-1), torch.ones(3, dtype=torch.float64))
    assert not means[2].any()


def test_equal_outputs_in_each_class_carry_no_information():
    labels = torch.arange(9) % 3
    logits = torch.eye(3, dtype=torch.float64)[labels] * 5
    means = mcmi.centroids(logits, labels)
    assert float(mcmi.conditional_mutual_information(logits, labels, means)) == pytest.approx(0.0, abs=1e-12)


def test_certain_outputs_stay_finite():
    logits = torch.tensor([[800.0, 0.0], [0.0, 800.0]], requires_grad=True)
    means = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    value = mcmi.objective(logits, torch.tensor([0, 1]), means, 0.5)
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()


def test_the_gradient_with_fixed_centroids():
    """Against central differences of the written-out sum."""
    logits, labels = logits_and_labels()
    means = mcmi.centroids(logits, labels) + 0.01

    def by_hand(values):
        p = np.exp(values) / np.exp(values).sum(-1, keepdims=True)
        q = means.numpy()[labels.numpy()]
        return -np.log(p[np.arange(12), labels.numpy()]).mean() - 0.3 * (p * np.log(p / q)).sum(-1).mean()

    followed = logits.clone().requires_grad_()
    mcmi.objective(followed, labels, means, 0.3).backward()
    expected = np.empty((12, 4))
    for place in np.ndindex(12, 4):
        step = np.zeros((12, 4))
        step[place] = 1e-5
        expected[place] = (by_hand(logits.numpy() + step) - by_hand(logits.numpy() - step)) / 2e-5
    np.testing.assert_allclose(followed.grad.numpy(), expected, atol=1e-9)


def test_fine_tuning_raises_the_information_and_keeps_the_accuracy(problem, fitted):
    before = deterministic.fit(problem, deterministic.Options(), seed=4).parameters
    start, right = information(problem, before, teacher_options({"kind": "deterministic"}))
    spread, spread_right = information(problem, fitted["spread"].parameters, POSTERIORS["spread"])
    plain, _ = information(problem, fitted["plain"].parameters, POSTERIORS["plain"])
    assert spread > 1.1 * start
    assert spread > 1.1 * plain
    assert spread_right > right - 0.03


def test_weight_0_is_plain_fine_tuning(problem):
    """The population engine's own training, from the same network on, with the same orders and rates."""
    options = mcmi.Options(weight=0.0, epochs=4, learning_rate=0.002)
    found = mcmi.fit(problem, options, seed=4).parameters
    initial = deterministic.fit(problem, deterministic.Options(), seed=4).parameters
    targets = torch.nn.functional.one_hot(problem.labels, 3).float()
    trained = train(
        lambda: MLP(2, 3, hidden=[16]),
        problem.inputs,
        problem.labels,
        Cohort.of_ensemble(targets, [0], [derive_seed(4, "fine-tuning")]),
        TrainingOptions(epochs=4, batch_size=20, learning_rate=0.002, schedule="cosine"),
        initial=initial,
    )
    for name, values in trained.parameters.items():
        torch.testing.assert_close(found[name], values, atol=1e-5, rtol=1e-4)
        assert not torch.equal(found[name], initial[name])


def test_centroids_and_weights_take_turns(problem):
    """Two epochs written out, with torch's own Adam and centroids that are taken anew before each."""
    training = TrainingOptions(epochs=2, batch_size=40, learning_rate=0.05, schedule="cosine")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, other = (MLP(2, 3, hidden=[16]) for _ in range(2))
    other.load_state_dict(network.state_dict())
    mcmi.fine_tune(network, problem.inputs, problem.labels, training, 0.5, order_seed=6)
    optimiser = torch.optim.Adam(other.parameters(), lr=0.05)
    for epoch in range(2):
        with torch.no_grad():
            p = other(problem.inputs).softmax(-1)
        means = torch.stack([p[problem.labels == label].mean(0) for label in range(3)])
        order = torch.from_numpy(batch_orders([6], epoch, 120)[0])
        for step, rows in enumerate(torch.split(order, 40), start=3 * epoch):
            optimiser.param_groups[0]["lr"] = 0.05 * (1 + np.cos(np.pi * step / 6)) / 2
            p, labels = other(problem.inputs[rows]).softmax(-1), problem.labels[rows]
            spread = (p * (p.log() - means[labels].log())).sum(-1).mean()
            optimiser.zero_grad()
            (-p[torch.arange(40), labels].log().mean() - 0.5 * spread).backward()
            optimiser.step()
    for ours, theirs in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_its_curves_go_on(problem, fitted):
    curves = fitted["spread"].curves
    assert list(curves.columns) == ["member", "epoch", "train_loss", "validation_nll", "validation_accuracy"]
    assert list(curves["epoch"]) == list(range(1, 31))
    teacher = fit_as(problem, fitted["spread"].parameters, POSTERIORS["spread"])
    logits = posterior_logits(teacher, problem.validation_inputs, [0], 0)[0]
    last, labels = curves.iloc[-1], problem.validation_labels
    assert last["validation_nll"] == pytest.approx(float(torch.nn.functional.cross_entropy(logits, labels)), rel=1e-5)
    assert last["validation_accuracy"] > 0.85
    assert curves["train_loss"].iloc[-1] < curves["train_loss"].iloc[20], "the objective falls"


def test_fine_tuning_goes_by_its_own_rate():
    training = TrainingOptions(
        epochs=9, batch_size=8, optimiser="sgd", momentum=0.5, learning_rate=0.1, schedule="step", milestones=(3, 8)
    )
    found = mcmi.tuning_options(training, mcmi.Options(epochs=2))
    assert found == TrainingOptions(
        epochs=2, batch_size=8, optimiser="sgd", momentum=0.5, learning_rate=0.05, schedule="cosine"
    )
    assert mcmi.tuning_options(training, mcmi.Options(learning_rate=0.3)).learning_rate == 0.3


def test_it_is_one_reproducible_point(problem, tmp_path):
    posteriors = {"spread": POSTERIORS["spread"]}
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    one, two = (fit_teachers(problem, posteriors, seed=9)[0]["spread"] for _ in range(2))
    assert torch.rand(1) == expected
    for name, values in one.parameters.items():
        assert torch.equal(two.parameters[name], values)
    save_nested(to_nested({"spread": one}), tmp_path / "teachers.safetensors")
    loaded = from_nested(load_nested(tmp_path / "teachers.safetensors"))["spread"]
    logits = posterior_logits(one, problem.inputs, range(2), seed=3)
    assert torch.equal(posterior_logits(loaded, problem.inputs, range(2), seed=5), logits)
    assert torch.equal(logits[0], logits[1])
    assert one.options.cached_draws(64) == 1
    parts = [posterior_logits(one, part, range(2), seed=3) for part in torch.split(problem.inputs, 7)]
    torch.testing.assert_close(torch.cat(parts, dim=1), logits)


def test_dropout_in_fine_tuning_is_reproducible(problem):
    network = NetworkOptions.model_validate(
        {"class": "kd_uncertainty.networks.MLP", "arguments": {"hidden": [8], "dropout": 0.3}}
    )
    wet = replace(problem, network=network)
    one, two = (mcmi.fit(wet, mcmi.Options(epochs=2), seed=1).parameters for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_numbers_and_divergence_are_refused(problem):
    numbers = replace(problem, labels=problem.inputs[:, :1], loss="mse")
    with pytest.raises(UserError, match="mcmi predicts classes, not numbers"):
        mcmi.fit(numbers, mcmi.Options(), seed=0)
    sgd = replace(problem, training=TrainingOptions(epochs=1, batch_size=20, optimiser="sgd", learning_rate=0.01))
    with pytest.raises(UserError, match="fine-tuning; set a smaller weight or learning_rate"):
        mcmi.fit(sgd, mcmi.Options(learning_rate=1e38), seed=0)
