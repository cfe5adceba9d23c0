import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kd_uncertainty.errors import UserError
from kd_uncertainty.schemas import ARM_KEYS, SEED_COLUMNS, VALUE_ARM_KEYS, VALUE_METRICS
from kd_uncertainty.uncertainty.metrics import METRICS, arm_metrics, mean_interval

from .worlds import crossing


def test_one_factor_is_the_t_interval():
    values = np.random.default_rng(0).standard_normal((7, 1, 1))
    estimate, lower, upper = mean_interval(values, 0.9)
    expected = stats.t.interval(0.9, 6, loc=values.mean(), scale=stats.sem(values.ravel()))
    assert estimate == pytest.approx(values.mean())
    assert (lower, upper) == pytest.approx(expected)


def test_two_factors_by_hand():
    values = np.array([[[1.0], [2.0]], [[3.0], [6.0]]])  # level means 1.5, 4.5 and 2, 4: variances 4.5 and 2
    terms = np.array([4.5, 2.0]) / 2
    degrees = terms.sum() ** 2 / (terms**2).sum()
    half = stats.t.ppf(0.975, degrees) * np.sqrt(terms.sum())
    assert mean_interval(values, 0.95) == pytest.approx((3.0, 3.0 - half, 3.0 + half))


def test_no_variation_has_no_width_and_one_student_no_interval():
    assert mean_interval(np.full((3, 2, 1), 0.5), 0.95) == (0.5, 0.5, 0.5)
    estimate, *bounds = mean_interval(np.full((1, 1, 1), 0.5), 0.95)
    assert estimate == 0.5
    assert np.isnan(bounds).all()


def test_tiny_variances_do_not_underflow():
    values = 1e-120 * np.random.default_rng(1).standard_normal((4, 3, 2))
    _, lower, upper = mean_interval(values, 0.95)
    assert np.isfinite([lower, upper]).all()


@pytest.mark.parametrize("deviations", [(1, 0.5, 0.5, 0), (0.2, 1, 0.2, 0.5), (0, 0, 0, 1)])
def test_intervals_cover_the_mean_of_fresh_seeds(deviations):
    """1500 worlds of 8 x 3 x 3; achieved .954, .935 and .997 (pure interaction counts for every factor)."""
    rng = np.random.default_rng(2)
    r, i, o, rest = deviations
    hits = 0
    for _ in range(1500):
        values = (
            r * rng.standard_normal((8, 1, 1)) + i * rng.standard_normal((1, 3, 1)) + o * rng.standard_normal((1, 1, 3))
        )
        _, lower, upper = mean_interval(values + rest * rng.standard_normal((8, 3, 3)), 0.95)
        hits += lower <= 0 <= upper
    assert hits / 1500 >= 0.92


def table_of(shape, arms=2, seed=3):
    rng = np.random.default_rng(seed)
    seeds = crossing(shape)
    plan, rows = [], []
    for arm in range(arms):
        own = ("ensemble", "label", 2**arm, "average", 1.0, 1.0, "constant")
        keys = {"arm": arm, **dict(zip(ARM_KEYS, own, strict=True))}
        for one in seeds:
            plan.append({"student": len(plan), **keys, **dict(zip(SEED_COLUMNS, one, strict=True))})
            for split in ("validation", "test"):
                values = {name: rng.uniform(0.4, 0.6) for name in METRICS}
                rows.append({"student": plan[-1]["student"], **keys, "split": split, **values})
    return pd.DataFrame(rows), pd.DataFrame(plan)


def test_every_arm_split_and_metric_has_its_mean():
    student_metrics, plan = table_of((4, 3, 2))
    found = arm_metrics(student_metrics.sample(frac=1, random_state=0), plan)
    assert list(found) == ["arm", *ARM_KEYS, "split", "metric", "estimate", "lower", "upper"]
    assert len(found) == 2 * 2 * len(METRICS)
    for row in found.itertuples():
        chosen = student_metrics.query("arm == @row.arm and split == @row.split")[row.metric].to_numpy()
        expected = mean_interval(chosen.reshape(4, 3, 2), 0.95)
        assert (row.estimate, row.lower, row.upper) == pytest.approx(expected)


def test_bounds_stay_in_the_range_and_nan_stays_nan():
    student_metrics, plan = table_of((2, 2, 1), arms=1)
    student_metrics["accuracy"] = np.tile([1.0, 0.0], 4)
    student_metrics["nll"] = np.arange(8.0)
    student_metrics["kl_to_teacher"] = np.nan
    found = arm_metrics(student_metrics, plan).set_index(["split", "metric"])
    assert found.loc[("test", "accuracy"), "upper"] <= 1.0
    assert found.loc[("test", "nll"), "lower"] == 0.0
    assert found.loc[("test", "kl_to_teacher"), ["estimate", "lower", "upper"]].isna().all()


def test_strangers_and_gaps_are_named():
    student_metrics, plan = table_of((2, 2, 2), arms=1)
    with pytest.raises(UserError, match="student 7 of the student metrics is not in the plan"):
        arm_metrics(student_metrics, plan[:-1])
    with pytest.raises(UserError, match=r"arm 0, split validation: .*full crossing"):
        arm_metrics(student_metrics[student_metrics["student"] != 7], plan)


def test_metrics_of_real_values_have_their_own_keys_and_ranges():
    student_metrics, plan = table_of((3, 2, 1), arms=1)
    rng = np.random.default_rng(4)
    student_metrics = student_metrics.drop(columns=[*METRICS, "temperature"]).assign(
        model="linear",
        noise=0.5,
        mse=rng.gamma(0.5, 1.0, 12),
        mae=1.0,
        r2=-2.0 + 3.0 * rng.uniform(size=12),
        mse_to_teacher=np.nan,
        residual_variance=3000.0,
    )
    found = arm_metrics(student_metrics, plan, confidence=0.999, metrics=VALUE_METRICS)
    assert list(found) == ["arm", *VALUE_ARM_KEYS, "split", "metric", "estimate", "lower", "upper"]
    rows = found[found["split"] == "test"].set_index("metric")
    chosen = student_metrics.query("split == 'test'")
    for metric in ("mse", "mae", "r2", "residual_variance"):
        assert rows.loc[metric, "estimate"] == pytest.approx(chosen[metric].mean())
    assert rows.loc["mse", "lower"] == 0.0
    assert rows.loc["residual_variance", "upper"] == 3000.0
    _, lower, upper = mean_interval(chosen["r2"].to_numpy().reshape(3, 2, 1), 0.999)
    assert lower < 0.0
    assert upper > 1.0
    assert (rows.loc["r2", "lower"], rows.loc["r2", "upper"]) == pytest.approx((lower, 1.0))
    assert np.isnan(rows.loc["mse_to_teacher", "estimate"])
