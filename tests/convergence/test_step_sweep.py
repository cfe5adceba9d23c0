"""The theorem's bounds, and which step is the largest that is stable."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from kd_uncertainty.convergence.curvature import mean_square_limit, smoothness, strong_convexity
from kd_uncertainty.convergence.descent import Plan
from kd_uncertainty.convergence.step_sweep import ARMS, run, stability_limit, step_sweep_table
from kd_uncertainty.convergence.supervision import EXACT, ONE_HOT, gradient_noise
from kd_uncertainty.convergence.world import softmax

from .worlds import mixture_world

ONE = mixture_world()
UNIT = 1.0 / smoothness(ONE.inputs)
MULTIPLES = (0.1, 0.25, 0.5, 1.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 16.0)
PLAN = Plan(ARMS, [UNIT * multiple for multiple in MULTIPLES], list(range(16)))
COLUMNS = [
    "arm", "learning_rate", "guarantee", "within_guarantee", "final_distance", "final_distance_lower",
    "final_distance_upper", "contraction", "contraction_lower", "contraction_upper", "strong_convexity", "bound",
    "bound_holds", "memory", "memory_lower", "memory_upper", "growth", "growth_lower", "growth_upper", "linear_limit",
    "diverged_share", "num_seeds",
]  # fmt: skip


@pytest.fixture(scope="module")
def swept():
    return run(ONE, PLAN, 1500)


@pytest.fixture(scope="module")
def table(swept):
    return step_sweep_table(ONE, PLAN, swept)


def test_columns_and_guarantees(table):
    assert list(table) == COLUMNS
    of = table.groupby("arm")["guarantee"].first()
    assert of["exact"] == 2.0 * of["one_hot"] == UNIT
    within = table[table["within_guarantee"]].groupby("arm")["learning_rate"].max()
    assert within["exact"] == pytest.approx(UNIT)
    assert within["one_hot"] == pytest.approx(UNIT / 2.0)


def test_the_bounds_hold_within_their_guarantees_all_along_the_way(swept, table):
    assert table.loc[table["within_guarantee"], "bound_holds"].all()
    convex = strong_convexity(ONE.inputs, ONE.probabilities)
    for row, arm in enumerate(ARMS):
        noise, most = gradient_noise(ONE, arm), UNIT if arm == EXACT else UNIT / 2.0
        for column, rate in enumerate(PLAN.learning_rates):
            if rate <= most:
                constant = min(convex, swept.convexity[:, row, column].min())
                bound = (1 - rate * constant) ** swept.steps * swept.distance[0, 0, 0, 0] + 2 * rate * noise / constant
                assert (swept.distance[:, row, column].mean(axis=-1) <= bound + 1e-20).all()


def test_fresh_labels_keep_half_the_neighbourhood_at_twice_the_guaranteed_step(swept):
    """What the cross term's vanishing promises to one-hot labels: alpha sigma / mu up to 1 / L."""
    convex, noise = strong_convexity(ONE.inputs, ONE.probabilities), gradient_noise(ONE, ONE_HOT)
    for column, rate in enumerate(PLAN.learning_rates):
        if rate <= UNIT:
            constant = min(convex, swept.convexity[:, 0, column].min())
            bound = (1 - rate * constant) ** swept.steps * swept.distance[0, 0, 0, 0] + rate * noise / constant
            assert (swept.distance[:, 0, column].mean(axis=-1) <= bound).all()


def test_the_bound_is_no_tautology(table):
    """Beyond the stable steps its formula fails for exact probabilities."""
    exact = table[table["arm"] == "exact"]
    assert not exact.loc[exact["learning_rate"] > 2.0, "bound_holds"].any()


def test_the_largest_stable_step_does_not_double(table):
    """Both arms forget the start up to about where the linearised descent does, and beyond both do not."""
    limits = stability_limit(table).set_index("arm")
    linear = mean_square_limit(ONE.inputs, ONE.probabilities)
    assert table["linear_limit"].unique() == pytest.approx([linear])
    for arm in ("one_hot", "exact"):
        assert 0.7 * linear < limits.loc[arm, "limit_lower"]
        assert limits.loc[arm, "limit_upper"] < 1.6 * linear
        assert limits.loc[arm, "limit_lower"] > 5.0 * limits.loc[arm, "guarantee"]
    assert limits.loc["exact", "limit_upper"] < 2.0 * limits.loc["one_hot", "limit_lower"]


def test_memory_of_exact_supervision_is_its_contraction(table):
    exact = table[(table["arm"] == "exact") & (table["contraction"] > 1e-20)]
    assert len(exact) >= 3
    np.testing.assert_allclose(exact["memory"], exact["contraction"], rtol=1e-6)


def fixed_labels(one, seed):
    """A data set whose labels never change: simulated as such, and measured from its own optimum."""
    generator = np.random.default_rng(seed)
    drawn = (generator.random((len(one.inputs), 1)) >= np.cumsum(one.probabilities[:, :-1], axis=1)).sum(axis=1)
    labels = np.eye(one.num_classes)[drawn]

    def objective(flat):
        probabilities = softmax(one.inputs, flat.reshape(one.weights.shape))
        gradient = (probabilities - labels).T @ one.inputs / len(labels)
        return -np.log(probabilities[labels > 0]).mean(), gradient.ravel()

    found = minimize(objective, one.weights.ravel(), jac=True, method="BFGS", options={"gtol": 1e-9})
    weights = found.x.reshape(one.weights.shape)
    assert np.abs(objective(found.x)[1]).max() < 1e-6
    return one._replace(probabilities=labels, weights=weights - weights.mean(axis=0))


def test_labels_that_are_fixed_do_not_halve_the_stable_step_either(table):
    """Their cross term does not vanish, but it moves the optimum and the noise, not the stability."""
    fixed = fixed_labels(ONE, seed=1)
    plan = Plan([EXACT], PLAN.learning_rates, PLAN.seeds)  # the targets "exactly" those of the data set
    apart = run(fixed, plan, 1500).apart
    growth = np.log(apart[-1, 0] / apart[len(apart) // 2, 0]).mean(axis=-1)
    rates = np.array(PLAN.learning_rates)
    largest = rates[: int(np.argmax(growth > -1.0))][-1]  # together within e^-1/2 of a half of the run, or not
    fresh = stability_limit(table).set_index("arm").loc["one_hot", "limit"]
    assert 0.6 * fresh < largest < 1.7 * fresh


def test_limits_of_hand_made_sweeps():
    def sweep(*growth):
        return pd.DataFrame(
            {
                "arm": "one_hot",
                "learning_rate": [4.0, 1.0, 2.0][: len(growth)],
                "growth_upper": growth,
                "guarantee": 0.5,
            }
        )

    found = stability_limit(sweep(0.1, -0.2, -0.3)).iloc[0]
    assert (found["limit_lower"], found["limit_upper"]) == (2.0, 4.0)
    assert found["limit"] == pytest.approx(8.0**0.5)
    assert stability_limit(sweep(-0.1, -0.2, -0.3)).iloc[0]["limit_upper"] == np.inf
    assert stability_limit(sweep(-0.1, 0.2, 0.3)).iloc[0]["limit_lower"] == 0.0
    assert (stability_limit(sweep(-0.1, -0.2, np.nan)).iloc[0][["limit_lower", "limit_upper"]] == [1.0, 2.0]).all()
