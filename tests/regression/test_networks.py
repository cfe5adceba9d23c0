"""Populations of networks in the units of the source: scaling there and back, rows, starts, progress."""

import numpy as np
import pandas as pd
import pytest
import torch

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import MLP
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.regression.data import regression_data
from kd_uncertainty.regression.networks import NetworkFit, StudentSeeds, train_networks


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(2)
    inputs = generator.normal(size=(70, 4))
    targets = 500.0 + 40.0 * inputs[:, 0] + 10.0 * generator.normal(size=70)
    split = np.array(["train"] * 50 + ["test"] * 20, dtype=object)
    table = {"example_id": np.arange(70), "split": split, "inputs": list(inputs), "target": targets}
    return regression_data(pd.DataFrame(table).sample(frac=1.0, random_state=1))


def fit(optimiser="sgd", **training):
    network = NetworkOptions.model_validate({"class": "kd_uncertainty.networks.MLP", "arguments": {"hidden": [6]}})
    training = {"epochs": 30, "batch_size": 1000, "learning_rate": 0.05, "optimiser": optimiser} | training
    return NetworkFit(network=network, training=TrainingOptions.model_validate(training))


SEEDS = StudentSeeds((1, 2, 1), (5, 6, 5), (0, 1, 1))


def test_arrays_are_those_of_the_table(data):
    assert data.train_inputs.shape == (50, 4)
    assert data.test_inputs.shape == (20, 4)
    assert data.target_mean == pytest.approx(data.train_targets.mean())
    assert data.target_variance == pytest.approx(data.train_targets.var())
    np.testing.assert_allclose(data.unscaled(data.scaled(data.test_targets)), data.test_targets)
    assert data.scaled(data.train_targets).std() == pytest.approx(1.0)


def test_equal_targets_have_nothing_to_learn(data):
    table = {"example_id": range(4), "split": ["train"] * 3 + ["test"], "inputs": [[1.0]] * 4, "target": [2.0] * 4}
    with pytest.raises(UserError, match="all training targets are the same number"):
        regression_data(pd.DataFrame(table))


def test_a_network_answers_in_the_units_of_the_source(data):
    """Against plain PyTorch on scaled targets, from the same start."""
    targets = np.stack([data.train_targets, data.train_targets + 7.0])
    trained = train_networks(data, targets, fit(), SEEDS)
    again = train_networks(data, targets, fit(epochs=1, learning_rate=1e-12), SEEDS)  # where they start
    network = MLP(4, 1, hidden=[6])
    network.load_state_dict({name: values[1] for name, values in again.parameters.items()})
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05)
    inputs = torch.from_numpy(data.train_inputs).float()
    target = torch.from_numpy(data.scaled(targets[1])).float()[:, None]
    for _ in range(30):
        optimiser.zero_grad()
        (network(inputs) - target).square().mean().backward()
        optimiser.step()
    with torch.no_grad():
        outputs = network(torch.from_numpy(data.test_inputs).float())[:, 0].double().numpy()
    np.testing.assert_allclose(trained.predict(data.test_inputs)[1], data.unscaled(outputs), rtol=1e-5)


def test_predictions_do_not_depend_on_the_unit(data):
    """Euros or cents: the same network, other numbers."""
    targets = data.train_targets[None]
    seeds = StudentSeeds((1,), (2,), (0,))
    cents = data._replace(
        train_targets=100 * data.train_targets, target_mean=100 * data.target_mean, target_std=100 * data.target_std
    )
    first = train_networks(data, targets, fit(), seeds).predict(data.test_inputs)
    second = train_networks(cents, 100 * targets, fit(), seeds).predict(data.test_inputs)
    np.testing.assert_allclose(second, 100 * first, rtol=1e-5)


def test_rows_are_what_a_student_sees(data):
    rows = np.stack([np.arange(10), np.arange(10, 20), np.full(10, 3)])
    targets = np.stack([data.train_targets, data.train_targets])
    seen = train_networks(data, targets, fit(), SEEDS, rows=rows).predict(data.test_inputs)
    changed = targets.copy()
    changed[:, 20:] += 1000.0
    unseen = train_networks(data, changed, fit(), SEEDS, rows=rows).predict(data.test_inputs)
    assert np.array_equal(seen, unseen)
    changed[:, 5] += 1000.0
    other = train_networks(data, changed, fit(), SEEDS, rows=rows).predict(data.test_inputs)
    assert not np.array_equal(other[0], seen[0])
    assert np.array_equal(other[1:], seen[1:])


def test_a_given_start_replaces_the_seeds(data):
    targets = np.stack([data.train_targets, data.train_targets])
    start = train_networks(data, targets, fit(epochs=1), SEEDS).parameters
    same = {name: values[:1].repeat(3, *(1 for _ in values.shape[1:])) for name, values in start.items()}
    found = train_networks(data, targets, fit(), SEEDS, initial=same).predict(data.test_inputs)
    assert np.array_equal(found[0], found[1])


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing_and_progress_counts_students(data, threads):
    targets = np.stack([data.train_targets, data.train_targets + 3.0])
    told = []
    one = train_networks(data, targets, fit("adam"), SEEDS)
    several = train_networks(data, targets, fit("adam"), SEEDS, threads=threads, progress=told.append)
    assert np.array_equal(one.predict(data.test_inputs), several.predict(data.test_inputs))
    assert sum(told) == 3


def test_divergence_is_said(data):
    with pytest.raises(UserError, match=r"a smaller training\.learning_rate of this section's network"):
        train_networks(data, data.train_targets[None], fit(learning_rate=1e20), StudentSeeds((1,), (2,), (0,)))
