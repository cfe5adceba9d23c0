"""Laplace teachers against exact posteriors, brute force, quadrature and, where it is installed, laplace-torch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import quad
from torch import nn
from torch.autograd.functional import hessian, jacobian

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.teachers import _laplace_curvature, laplace
from kd_uncertainty.teachers._laplace_curvature import (
    curvature,
    from_eigenbasis,
    softmax_root,
    to_eigenbasis,
)
from kd_uncertainty.teachers._laplace_evidence import Evidence, scales
from kd_uncertainty.teachers._laplace_network import linearised_network
from kd_uncertainty.teachers._laplace_posterior import evidence_of, laplace_posterior
from kd_uncertainty.teachers.collection import fit_teachers, from_nested, posterior_logits, to_nested
from kd_uncertainty.teachers.contract import Problem, teacher_options
from kd_uncertainty.tensors import load_nested, save_nested

MLP = {"class": "kd_uncertainty.networks.MLP", "arguments": {"hidden": [5]}}
LINEAR = {"class": "torch.nn.Linear"}
HERE = "tests.teachers.test_laplace"
BYTES_APART = {
    "probit": {"kind": "laplace"},
    "last": {"kind": "laplace", "structure": "full", "predictive": "sampled"},
    "kron": {"kind": "laplace", "layers": "all", "predictive": "sampled"},
    "diag": {"kind": "laplace", "layers": "all", "structure": "diag", "predictive": "sampled"},
}


class OneWeight(nn.Module):
    """Logistic regression with a single weight: logits (0, w x)."""

    def __init__(self, num_inputs, num_classes):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, inputs):
        return torch.cat([torch.zeros_like(inputs), self.weight * inputs], dim=-1)


class Convolutional(nn.Module):
    """A small convolution, batch normalisation and a last Linear layer."""

    def __init__(self, num_inputs, num_classes):
        super().__init__()
        self.first, self.norm = nn.Conv1d(1, 2, 2), nn.BatchNorm1d(2)
        self.last = nn.Linear(2 * (num_inputs - 1), num_classes)

    def forward(self, inputs):
        return self.last(torch.relu(self.norm(self.first(inputs.unsqueeze(1)))).flatten(1))


class NoBias(nn.Sequential):
    """Two Linear layers without biases, and a hyperbolic tangent."""

    def __init__(self, num_inputs, num_classes):
        super().__init__(nn.Linear(num_inputs, 4, bias=False), nn.Tanh(), nn.Linear(4, num_classes, bias=False))


class InPlace(nn.Sequential):
    """A ReLU that overwrites its input."""

    def __init__(self, num_inputs, num_classes):
        super().__init__(nn.Linear(num_inputs, 5), nn.ReLU(inplace=True), nn.Linear(5, num_classes))


class Scaled(nn.Linear):
    """Logits that are not the output of a Linear layer."""

    def forward(self, inputs):
        return 2 * super().forward(inputs)


class Single(nn.Linear):
    """Works in float32 only."""

    def forward(self, inputs):
        return super().forward(inputs.float())


def network_of(network, inputs, outputs, seed=0, *, last=False, state=None):
    """A linearised network with random weights, or those given."""
    options = NetworkOptions.model_validate(network)
    if state is None:
        from kd_uncertainty.networks import build_network

        with torch.random.fork_rng():
            torch.manual_seed(seed)
            built = build_network(options.class_path, options.arguments, inputs, outputs)
        state = {name: values.detach() for name, values in (*built.named_parameters(), *built.named_buffers())}
    return linearised_network(options, inputs, outputs, state, last=last)


def points(count, inputs, seed=1):
    return torch.randn(count, inputs, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def dense(curved):
    """The curvature as a matrix (P, P), column by column of its basis."""
    identity = torch.eye(len(curved.eigenvalues), dtype=torch.float64)
    vectors = to_eigenbasis(curved.basis, identity)
    return vectors @ torch.diag(curved.eigenvalues) @ vectors.T


def brute_force(network, inputs, loss="distillation"):
    """``sum_n J_n' L_n J_n`` with one Jacobian after another, by reverse mode."""
    total = 0.0
    for example in inputs:
        slope = jacobian(lambda vector, x=example: network.call(x[None], network.unflatten(vector))[0], network.mode)
        p = torch.softmax(network.logits(example[None])[0], -1)
        inner = torch.diag(p) - torch.outer(p, p) if loss == "distillation" else torch.eye(len(p)).double()
        total = total + slope.T @ inner @ slope
    return total


# --- exact cases -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def regression():
    """Bayesian linear regression: data, scales, and the network at the exact posterior mean."""
    generator = np.random.default_rng(3)
    inputs = generator.normal(size=(30, 3))
    targets = inputs @ [0.7, -0.4, 0.1] + 0.5 * generator.normal(size=30) + 0.3
    design = np.column_stack([inputs, np.ones(30)])
    precision, noise = 0.8, 0.3
    covariance = np.linalg.inv(design.T @ design / noise + precision * np.eye(4))
    mean = covariance @ design.T @ targets / noise
    state = {"weight": torch.from_numpy(mean[None, :3]), "bias": torch.from_numpy(mean[3:])}
    network = network_of(LINEAR, 3, 1, state=state)
    return network, torch.from_numpy(inputs), torch.from_numpy(targets[:, None]), design, covariance, precision, noise


@pytest.mark.parametrize("structure", ["full", "kron"])
def test_bayesian_linear_regression_is_exact(regression, structure):
    """One layer with squared errors: every covariance and the marginal likelihood are those of the textbook."""
    network, inputs, targets, design, covariance, precision, noise = regression
    posterior = laplace_posterior(
        network,
        inputs,
        targets,
        loss="mse",
        structure=structure,
        prior_precision=precision,
        noise_variance=noise,
    )
    vectors = to_eigenbasis(posterior.basis, torch.eye(4, dtype=torch.float64))
    np.testing.assert_allclose(vectors @ torch.diag(1 / posterior.precisions) @ vectors.T, covariance, rtol=1e-9)
    variances = posterior.variances(network.jacobians(inputs))[:, 0]
    np.testing.assert_allclose(variances, np.einsum("np,pq,nq->n", design, covariance, design), rtol=1e-9)
    marginal = noise * np.eye(30) + design @ design.T / precision
    exact = stats.multivariate_normal(np.zeros(30), marginal).logpdf(targets[:, 0].numpy())
    assert posterior.scales.log_marginal_likelihood == pytest.approx(exact, rel=1e-10)


def test_several_outputs_share_the_design(regression):
    """The curvature of K outputs is that of one, K times over; its Kronecker factors are exact."""
    inputs = regression[1]
    network = network_of(LINEAR, 3, 2)
    design = torch.from_numpy(regression[3])
    exact = torch.kron(torch.eye(2, dtype=torch.float64), design.T @ design)
    for structure in ("full", "kron"):
        torch.testing.assert_close(dense(curvature(network, inputs, "mse", structure)), exact)


def test_the_scales_of_numbers_maximise_their_marginal_likelihood(regression):
    network, inputs, targets, *_ = regression
    evidence = evidence_of(network, curvature(network, inputs, "mse", "full"), inputs, targets, "mse")
    found = scales(evidence, "marginal_likelihood", "marginal_likelihood")
    best = found.log_marginal_likelihood

    def value(precision, noise):
        return evidence.log_marginal_likelihood(found.prior_precision * precision, found.noise_variance * noise)

    step = 1e-3  # central differences in the logarithms; their second derivatives are near 15 and 2
    assert (value(np.exp(step), 1) - value(np.exp(-step), 1)) / (2 * step) == pytest.approx(0, abs=1e-4)
    assert (value(1, np.exp(step)) - value(1, np.exp(-step))) / (2 * step) == pytest.approx(0, abs=1e-4)
    around = np.exp(np.linspace(-3, 3, 31))
    assert max(value(precision, noise) for precision in around for noise in around) <= best + 1e-9
    for fixed in ({"prior_precision": 0.8}, {"noise_variance": 0.3}):
        one = scales(
            evidence, **{"prior_precision": "marginal_likelihood", "noise_variance": "marginal_likelihood"} | fixed
        )
        assert {name: getattr(one, name) for name in fixed} == fixed
        assert one.log_marginal_likelihood < best


def test_the_prior_precision_of_classes_maximises_the_marginal_likelihood():
    """At the maximum, precision = effective parameters / squared norm (MacKay 1992)."""
    network, inputs = network_of(MLP, 3, 4, last=True), points(40, 3)
    labels = torch.arange(40) % 4
    evidence = evidence_of(network, curvature(network, inputs, "distillation", "full"), inputs, labels, "distillation")
    found = scales(evidence, "marginal_likelihood")
    effective = (evidence.eigenvalues / (evidence.eigenvalues + found.prior_precision)).sum()
    assert found.prior_precision * evidence.squared_norm == pytest.approx(effective, rel=1e-6)
    grid = [evidence.log_marginal_likelihood(precision) for precision in np.logspace(-6, 6, 500)]
    assert max(grid) <= found.log_marginal_likelihood + 1e-12
    assert found.noise_variance == 1.0


def test_a_maximum_beyond_the_range_is_its_end():
    """Weights that are all 0 ask for an infinite precision."""
    found = scales(Evidence(np.array([1.0, 2.0]), squared_norm=0.0), "marginal_likelihood")
    assert found.prior_precision == pytest.approx(1e8, rel=1e-3)


def test_the_curvature_of_softmax_regression_is_the_hessian():
    network, inputs = network_of(LINEAR, 3, 4), points(25, 3)
    labels = torch.arange(25) % 4

    def loss(vector):
        logits = network.call(inputs, network.unflatten(vector))
        return nn.functional.cross_entropy(logits, labels, reduction="sum")

    torch.testing.assert_close(dense(curvature(network, inputs, "distillation", "full")), hessian(loss, network.mode))


def test_a_logistic_posterior_by_quadrature():
    """One weight, 60 examples, prior N(0, 1): the posterior is nearly normal.

    Tolerances are those of the approximation: 5 % of the mean's distance from 0, 3 % of the standard deviation, 0.02
    nats.
    """
    inputs = points(60, 1)
    labels = (torch.rand(60, generator=torch.Generator().manual_seed(5)) < torch.sigmoid(1.2 * inputs[:, 0])).long()
    signs = (2 * labels - 1).numpy() * inputs[:, 0].numpy()

    def log_joint(weight):
        return -np.logaddexp(0, -signs * weight).sum() + stats.norm.logpdf(weight)

    mode = 0.0
    for _ in range(50):  # Newton's method
        p = 1 / (1 + np.exp(-inputs[:, 0].numpy() * mode))
        slope = (inputs[:, 0].numpy() * (labels.numpy() - p)).sum() - mode
        mode += slope / (1 + (inputs[:, 0].numpy() ** 2 * p * (1 - p)).sum())
    top = log_joint(mode)
    moments = [quad(lambda w, k=k: w**k * np.exp(log_joint(w) - top), mode - 4, mode + 4)[0] for k in range(3)]
    mean = moments[1] / moments[0]
    spread = np.sqrt(moments[2] / moments[0] - mean**2)

    state = {"weight": torch.tensor(mode, dtype=torch.float64)}
    network = network_of({"class": f"{HERE}.OneWeight"}, 1, 2, state=state)
    posterior = laplace_posterior(network, inputs, labels, structure="full", prior_precision=1.0)
    assert mode == pytest.approx(mean, rel=0.05)
    assert float(posterior.precisions[0] ** -0.5) == pytest.approx(spread, rel=0.03)
    exact = top + np.log(moments[0])
    assert posterior.scales.log_marginal_likelihood == pytest.approx(exact, abs=0.02)


# --- structures ------------------------------------------------------------------------------------------------------


def test_the_root_of_the_softmax_curvature():
    logits = 3 * points(6, 4)
    root, p = softmax_root(logits), torch.softmax(logits, -1)
    torch.testing.assert_close(root @ root.mT, torch.diag_embed(p) - p[:, :, None] * p[:, None, :])


@pytest.mark.parametrize("network", [MLP, {"class": f"{HERE}.Convolutional"}, {"class": f"{HERE}.InPlace"}])
@pytest.mark.parametrize("loss", ["distillation", "mse"])
def test_the_full_curvature_is_the_sum_over_examples(network, loss, monkeypatch):
    built, inputs = network_of(network, 4, 3), points(12, 4)
    monkeypatch.setattr(_laplace_curvature, "_ELEMENTS", 5 * 3 * len(built.mode))  # batches of 5, 5 and 2
    exact = brute_force(built, inputs, loss)
    torch.testing.assert_close(dense(curvature(built, inputs, loss, "full")), exact)
    diagonal = curvature(built, inputs, loss, "diag")
    assert diagonal.basis == ()
    torch.testing.assert_close(diagonal.eigenvalues, exact.diagonal())


def test_the_last_layer_is_the_last_block_of_all():
    whole, last = (network_of(MLP, 4, 3, last=one) for one in (False, True))
    inputs, size = points(12, 4), len(last.mode)
    assert size == 3 * 6
    block = dense(curvature(whole, inputs, "distillation", "full"))[-size:, -size:]
    torch.testing.assert_close(dense(curvature(last, inputs, "distillation", "full")), block)
    kron, of_all = (dense(curvature(one, inputs, "distillation", "kron")) for one in (last, whole))
    torch.testing.assert_close(kron, of_all[-size:, -size:])


@pytest.mark.parametrize("network", [MLP, {"class": f"{HERE}.InPlace"}, {"class": f"{HERE}.NoBias"}])
@pytest.mark.parametrize("repeats", [1, 3])
def test_kronecker_factors_are_exact_for_equal_examples(network, repeats):
    """Within each layer; between layers the curvature is left out."""
    built, inputs = network_of(network, 4, 3), points(1, 4).repeat(repeats, 1)
    exact, start = brute_force(built, inputs), 0
    found = dense(curvature(built, inputs, "distillation", "kron"))
    assert exact.abs().max() > 1e-3
    for size in built.sizes:
        part = slice(start, start + size)
        torch.testing.assert_close(found[part, part], exact[part, part])
        assert not found[part, part.stop :].any()
        start = part.stop


def test_kronecker_factors_by_definition(monkeypatch):
    """Sums over examples of slopes and of inputs, the latter divided by their number, in batches of any size."""
    built, inputs = network_of(MLP, 4, 3), points(9, 4)
    hidden = torch.relu(inputs @ built.state["0.weight"].T + built.state["0.bias"])
    p = torch.softmax(built.logits(inputs), -1)
    extended = torch.cat([hidden, torch.ones(9, 1, dtype=torch.float64)], 1)
    left = sum(torch.diag(one) - torch.outer(one, one) for one in p)
    exact = torch.kron(left, extended.T @ extended / 9)
    monkeypatch.setattr(_laplace_curvature, "_ELEMENTS", 4 * 3 * (5 + 3))  # batches of 4, 4 and 1
    found = dense(curvature(built, inputs, "distillation", "kron"))
    torch.testing.assert_close(found[-18:, -18:], exact)


@pytest.mark.parametrize("structure", ["full", "kron", "diag"])
def test_a_basis_is_orthogonal_and_its_draws_have_the_posteriors_covariance(structure):
    """4,000 draws: every covariance of logits, and every mean, within 5 standard errors."""
    network, inputs = network_of(MLP, 3, 3), points(20, 3)
    posterior = laplace_posterior(network, inputs, torch.arange(20) % 3, structure=structure, prior_precision=2.0)
    vectors = points(4, len(network.mode))
    torch.testing.assert_close(from_eigenbasis(posterior.basis, to_eigenbasis(posterior.basis, vectors)), vectors)
    curved = dense(curvature(network, inputs, "distillation", structure))
    slopes = network.jacobians(inputs[:2]).flatten(0, 1)
    precision = curved + 2.0 * torch.eye(len(curved), dtype=torch.float64)
    exact = slopes @ torch.linalg.solve(precision, slopes.T)
    torch.testing.assert_close(posterior.variances(slopes), exact.diagonal())
    torch.testing.assert_close(posterior.variances_at(network, inputs[:2]).flatten(), exact.diagonal())

    draws = torch.stack([posterior.draw(seed) for seed in range(4000)]) @ slopes.T
    variance = exact.diagonal()
    assert (draws.mean(0).abs() < 5 * (variance / len(draws)).sqrt()).all()
    error = ((exact.square() + torch.outer(variance, variance)) / len(draws)).sqrt()
    assert ((draws.T @ draws / len(draws) - exact).abs() < 5 * error).all()


def test_flat_parameters_come_back():
    for network in (MLP, LINEAR, {"class": f"{HERE}.Convolutional"}, {"class": f"{HERE}.NoBias"}):
        built = network_of(network, 4, 3)
        vector = points(1, len(built.mode))[0]
        parameters = built.unflatten(vector)
        assert torch.equal(built.flatten(parameters), vector)
        assert {name: values.shape for name, values in parameters.items()} == {
            name: built.state[name].shape for name in parameters
        }
        assert set(parameters) == {name for name, _ in built.network.named_parameters()}


# --- as a teacher ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted(problem):
    posteriors = {name: teacher_options(one) for name, one in BYTES_APART.items()}
    return fit_teachers(problem, posteriors, seed=11)


@pytest.fixture(scope="module", params=sorted(BYTES_APART))
def teacher(request, fitted):
    return fitted[0][request.param]


def test_it_learns_the_task(problem, teacher):
    probabilities = posterior_logits(teacher, problem.validation_inputs, range(8), seed=0).softmax(-1).mean(0)
    assert (probabilities.argmax(-1) == problem.validation_labels).float().mean() > 0.85


def test_draws_do_not_depend_on_the_others_nor_on_batches(problem, teacher):
    """Bit for bit."""
    everything = posterior_logits(teacher, problem.inputs, range(6), seed=5)
    assert everything.shape == (6, 120, 3)
    assert everything.dtype == torch.float32
    assert torch.equal(posterior_logits(teacher, problem.inputs, [4, 1], seed=5), everything[[4, 1]])
    for size in (1, 7, 64):
        parts = [posterior_logits(teacher, part, range(6), seed=5) for part in problem.inputs.split(size)]
        assert torch.equal(torch.cat(parts, dim=1), everything)
    other = posterior_logits(teacher, problem.inputs, range(6), seed=6)
    assert torch.equal(other, everything) == (teacher.options.distinct_draws == 1)


def test_examples_are_computed_in_blocks_of_one_size():
    """Whatever the number of examples, as products of other sizes may round differently."""
    sizes = []

    def double(block):
        sizes.append(len(block))
        return torch.stack([block, 2 * block])

    values = points(10, 2)
    assert torch.equal(laplace._in_blocks(values, 4, double), torch.stack([values, 2 * values]))
    assert sizes == [4, 4, 4]


def test_a_probit_posterior_has_one_draw(problem, fitted):
    teacher = fitted[0]["probit"]
    assert teacher.options.cached_draws(64) == 1
    assert fitted[0]["kron"].options.cached_draws(64) == 64
    draws = posterior_logits(teacher, problem.inputs, [0, 9], seed=1)
    assert torch.equal(draws[0], draws[1])


def test_asking_draws_nothing_from_the_global_generator(problem, teacher):
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    posterior_logits(teacher, problem.inputs, range(2), seed=5)
    assert torch.rand(1) == expected


def test_a_saved_teacher_answers_the_same(problem, fitted, tmp_path):
    save_nested(to_nested(fitted[0]), tmp_path / "teachers.safetensors")
    loaded = from_nested(load_nested(tmp_path / "teachers.safetensors"))
    for name, teacher in fitted[0].items():
        assert loaded[name].options == teacher.options
        ours, theirs = (posterior_logits(one, problem.inputs, range(3), 9) for one in (teacher, loaded[name]))
        assert torch.equal(ours, theirs)


def test_fitting_is_reproducible_and_its_curve_that_of_training(problem, fitted):
    alone, curves = fit_teachers(problem, {"kron": teacher_options(BYTES_APART["kron"])}, seed=11)
    for name, values in fitted[0]["kron"].parameters.items():
        assert torch.equal(alone["kron"].parameters[name], values)
    assert list(curves["epoch"]) == list(range(1, 21))
    assert curves["validation_accuracy"].iloc[-1] > 0.8


def test_a_draw_of_the_last_layer_is_a_network(problem, fitted):
    """By hand: logits are linear in the hidden units, and the weights that a draw has are found from them."""
    teacher = fitted[0]["last"]
    weights = {name: values[0].double() for name, values in laplace._named(teacher, "mode.").items()}
    hidden = torch.relu(problem.inputs.double() @ weights["0.weight"].T + weights["0.bias"])
    extended = torch.cat([hidden, torch.ones(120, 1, dtype=torch.float64)], 1)
    draw = posterior_logits(teacher, problem.inputs, [3], seed=8)[0].double()
    found = torch.linalg.pinv(extended) @ draw
    torch.testing.assert_close(extended @ found, draw, atol=1e-5, rtol=1e-5)
    mode = extended @ torch.cat([weights["2.weight"], weights["2.bias"][:, None]], 1).T
    assert (draw - mode).abs().max() > 0.05


def test_draws_of_all_layers_have_the_linearised_moments(problem, fitted):
    """2,000 draws of the served logits: mean the network's, variance the posterior's, within 5 standard errors."""
    teacher, inputs = fitted[0]["kron"], problem.inputs[:3]
    draws = posterior_logits(teacher, inputs, range(2000), seed=3).double()
    network = laplace._network(teacher, torch.device("cpu"))
    posterior = laplace.Posterior.from_tensors(laplace._named(teacher, "posterior."), torch.device("cpu"))
    variance = posterior.variances(network.jacobians(inputs))
    assert ((draws.mean(0) - network.logits(inputs)).abs() < 5 * (variance / 2000).sqrt() + 1e-5).all()
    assert ((draws.var(0) / variance - 1).abs() < 5 * np.sqrt(2 / 2000)).all()


def test_probit_logits_by_hand(problem, fitted):
    teacher, inputs = fitted[0]["probit"], problem.inputs[:30]
    network = laplace._network(teacher, torch.device("cpu"))
    posterior = laplace.Posterior.from_tensors(laplace._named(teacher, "posterior."), torch.device("cpu"))
    vectors = to_eigenbasis(posterior.basis, torch.eye(len(network.mode), dtype=torch.float64))
    covariance = vectors @ torch.diag(1 / posterior.precisions) @ vectors.T
    slopes = network.jacobians(inputs)
    variance = torch.einsum("nkp,pq,nkq->nk", slopes, covariance, slopes)
    expected = network.logits(inputs) / torch.sqrt(1 + torch.pi * variance / 8)
    torch.testing.assert_close(posterior_logits(teacher, inputs, [0], seed=0)[0], expected.float())


def test_probit_probabilities_are_near_those_of_draws_where_the_posterior_is_narrow(problem):
    """Within 0.02 of the mean of 4,000 draws, under a prior precision of 30; under wide ones it is crude."""
    settings = {"kind": "laplace", "prior_precision": 30.0}
    kinds = {"probit": settings, "sampled": settings | {"predictive": "sampled"}}
    posteriors = {name: teacher_options(one) for name, one in kinds.items()}
    fitted, inputs = fit_teachers(problem, {"one": posteriors["probit"]}, seed=11)[0]["one"], problem.inputs[:30]
    probit = posterior_logits(fitted, inputs, [0], seed=0)[0].softmax(-1)
    sampled = replace(fitted, options=posteriors["sampled"])
    mean = posterior_logits(sampled, inputs, range(4000), seed=0).softmax(-1).mean(0)
    plain = laplace.posterior_mean(fitted, inputs).softmax(-1)
    assert (probit - mean).abs().max() < 0.02
    assert (plain - mean).abs().max() > 2 * (probit - mean).abs().max()


def test_numbers_have_a_posterior_too(problem):
    """A linear network trained on numbers: draws around the trained network, whose logits are the mean."""
    inputs = problem.inputs
    targets = (inputs[:, :1] - inputs[:, 1:]) / 3 + 0.2 * points(120, 1).float()
    numbers = Problem(
        inputs=inputs,
        labels=targets,
        validation_inputs=inputs[:20],
        validation_labels=targets[:20],
        num_classes=1,
        network=NetworkOptions.model_validate(LINEAR),
        training=TrainingOptions(epochs=40, batch_size=20, learning_rate=0.03),
        device=torch.device("cpu"),
        loss="mse",
    )
    options = teacher_options({"kind": "laplace", "structure": "full", "predictive": "sampled"})
    teacher = fit_teachers(numbers, {"one": options}, seed=2)[0]["one"]
    draws = posterior_logits(teacher, inputs[:4], range(400), seed=1).double()
    mean = laplace.posterior_mean(teacher, inputs[:4])
    assert mean.shape == (4, 1)
    assert ((draws.mean(0) - mean).abs() < 5 * draws.std(0) / 20).all()
    noise = float(teacher.parameters["posterior.noise_variance"])
    assert noise == pytest.approx(0.04, rel=0.4)
    with pytest.raises(UserError, match="predictive: sampled"):
        laplace.fit(numbers, laplace.Options(), seed=0)


def test_it_may_be_cross_fitted(problem, tmp_path):
    """Its tensors, numbers among them, are kept once a fold."""
    options = teacher_options({"kind": "laplace", "predictive": "sampled", "folds": 2})
    fitted, _ = fit_teachers(problem, {"one": options}, seed=3)
    save_nested(to_nested(fitted), tmp_path / "teachers.safetensors")
    loaded = from_nested(load_nested(tmp_path / "teachers.safetensors"))["one"]
    ids = np.arange(120)
    ours, theirs = (posterior_logits(one, problem.inputs, range(2), 9, ids) for one in (fitted["one"], loaded))
    assert torch.equal(ours, theirs)
    assert (ours.softmax(-1).mean(0).argmax(-1) == problem.labels).float().mean() > 0.85


def test_networks_with_other_layers(problem):
    """Convolutions and batch normalisation: full and diag over all layers, every structure over the last."""
    other = replace(problem, network=NetworkOptions.model_validate({"class": f"{HERE}.Convolutional"}))
    for settings in (
        {"structure": "kron"},
        {"layers": "all", "structure": "diag"},
        {"layers": "all", "structure": "full"},
    ):
        options = teacher_options({"kind": "laplace", "predictive": "sampled", **settings})
        teacher = fit_teachers(other, {"one": options}, seed=2)[0]["one"]
        assert posterior_logits(teacher, problem.inputs, range(2), seed=1).isfinite().all()
    with pytest.raises(UserError, match=r"Convolutional.*set structure: diag, or layers: last"):
        laplace.fit(other, laplace.Options(layers="all"), seed=0)


def test_what_has_no_laplace_posterior_is_refused(problem, monkeypatch):
    scaled = replace(problem, network=NetworkOptions.model_validate({"class": f"{HERE}.Scaled"}))
    with pytest.raises(UserError, match=r"its logits are not the output of an nn\.Linear layer"):
        laplace.fit(scaled, laplace.Options(), seed=0)
    assert laplace.fit(scaled, laplace.Options(layers="all", structure="full"), seed=0).parameters
    single = replace(problem, network=NetworkOptions.model_validate({"class": f"{HERE}.Single"}))
    with pytest.raises(UserError, match=r"cannot differentiate it with torch\.func in float64"):
        laplace.fit(single, laplace.Options(layers="all"), seed=0)
    monkeypatch.setattr(_laplace_curvature, "MOST_FULL_PARAMETERS", 98)  # 16 x 3 + 3 x 17 = 99
    with pytest.raises(UserError, match="99 x 99 numbers, and 98 parameters"):
        laplace.fit(problem, laplace.Options(layers="all", structure="full"), seed=0)


@pytest.mark.parametrize(
    "wrong", [{"prior_precision": 0}, {"prior_precision": "most"}, {"layers": "first"}, {"rank": 2}]
)
def test_options_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        teacher_options({"kind": "laplace", **wrong})
