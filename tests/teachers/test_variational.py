"""Mean-field variational inference: gradients of the bound, and its optimum where that is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.teachers import variational
from kd_uncertainty.teachers.collection import fit_teachers, from_nested, posterior_logits, to_nested
from kd_uncertainty.tensors import load_nested, save_nested
from tests.teachers import worlds

FULL_BATCHES = TrainingOptions(epochs=100, batch_size=64)
SMALL = variational.Options(epochs_factor=2, samples=2)


@pytest.fixture(scope="module")
def teacher(problem):
    return fit_teachers(problem, {"normal": SMALL}, seed=3)[0]["normal"]


@pytest.mark.parametrize("kl_weight", [1.0, 0.2])
def test_it_finds_the_closed_form_of_linear_regression(kl_weight):
    """The mean is the exact posterior's, and variances are the inverse diagonal of its precision (Bishop 2006, 10.1.2).

    With ``kl_weight`` k it is the posterior of a likelihood to the power 1 / k. Tolerances are a tenth of a standard
    deviation, and 5 % of one: Monte Carlo error of 8 weight vectors a step, as the learning rate falls to 0.
    """
    problem = worlds.linear_regression(FULL_BATCHES)
    options = variational.Options(
        learning_rate=0.02, samples=8, prior_std=worlds.PRIOR_STD, noise_std=worlds.NOISE_STD, kl_weight=kl_weight
    )
    fitted = variational.fit(problem, options, seed=1).parameters
    mean, precision = worlds.exact_posterior(problem)
    prior = np.diag(np.array([2.0, 2.0, 1.0]) / worlds.PRIOR_STD**2)
    tempered = (precision - prior) / kl_weight + prior
    mean = np.linalg.solve(tempered, precision @ mean / kl_weight)
    std = 1 / np.sqrt(np.diag(tempered))
    np.testing.assert_allclose(fitted["std"][0], std, rtol=0.05)
    assert (np.abs(fitted["mean"][0].numpy() - mean) < 0.1 * std).all()
    exact = np.sqrt(np.diag(np.linalg.inv(tempered)))
    assert (std < 0.93 * exact)[:2].all(), "a mean field is narrower than the posterior, of correlated inputs"


def test_it_finds_the_optimum_of_the_bound_for_logistic_regression():
    """Two classes, a weight and a bias for each: against the bound by Gauss-Hermite quadrature, minimised numerically.

    By symmetry the classes have opposite means and equal standard deviations, so that at x the difference of logits is
    ``N(m x + b, 2 s^2 x^2 + 2 t^2)``. Tolerances for m and b are a tenth of a weight's standard deviation, for s and
    t 5 %, since gradients are noisy.
    """
    problem = replace(worlds.logistic_regression(FULL_BATCHES), network=worlds.network("torch.nn.Linear"))
    options = variational.Options(epochs_factor=4, learning_rate=0.2, samples=32, prior_std=3.0)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    inputs, signs = problem.inputs.double().numpy(), 2.0 * problem.labels.numpy()[:, None] - 1

    def bound(parameters):
        means, stds = parameters[:2], np.exp(parameters[2:])
        logits = means[0] * inputs + means[1] + np.hypot(stds[0] * inputs, stds[1]) * np.sqrt(2) * nodes
        loss = (np.logaddexp(0, -signs * logits) @ weights / weights.sum()).sum()
        return loss + 2 * ((stds**2 + (means / 2) ** 2) / (2 * 3.0**2) - np.log(stds)).sum()

    expected = minimize(bound, np.zeros(4), tol=1e-10).x
    means, stds = expected[:2], np.exp(expected[2:])
    fitted = variational.fit(problem, options, seed=1).parameters
    assert (np.abs(np.diff(fitted["mean"][0].view(2, 2).numpy())[:, 0] - means) < 0.1 * stds).all()
    np.testing.assert_allclose(fitted["std"][0], stds.repeat(2), rtol=0.05)
    assert (np.abs(stds / 3.0 - 1) > 0.1).all(), "the data say something"


def test_gradients_are_those_of_the_bound():
    """Against automatic differentiation of the bound as it is defined, for a likelihood of one minibatch."""
    generator = torch.Generator().manual_seed(0)
    start, prior_std = torch.randn(5, generator=generator), torch.rand(5, generator=generator) + 0.5
    target, normal = torch.randn(5, generator=generator), torch.randn(3, 5, generator=generator)
    approximation = variational._Approximation(start, prior_std, variational.Options(), TrainingOptions())
    mean, log_std = start.clone().requires_grad_(), approximation.log_std.clone().requires_grad_()
    sampled = mean + log_std.exp() * normal
    likelihood = ((sampled - target) ** 4).sum(1).mean()
    q, p = torch.distributions.Normal(mean, log_std.exp()), torch.distributions.Normal(0.0, prior_std)
    bound = likelihood + 0.07 * torch.distributions.kl_divergence(q, p).sum()
    expected = torch.autograd.grad(bound, [mean, log_std])
    slopes = 4 * (sampled.detach() - target) ** 3
    torch.testing.assert_close(approximation.gradients(slopes, normal, 0.07), expected)


def test_gradients_are_those_of_the_library_posteriors():
    """Its bound takes the prior as part of the likelihood; here there is none, so that both see the same weights."""
    posteriors = pytest.importorskip("posteriors")
    mean, std = torch.tensor([0.5, -1.0, 2.0]), torch.tensor([0.3, 0.6, 0.1])
    approximation = variational._Approximation(mean, torch.ones(3), variational.Options(), TrainingOptions())
    approximation.log_std, approximation._precision = std.log(), torch.zeros(3)

    def log_posterior(weights, batch):
        return -(weights**4).sum(), torch.tensor([])

    def bound(mean, log_std):
        return posteriors.vi.diag.nelbo(mean, log_std.exp(), None, log_posterior, 0.07, n_samples=5, stl=False)[0]

    torch.manual_seed(2)
    expected = torch.func.grad(bound, argnums=(0, 1))(mean, std.log())
    torch.manual_seed(2)
    normal = torch.randn(5, 3)
    torch.testing.assert_close(approximation.gradients(4 * (mean + std * normal) ** 3, normal, 0.07), expected)


def test_draws_have_the_fitted_moments():
    """Weights of a linear network, read off its logits; 2,000 draws, within 4 standard errors."""
    problem = worlds.linear_regression(TrainingOptions(epochs=1, learning_rate=0.1))
    teacher = fit_teachers(problem, {"normal": SMALL}, seed=3)[0]["normal"]
    probes = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    logits = posterior_logits(teacher, probes, range(2_000), seed=8)[..., 0].double()
    bias = logits[:, 0]
    draws = torch.stack([logits[:, 1] - bias, logits[:, 2] - bias, bias], dim=1)
    mean, std = (teacher.parameters[name][0].double() for name in ("mean", "std"))
    assert ((draws.mean(0) - mean).abs() < 4 * std / np.sqrt(2_000)).all()
    assert ((draws.std(0) / std - 1).abs() < 4 / np.sqrt(4_000)).all()
    assert (np.abs(np.corrcoef(draws.T)[np.triu_indices(3, 1)]) < 4 / np.sqrt(2_000)).all()


def test_draws_are_functions_of_seed_and_number_alone(problem, teacher):
    everything = posterior_logits(teacher, problem.inputs, range(6), seed=5)
    assert torch.equal(posterior_logits(teacher, problem.inputs, [4, 1], seed=5), everything[[4, 1]])
    assert len(everything.unique(dim=0)) == 6
    assert not torch.equal(posterior_logits(teacher, problem.inputs, [4], seed=6), everything[[4]])
    batched = torch.cat([posterior_logits(teacher, part, range(6), seed=5) for part in problem.inputs.split(50)], dim=1)
    torch.testing.assert_close(batched, everything)


def test_it_learns_and_its_curves_have_all_epochs(problem):
    fitted = variational.fit(problem, SMALL, seed=2)
    assert fitted.curves["epoch"].to_list() == list(range(1, 41))
    assert fitted.curves["validation_accuracy"].iloc[-1] > 0.85
    assert fitted.curves["train_loss"].iloc[-1] < fitted.curves["train_loss"].iloc[0]


def test_the_global_generator_neither_matters_nor_moves(problem, teacher):
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = variational.fit(problem, SMALL, seed=7).parameters
    posterior_logits(teacher, problem.inputs, range(2), seed=5)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(2)
    second = variational.fit(problem, SMALL, seed=7).parameters
    assert torch.equal(first["mean"], second["mean"])
    assert torch.equal(first["std"], second["std"])
    assert not torch.equal(first["mean"], variational.fit(problem, SMALL, seed=8).parameters["mean"])


def test_a_saved_teacher_answers_the_same(problem, teacher, tmp_path):
    save_nested(to_nested({"normal": teacher}), tmp_path / "teachers.safetensors")
    loaded = from_nested(load_nested(tmp_path / "teachers.safetensors"))["normal"]
    assert loaded.options == teacher.options
    ours, theirs = (posterior_logits(one, problem.inputs, range(3), 9) for one in (teacher, loaded))
    assert torch.equal(ours, theirs)


def test_divergence_says_what_to_lower(problem):
    wild = SMALL.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(UserError, match=r"kind: variational: member 0 diverges.* lower learning_rate \(now 1e\+30\)"):
        variational.fit(problem, wild, seed=0)


@pytest.mark.parametrize(
    ("class_path", "reason"),
    [("tests.population.worlds.Normalised", "has buffers"), ("tests.teachers.worlds.Frozen", "has frozen parameters")],
)
def test_networks_that_are_more_than_weights_are_refused(problem, class_path, reason):
    with pytest.raises(UserError, match=rf"'{class_path}': {reason}.*kind: variational.*kind: deep_ensemble"):
        variational.fit(replace(problem, network=worlds.network(class_path)), SMALL, seed=0)
