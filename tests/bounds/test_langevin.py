"""Langevin dynamics in the bounds: what holds of any run, and digits."""

import numpy as np
import pandas as pd
import pytest

from kd_uncertainty.bounds import langevin
from kd_uncertainty.bounds.finite_population import draw_sets, known_population
from kd_uncertainty.bounds.langevin import Chains, LangevinBoundsOptions, langevin_bounds
from kd_uncertainty.bounds.networks import network_bounds
from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import network_builder

from ..convergence.worlds_networks import world
from .network_worlds import options as network_options
from .network_worlds import two_points
from .test_networks import digits

MLP = {"class": "kd_uncertainty.networks.MLP", "arguments": {"hidden": [5]}}


def options(**changes):
    settings = {
        "network": MLP, "num_steps": 25, "batch_size": 8, "num_examples": [10, 20], "num_sets": 4, "num_draws": 3,
        "num_replacements": 2, "student": {"temperature": 1.5},
    }  # fmt: skip
    return LangevinBoundsOptions.model_validate(settings | changes)


def mixture():
    return world(train=60, validation=20, test=20, known=False)


@pytest.fixture(scope="module")
def small():
    return langevin_bounds(mixture(), options()).table


def test_the_table_is_that_of_networks(small):
    other = network_bounds(two_points(), network_options()).table
    assert list(small) == list(other)
    assert (small.dtypes == other.dtypes).all()
    assert len(small) == 2 * len(other)
    assert set(small["quantity"]) == set(other["quantity"])


def test_quantities_fit_together(small):
    cells = small.pivot_table(index="num_examples", columns="quantity", values="estimate")
    np.testing.assert_allclose(cells["divergence"], cells["dataset_shift"] + cells["algorithm_shift"])
    assert (cells["algorithm_shift"] > 0.0).all()
    assert (cells["algorithm_shift_function_space"] < cells["algorithm_shift"]).all()
    half = cells["sigma_cumulant"] * np.sqrt(2.0 * cells["divergence"])
    np.testing.assert_allclose(cells["upper_cumulant"], cells["gen_teacher"] + half)
    np.testing.assert_allclose(cells["lower_cumulant"], cells["gen_teacher"] - half)


def test_equal_algorithms_do_not_shift():
    table = langevin_bounds(mixture(), options(student={"temperature": 1.0})).table
    found = table[table["quantity"].str.startswith("algorithm_shift")]
    assert (found["estimate"] == 0.0).all()


def test_another_regulariser_alone_shifts():
    table = langevin_bounds(mixture(), options(student={"weight_decay": 0.1}, num_examples=[10])).table
    assert table.set_index("quantity")["estimate"]["algorithm_shift"] > 0.0


def test_chains_do_not_depend_on_chunks_or_neighbours(small, monkeypatch):
    monkeypatch.setattr(langevin, "_CHUNK", 5)
    pd.testing.assert_frame_equal(langevin_bounds(mixture(), options()).table, small, check_exact=True)
    alone = langevin_bounds(mixture(), options(num_examples=[20])).table
    expected = small[small["num_examples"] == 20].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, expected, check_exact=True)


def test_steps_shrink_by_the_decay():
    chosen = options(num_steps=31, step_size=0.4, step_decay=0.5)
    np.testing.assert_allclose(chosen.step_sizes[[0, 10, 30]], [0.4, 0.4 / np.sqrt(2), 0.2])
    assert set(options(step_size=0.1, step_decay=0.0).step_sizes) == {0.1}


def test_noise_is_of_set_and_draw():
    """A set's chains differ by draw; copies of a set share them, and other names have others."""
    data, chosen = mixture(), options()
    population = known_population(data, 0.1)
    build = network_builder(MLP["class"], MLP["arguments"], data.inputs.shape[1], data.num_classes)
    chains = Chains(build, population, chosen)
    sets = draw_sets(population, 2, 10, 0)
    found = chains.run(sets, "teacher", "teacher").logits
    assert found.shape == (2, 3, 100, data.num_classes)
    assert np.abs(found[:, 0] - found[:, 1]).max() > 1e-3
    doubled = type(sets)(*(values.repeat(2, axis=0) for values in sets))
    copied = chains.run(doubled, "teacher", "teacher", copies=2).logits
    np.testing.assert_array_equal(copied, found.repeat(2, axis=0))
    assert np.abs(chains.run(sets, "teacher", "student").logits - found).max() > 1e-3


def test_what_cannot_be_measured_is_refused():
    certain = two_points()._replace(bayes=None)
    with pytest.raises(UserError, match=r"langevin_bounds\.label_noise.*above 0"):
        langevin_bounds(certain, options(label_noise=[0.0]))
    with pytest.raises(UserError, match=r"langevin_bounds\.network.*no density"):
        langevin_bounds(two_points(), options(network={"class": f"{__package__}.test_gaussian_kernels.WithBatchNorm"}))
    with pytest.raises(UserError, match=r"langevin_bounds\.teacher: chains diverged; set a smaller step_size"):
        langevin_bounds(two_points(), options(step_size=1e30, num_examples=[3]))


def test_digits_are_consistent_with_the_bounds():
    """Both gaps inside every interval on a small run; overfitted pseudo-labels show, and Hoeffding's is vacuous."""
    chosen = LangevinBoundsOptions(num_examples=(50,), num_sets=20, num_draws=2, population_examples=500)
    table = langevin_bounds(digits(), chosen).table
    flags = table.dropna(subset=["inside"])
    assert len(flags) == 15
    assert flags["inside"].all()
    assert flags["inside_true"].all()
    found = table.set_index("quantity")["estimate"]
    assert 0.1 < found["gen_student_true"] < found["gen_student_pseudo"]
    assert found["risk_teacher"] < 0.4  # of .45 for a guess
    assert found["upper_hoeffding"] > 1.0
    assert found["divergence_lower_estimate"] < found["divergence"]
