"""Laplace teachers against laplace-torch (Daxberger et al. 2021), where that can be imported.

It is no dependency, as it wants torchvision; ``pip install laplace-torch`` and ``pip uninstall torchvision`` into an
environment of its own serve to run these tests. Networks of Kronecker factors have no biases here: laplace-torch keeps
a bias apart from its layer's weight, while ours is part of the layer, as in Martens & Grosse 2015.
"""

import warnings

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from kd_uncertainty.networks import MLP
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.teachers._laplace_network import linearised_network
from kd_uncertainty.teachers._laplace_posterior import laplace_posterior
from kd_uncertainty.teachers.laplace import probit_logits
from tests.teachers.test_laplace import NoBias, points

pytestmark = pytest.mark.filterwarnings("ignore")  # the peer's own

CASES = [
    ("all", "full", "MLP"),
    ("all", "diag", "MLP"),
    ("all", "kron", "NoBias"),
    ("last", "full", "MLP"),
    ("last", "diag", "MLP"),
    ("last", "kron", "NoBias"),
]


@pytest.fixture(scope="module")
def peer():
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pytest.importorskip("laplace", exc_type=ImportError)
    except (RuntimeError, AttributeError) as error:  # what torchvision raises beside another torch
        pytest.skip(f"laplace-torch cannot be imported: {error}")


def pair(kind, last, outputs):
    """A trained-looking network twice: torch's own in float64, and linearised."""
    path = "kd_uncertainty.networks.MLP" if kind == "MLP" else "tests.teachers.test_laplace.NoBias"
    options = NetworkOptions.model_validate({"class": path, "arguments": {"hidden": [5]} if kind == "MLP" else {}})
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = (MLP(4, outputs, hidden=[5]) if kind == "MLP" else NoBias(4, outputs)).double()
    state = {name: values.detach().clone() for name, values in network.named_parameters()}
    return network, linearised_network(options, 4, outputs, state, last=last)


def fit_peer(peer, network, layers, structure, data, **settings):
    subset = {"all": "all", "last": "last_layer"}[layers]
    found = peer.Laplace(network, subset_of_weights=subset, hessian_structure=structure, **settings)
    found.fit(DataLoader(TensorDataset(*data), batch_size=7))
    return found


@pytest.mark.parametrize(("layers", "structure", "kind"), CASES)
def test_classes_agree(peer, layers, structure, kind):
    network, ours = pair(kind, layers == "last", 3)
    inputs, labels, others = points(20, 4), torch.arange(20) % 3, points(6, 4, seed=9)
    theirs = fit_peer(
        peer, network, layers, structure, (inputs, labels), likelihood="classification", prior_precision=0.7
    )
    posterior = laplace_posterior(ours, inputs, labels, structure=structure, prior_precision=0.7)
    evidence = float(theirs.log_marginal_likelihood())
    assert posterior.scales.log_marginal_likelihood == pytest.approx(evidence, rel=1e-6)
    mean, covariance = theirs._glm_predictive_distribution(others)
    torch.testing.assert_close(ours.logits(others), mean.double().detach(), rtol=1e-5, atol=1e-6)
    variances = posterior.variances(ours.jacobians(others))
    torch.testing.assert_close(variances, covariance.diagonal(dim1=-2, dim2=-1).double().detach(), rtol=1e-4, atol=1e-6)
    probabilities = theirs(others, pred_type="glm", link_approx="probit").double().detach()
    torch.testing.assert_close(probit_logits(ours, posterior, others).softmax(-1), probabilities, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("layers", "structure", "kind"), CASES)
def test_numbers_agree(peer, layers, structure, kind):
    network, ours = pair(kind, layers == "last", 2)
    inputs, values, others = points(20, 4), points(20, 2, seed=5), points(6, 4, seed=9)
    theirs = fit_peer(
        peer,
        network,
        layers,
        structure,
        (inputs, values),
        likelihood="regression",
        prior_precision=0.7,
        sigma_noise=0.5**0.5,
    )
    posterior = laplace_posterior(
        ours, inputs, values, loss="mse", structure=structure, prior_precision=0.7, noise_variance=0.5
    )
    assert posterior.scales.log_marginal_likelihood == pytest.approx(float(theirs.log_marginal_likelihood()), rel=1e-6)
    covariance = theirs._glm_predictive_distribution(others)[1]
    variances = posterior.variances(ours.jacobians(others))
    torch.testing.assert_close(variances, covariance.diagonal(dim1=-2, dim2=-1).double().detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("layers", "structure", "kind"), CASES)
def test_the_most_likely_prior_precision_agrees(peer, layers, structure, kind):
    """Theirs is found by gradient ascent, ours by a scalar search: no value of theirs may be more likely."""
    network, ours = pair(kind, layers == "last", 3)
    inputs, labels = points(20, 4), torch.arange(20) % 3
    theirs = fit_peer(peer, network, layers, structure, (inputs, labels), likelihood="classification")
    theirs.optimize_prior_precision(method="marglik", n_steps=2000, lr=0.05)
    found = laplace_posterior(ours, inputs, labels, structure=structure).scales
    assert found.log_marginal_likelihood >= float(theirs.log_marginal_likelihood()) - 1e-6
    assert float(theirs.prior_precision) == pytest.approx(found.prior_precision, rel=0.02)
