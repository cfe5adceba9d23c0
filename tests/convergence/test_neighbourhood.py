"""The section's tables: contents, and the statements that they put to the test."""

import numpy as np
import pandas as pd
import pytest

from kd_uncertainty.convergence._tables import jackknife
from kd_uncertainty.convergence.curvature import smoothness
from kd_uncertainty.convergence.gradient_noise import GradientNoiseOptions, gradient_noise_table
from kd_uncertainty.convergence.mixture import mixtures
from kd_uncertainty.convergence.neighbourhood import NeighbourhoodOptions, neighbourhood_tables
from kd_uncertainty.convergence.plateau import FLOOR, _log_rates
from kd_uncertainty.convergence.supervision import Supervision
from kd_uncertainty.uncertainty.students import student_mean

from .worlds import mixture_world, world

QUICK = {
    "additive": [0.05], "dirichlet": [1.0], "learning_rates": [0.1, 0.2, 1.0], "steps": 6000, "snapshots": 40,
    "curve_points": 20, "sweep": [0.5, 1.0, 16.0], "sweep_steps": 200, "mixing": [0.0, 0.5, 1.0], "num_draws": 50,
    "mixing_learning_rate": 0.2, "num_seeds": 16,
}  # fmt: skip


def bounds(*names):
    return [f"{name}{suffix}" for name in names for suffix in ("", "_lower", "_upper")]


@pytest.fixture(scope="module")
def tables():
    return neighbourhood_tables(mixture_world(), NeighbourhoodOptions(**QUICK), confidence=0.999)


def test_columns(tables):
    keys = ["arm", "level", "mixing", "learning_rate"]
    assert list(tables.descent) == [*keys, "step", *bounds("excess_risk", "distance"), "num_seeds"]
    assert list(tables.plateau) == [
        *keys, *bounds("plateau"), "predicted_plateau", *bounds("ratio", "rate", "slope"), "transient",
        "floor_reached", "num_seeds",
    ]  # fmt: skip
    assert list(tables.mixture) == [
        *keys, "predicted_noise", *bounds("measured_noise"), "predicted_plateau", *bounds("plateau"), "lambda_star",
        *bounds("lambda_hat"), "num_seeds",
    ]  # fmt: skip
    assert tables.plateau["floor_reached"].dtype == bool
    assert tables.descent["step"].dtype == np.int64
    assert set(tables.step_sweep["arm"]) == {"one_hot", "exact"}


def test_curves_start_together_and_are_thinned_at_even_ratios(tables):
    curve = tables.descent[tables.descent["arm"] == "one_hot"]
    steps = curve.loc[curve["learning_rate"] == curve["learning_rate"].min(), "step"].to_numpy()
    assert steps[0] == 0
    assert steps[-1] == 6000
    assert len(steps) <= 21
    late = steps[steps > 50]
    np.testing.assert_allclose(np.diff(np.log(late)), np.log(6000) / 19, rtol=0.05)
    start = tables.descent[tables.descent["step"] == 0]
    assert (start["excess_risk"] == start["excess_risk"].iloc[0]).all()
    assert (start["distance"] == start["distance"].iloc[0]).all()


def test_plateaus_are_those_predicted_at_small_steps(tables):
    small = tables.plateau[(tables.plateau["arm"] != "exact") & (tables.plateau["learning_rate"] < 0.05)]
    assert len(small) == 8
    assert (small["ratio"] - 1.0).abs().max() < 0.12
    assert (small["ratio_lower"] < 1.03).all()  # what is not of first order adds 1 to 3 %
    assert (small["ratio_upper"] > 1.0).all()
    assert ((small["slope_lower"] < 1.05) & (small["slope_upper"] > 1.0)).all()
    assert small["transient"].max() < 0.02


def test_plateaus_are_ordered_as_the_noise_is(tables):
    largest = tables.plateau[tables.plateau["learning_rate"] == tables.plateau["learning_rate"].max()]
    by = largest.set_index("arm")["plateau"]
    assert by["exact"] < by["mixture"] < by["dirichlet"] < by["one_hot"]
    ratio = by["dirichlet"] / by["one_hot"]
    assert ratio == pytest.approx(0.5, rel=0.1)


def test_exact_probabilities_reach_the_floor_geometrically(tables):
    exact = tables.plateau[tables.plateau["arm"] == "exact"].sort_values("learning_rate")
    last = exact.iloc[-1]
    assert last["floor_reached"]
    assert last["plateau_upper"] < FLOOR
    assert (exact["predicted_plateau"] == 0.0).all()
    assert exact["ratio"].isna().all()
    rates = exact[["rate_lower", "rate", "rate_upper"]].to_numpy()
    assert (np.diff(rates, axis=1) >= 0.0).all()
    assert (np.diff(exact["rate"]) < 0.0).all()  # a larger step is faster
    assert not tables.plateau.loc[tables.plateau["arm"] != "exact", "floor_reached"].any()


def test_the_best_mixture_is_that_of_inverse_variances(tables):
    mixed = tables.mixture
    assert mixed["mixing"].tolist() == [0.0, 0.5, 1.0] * 2
    assert (
        (mixed["lambda_hat_lower"] < mixed["lambda_star"]) & (mixed["lambda_star"] < mixed["lambda_hat_upper"])
    ).all()
    assert (mixed["lambda_hat_upper"] - mixed["lambda_hat_lower"]).max() < 0.15
    dirichlet = mixed[mixed["arm"] == "dirichlet"]
    np.testing.assert_allclose(dirichlet["lambda_star"], 2.0 / 3.0, rtol=1e-12)
    np.testing.assert_allclose(mixed["measured_noise"], mixed["predicted_noise"], rtol=0.05)


def test_the_same_options_give_the_same_tables_and_another_seed_others():
    options = NeighbourhoodOptions(**{**QUICK, "steps": 300, "num_seeds": 4})
    first, again = (neighbourhood_tables(world(), options) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(one, other)
    moved = neighbourhood_tables(world(), options.model_copy(update={"seed": 1}))
    assert not first.plateau["plateau"].equals(moved.plateau["plateau"])


def test_more_seeds_keep_the_first(capsys):
    """Progress goes to the terminal and changes nothing."""
    few, more = (NeighbourhoodOptions(**{**QUICK, "steps": 300, "num_seeds": count}) for count in (4, 5))
    quiet, shown = neighbourhood_tables(world(), few), neighbourhood_tables(world(), few, progress=True)
    pd.testing.assert_frame_equal(quiet.plateau, shown.plateau)
    assert "neighbourhood" in capsys.readouterr().err
    assert neighbourhood_tables(world(), more).plateau["num_seeds"].unique() == [5]


@pytest.mark.parametrize(("classes", "features"), [(2, 1), (20, 3)])
def test_few_and_many_classes(classes, features):
    options = NeighbourhoodOptions(**{**QUICK, "steps": 200, "sweep_steps": 40, "num_seeds": 4})
    found = neighbourhood_tables(world(examples=60, classes=classes, features=features), options)
    assert np.isfinite(found.plateau["plateau"]).all()
    assert np.isfinite(found.step_sweep["final_distance"]).all()
    assert np.isfinite(gradient_noise_table(world(classes=classes), GradientNoiseOptions())["monte_carlo"]).all()


def test_learning_rates_are_in_units_of_one_over_l(tables):
    unit = 1.0 / smoothness(mixture_world().inputs)
    np.testing.assert_allclose(sorted(tables.plateau["learning_rate"].unique()), unit * np.array([0.1, 0.2, 1.0]))


def test_options_refuse_what_cannot_work():
    with pytest.raises(ValueError, match="num_seeds"):
        NeighbourhoodOptions(num_seeds=2)
    with pytest.raises(ValueError, match="parabola"):
        NeighbourhoodOptions(mixing=[0.0, 1.0])
    with pytest.raises(ValueError, match="Extra inputs"):
        NeighbourhoodOptions(step=3)


def test_rates_are_slopes_over_the_later_half_before_the_floor():
    steps = np.arange(0, 2001, 100)
    decay = np.exp(-0.05 * steps) + 1e-30
    slow = np.exp(-0.002 * steps)
    found = _log_rates(steps, np.column_stack([decay, slow]))
    np.testing.assert_allclose(found, [-0.05, -0.002], rtol=1e-4)


def test_the_jackknife_of_a_mean_is_students_t():
    values = np.random.default_rng(0).standard_normal((12, 1))
    found = jackknife(values, lambda mean: float(mean[0]), 0.9)
    np.testing.assert_allclose(found, student_mean(values[:, 0], 0.9), rtol=1e-12)


def test_the_jackknife_covers_a_smooth_statistic():
    """A ratio of means: its 90 % intervals cover about 90 % of the time."""
    generator = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        values = generator.exponential([1.0, 2.0], size=(20, 2))
        interval = jackknife(values, lambda mean: float(np.log(mean[0] / mean[1])), 0.9)
        hits += interval.lower < np.log(0.5) < interval.upper
    assert abs(hits / 400 - 0.9) < 0.06


def test_mixtures_come_teacher_by_teacher():
    teachers = [Supervision("additive", 0.1), Supervision("dirichlet", 2.0)]
    assert [arm.mixing for arm in mixtures(teachers, [0.0, 1.0])] == [0.0, 1.0, 0.0, 1.0]
    assert mixtures(teachers, [0.5])[1] == Supervision("dirichlet", 2.0, 0.5)


@pytest.mark.slow
def test_the_default_options_show_all_statements():
    """The whole of the section with its defaults, in under a minute of one core."""
    found = neighbourhood_tables(mixture_world(), NeighbourhoodOptions(), confidence=0.999)
    noisy = found.plateau[found.plateau["arm"] != "exact"]
    assert ((noisy["slope_lower"] < 1.03) & (noisy["slope_upper"] > 1.0)).all()
    assert noisy["transient"].max() < 0.01
    small = noisy[noisy["learning_rate"] == noisy["learning_rate"].min()]
    assert (small["ratio"] - 1.0).abs().max() < 0.08
    exact = found.plateau[found.plateau["arm"] == "exact"]
    assert exact["floor_reached"].sum() >= 3
    mixed = found.mixture
    assert (
        (mixed["lambda_hat_lower"] < mixed["lambda_star"]) & (mixed["lambda_star"] < mixed["lambda_hat_upper"])
    ).all()
    assert found.step_sweep.loc[found.step_sweep["within_guarantee"], "bound_holds"].all()
