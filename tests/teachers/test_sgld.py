"""Langevin dynamics: its stationary distribution, chains against exact posteriors, and what is kept of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.teachers import sgld
from kd_uncertainty.teachers.collection import fit_teachers, from_nested, posterior_logits, to_nested
from kd_uncertainty.tensors import load_nested, save_nested
from tests.teachers import worlds

FULL_BATCHES = TrainingOptions(epochs=20, batch_size=64, learning_rate=0.03)
SMALL = sgld.Options(chains=2, samples=6, burn_in=4, thinning=2, step_size=0.05)


@pytest.fixture(scope="module")
def teacher(problem):
    return fit_teachers(problem, {"chains": SMALL}, seed=3)[0]["chains"]


@pytest.mark.parametrize("momentum", [0.0, 0.8])
@pytest.mark.parametrize("temperature", [1.0, 0.25])
def test_a_step_has_the_stationary_variance_of_its_formula(momentum, temperature):
    """Where U is h w^2 / 2; 20,000 chains, within 4 standard errors. The step is large, so that its error shows."""
    curvature, step, chains = torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64), 0.2, 20_000
    generator = torch.Generator().manual_seed(5)
    weights = torch.zeros(chains, 3, dtype=torch.float64)
    velocity = torch.zeros_like(weights)
    for _ in range(120):
        noise = torch.randn(chains, 3, generator=generator, dtype=torch.float64)
        sgld.langevin_step(weights, velocity, weights * curvature, noise, (step, momentum, temperature))
    expected = temperature / (curvature * (1 - step * curvature / (2 + 2 * momentum)))
    assert expected[2] * curvature[2] > 1.2 * temperature, "the error of the step is not negligible here"
    error = expected * np.sqrt(2 / chains)
    assert ((weights.var(0) - expected).abs() < 4 * error).all()
    assert (weights.mean(0).abs() < 4 * (expected / chains).sqrt()).all()


@pytest.mark.parametrize(("momentum", "step_size"), [(0.0, 0.03), (0.7, 0.01)])
def test_chains_sample_the_posterior_of_bayesian_linear_regression(momentum, step_size):
    """Mean and covariance, within 4 standard errors of independent samples; the step's error is known exactly."""
    problem = worlds.linear_regression(FULL_BATCHES)
    options = sgld.Options(
        chains=10,
        samples=300,
        burn_in=60,
        thinning=25,
        step_size=step_size,
        schedule="constant",
        momentum=momentum,
        prior_std=worlds.PRIOR_STD,
        noise_std=worlds.NOISE_STD,
    )
    fitted = sgld.fit(problem, options, seed=1).parameters
    samples = torch.cat([fitted["weight"][:, 0], fitted["bias"]], dim=1).double().numpy()
    mean, precision = worlds.exact_posterior(problem)
    curvature, axes = np.linalg.eigh(precision)
    along = (samples - mean) @ axes
    variance = 1 / (curvature * (1 - step_size / 30 * curvature / (2 + 2 * momentum)))
    assert (np.abs(along.mean(0)) < 4 * np.sqrt(variance / 300)).all()
    assert (np.abs(along.var(0) / variance - 1) < 4 * np.sqrt(2 / 300)).all()
    correlation = np.corrcoef(along.T)[np.triu_indices(3, 1)]
    assert (np.abs(correlation) < 4 / np.sqrt(300)).all()
    assert 1.0 < (variance * curvature).max() < 1.2, "and so is small"


def test_chains_sample_a_posterior_that_is_not_normal():
    """Logistic regression with one weight, cyclical steps and momentum, against quadrature.

    Kolmogorov and Smirnov's distance from 300 independent samples exceeds 2.23 / sqrt(300) once in ten thousand times;
    the normal distribution at the mode is further away than that. Successive samples of a chain are correlated by 0.3.
    """
    problem = worlds.logistic_regression(FULL_BATCHES)
    options = sgld.Options(chains=4, samples=300, burn_in=20, thinning=8, step_size=5.0, momentum=0.8, prior_std=6.0)
    samples = np.sort(sgld.fit(problem, options, seed=1).parameters["weight"].double().numpy()[:, 0])
    grid = np.linspace(-20, 60, 20_001)
    log_density = worlds.log_likelihood(problem, grid) - grid**2 / 72
    density = np.exp(log_density - log_density.max())
    distribution = np.cumsum(density / density.sum())
    bound = 2.23 / np.sqrt(300)
    empirical = np.searchsorted(samples, grid) / 300
    assert np.abs(empirical - distribution).max() < bound
    mode = int(log_density.argmax())
    curvature = -np.gradient(np.gradient(log_density, grid), grid)[mode]
    assert np.abs(norm.cdf(grid, grid[mode], curvature**-0.5) - distribution).max() > bound


def test_a_step_is_that_of_the_library_posteriors():
    posteriors = pytest.importorskip("posteriors")
    curvature, weights = torch.tensor([1.0, 2.0, 6.0]), torch.tensor([[0.5, -1.0, 2.0]])

    def log_posterior(weights, batch):
        return -(curvature * weights**2 / 2).sum(), torch.tensor([])

    torch.manual_seed(4)
    library = posteriors.sgmcmc.sgld
    expected = library.update(library.init(weights), None, log_posterior, lr=0.1, temperature=0.5)[0].params
    torch.manual_seed(4)
    noise = torch.randn_like(weights)
    sgld.langevin_step(weights, torch.zeros(1, 3), curvature * weights, noise, (0.1, 0.0, 0.5))
    torch.testing.assert_close(weights, expected)


def test_step_sizes_fall_in_each_cycle_and_not_in_burn_in():
    options = sgld.Options(chains=2, samples=4, burn_in=1, thinning=2, step_size=0.5)
    steps = sgld.step_sizes(options, steps_per_epoch=2)
    cycle = [[0.5, 0.25 * (1 + np.sqrt(0.5))], [0.25, 0.25 * (1 - np.sqrt(0.5))]]
    np.testing.assert_allclose(steps, [[0.5, 0.5], *cycle, *cycle])
    constant = sgld.step_sizes(options.model_copy(update={"schedule": "constant"}), steps_per_epoch=2)
    np.testing.assert_array_equal(constant, np.full((5, 2), 0.5))


def test_a_chain_does_not_depend_on_the_others(problem):
    """Nor on how many are run at once; batches are smaller than the data here."""
    together = sgld.fit(problem, SMALL, seed=7)
    alone = sgld.fit(problem, SMALL.model_copy(update={"chains": 1, "samples": 3}), seed=7)
    one_by_one = sgld.fit(replace(problem, chunk_size=1), SMALL, seed=7)
    for name, values in together.parameters.items():
        assert torch.equal(values[::2], alone.parameters[name])
        assert torch.equal(values, one_by_one.parameters[name])
        assert len(values.unique(dim=0)) == 6
    assert together.curves.equals(one_by_one.curves)


def test_chains_go_on_from_trained_networks(problem):
    fitted = sgld.fit(problem, SMALL, seed=7)
    epochs = problem.training.epochs + SMALL.burn_in + 3 * SMALL.thinning
    assert fitted.curves.groupby("member")["epoch"].apply(list).to_list() == [list(range(1, epochs + 1))] * 2
    assert (fitted.curves.query("epoch > 20")["validation_accuracy"] > 0.8).all()


def test_the_global_generator_neither_matters_nor_moves(problem, teacher):
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = sgld.fit(problem, SMALL, seed=7).parameters
    posterior_logits(teacher, problem.inputs, range(2), seed=5)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(2)
    second = sgld.fit(problem, SMALL, seed=7).parameters
    assert all(torch.equal(values, second[name]) for name, values in first.items())
    other = sgld.fit(problem, SMALL, seed=8).parameters
    assert not any(torch.equal(values, other[name]) for name, values in first.items())


def test_draws_are_the_kept_samples_each_once_a_round(problem, teacher):
    draws = posterior_logits(teacher, problem.inputs, range(12), seed=2)
    assert teacher.options.cached_draws(64) == 6
    for some in (draws[:6], draws[6:]):
        assert len(some.unique(dim=0)) == 6
    assert torch.equal(posterior_logits(teacher, problem.inputs, [11, 4], seed=2), draws[[11, 4]])


def test_a_saved_teacher_answers_the_same(problem, teacher, tmp_path):
    save_nested(to_nested({"chains": teacher}), tmp_path / "teachers.safetensors")
    loaded = from_nested(load_nested(tmp_path / "teachers.safetensors"))["chains"]
    assert loaded.options == teacher.options
    ours, theirs = (posterior_logits(one, problem.inputs, range(3), 9) for one in (teacher, loaded))
    assert torch.equal(ours, theirs)


def test_a_chain_that_diverges_says_what_to_lower(problem):
    wild = SMALL.model_copy(update={"step_size": 1e6, "burn_in": 30})
    with pytest.raises(UserError, match=r"kind: sgld: member \d diverges.* lower step_size \(now 1e\+06\)"):
        sgld.fit(problem, wild, seed=0)


def test_options_that_do_not_fit_together_are_refused():
    with pytest.raises(ValueError, match="samples must be a multiple of chains"):
        sgld.Options(chains=3, samples=64)


@pytest.mark.parametrize(
    ("class_path", "reason"),
    [("tests.population.worlds.Normalised", "has buffers"), ("tests.teachers.worlds.Frozen", "has frozen parameters")],
)
def test_networks_that_are_more_than_weights_are_refused(problem, class_path, reason):
    with pytest.raises(UserError, match=rf"'{class_path}': {reason}.*kind: sgld.*kind: deep_ensemble"):
        sgld.fit(replace(problem, network=worlds.network(class_path)), SMALL, seed=0)
