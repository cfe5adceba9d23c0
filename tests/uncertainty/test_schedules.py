"""What switched losses recover: pairs by hand, shares against Fieller's closed form, coverage, and what is left out."""

import numpy as np
import pandas as pd
import pytest

from kd_uncertainty import schemas
from kd_uncertainty.deviations._shares import gain_share
from kd_uncertainty.errors import UserError
from kd_uncertainty.schemas import ARM_KEYS, SEED_COLUMNS
from kd_uncertainty.uncertainty.metrics import mean_interval
from kd_uncertainty.uncertainty.schedules import COLUMNS, crossed_share, schedule_gains

from .worlds import crossing

ONE_HOT = ("none", "one_hot", 1, "average", 1.0, 1.0, "constant")
SCHEDULES = ("constant", "to_teacher@0.5", "to_labels@0.5")
SHAPES = {"label": (4, 3, 2), "exact": (1, 3, 2), "one_hot": (1, 3, 2)}
GAINS = {"constant": 0.1, "to_teacher@0.5": 0.09, "to_labels@0.5": 0.01}


def arms_of(schedules=SCHEDULES, targets=("label", "exact"), control=True):
    taught = [("t", target, 1, "average", 1.0, 1.0, schedule) for target in targets for schedule in schedules]
    return ([ONE_HOT] if control else []) + taught


def study(arms=None, noise=0.002, seed=0):
    """Student metrics and plan, shuffled; students of equal starts and orders share their luck."""
    generator = np.random.default_rng(seed)
    luck = 0.02 * generator.standard_normal((1, 3, 2))
    plan, metrics = [], []
    for number, arm in enumerate(arms or arms_of()):
        keys = {"arm": number, **dict(zip(ARM_KEYS, arm, strict=True))}
        shape = SHAPES[keys["target"]]
        gain = 0.0 if keys["target"] == "one_hot" else GAINS[keys["schedule"]]
        accuracy = 0.8 + gain + luck + noise * generator.standard_normal(shape)
        for seeds, value in zip(crossing(shape), accuracy.ravel(), strict=True):
            plan.append({"student": len(plan), **keys, **dict(zip(SEED_COLUMNS, seeds, strict=True))})
            figures = {"accuracy": value, "nll": 2.0 - 3.0 * value}
            metrics += [
                {"student": len(plan) - 1, **keys, "split": split, **figures} for split in ("validation", "test")
            ]
    return pd.DataFrame(metrics).sample(frac=1.0, random_state=1), pd.DataFrame(plan).sample(frac=1.0, random_state=2)


def values(metrics, plan, arm, shape):
    """(response, initialisation, order) test accuracies of an arm."""
    own = metrics[(metrics["arm"] == arm) & (metrics["split"] == "test")].merge(plan[["student", *SEED_COLUMNS]])
    return own.sort_values(list(SEED_COLUMNS))["accuracy"].to_numpy().reshape(shape)


def test_every_arm_that_switches_has_its_gains_by_hand():
    metrics, plan = study()
    found = schedule_gains(metrics, plan)
    schemas.schedule_gains(found)
    assert list(found) == list(COLUMNS)
    assert len(found) == 4 * 2 * 2
    assert set(found["schedule"]) == set(SCHEDULES[1:])
    chosen = found[(found["split"] == "test") & (found["metric"] == "accuracy")].set_index("arm")
    control = values(metrics, plan, 0, (1, 3, 2))
    for arm, constant, shape in ((2, 1, (4, 3, 2)), (3, 1, (4, 3, 2)), (5, 4, (1, 3, 2)), (6, 4, (1, 3, 2))):
        gain, whole = values(metrics, plan, arm, shape) - control, values(metrics, plan, constant, shape) - control
        row = chosen.loc[arm]
        assert row["num_students"] == gain.size
        assert row["recoverable"]
        for name, expected in (
            ("gain", mean_interval(gain, 0.95)),
            ("constant_gain", mean_interval(whole, 0.95)),
            ("recovered", crossed_share(gain, whole)),
        ):
            assert tuple(row[[name, f"{name}_lower", f"{name}_upper"]]) == pytest.approx(expected)


def test_a_lower_loss_is_an_improvement():
    found = schedule_gains(*study()).pivot_table(index=["arm", "split"], columns="metric", values=["gain", "recovered"])
    np.testing.assert_allclose(found["gain", "nll"], 3.0 * found["gain", "accuracy"])
    np.testing.assert_allclose(found["recovered", "nll"], found["recovered", "accuracy"])


def test_luck_that_siblings_share_cancels():
    """The pairs' noise is a tenth of the luck, and so are the intervals of the gains."""
    found = schedule_gains(*study())
    assert (found.loc[found["metric"] == "accuracy", "gain_upper"] - found["gain_lower"]).max() < 0.02


def test_the_share_of_independent_students_is_fiellers():
    generator = np.random.default_rng(3)
    for _ in range(50):
        whole = 1.0 + generator.standard_normal(8) * generator.uniform(0.01, 0.9)
        part = generator.uniform(-1.0, 2.0) * whole + 0.3 * generator.standard_normal(8)
        expected = gain_share(part, whole, 0.9)
        found = crossed_share(part.reshape(8, 1, 1), whole.reshape(8, 1, 1), 0.9)
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


def test_a_share_is_within_its_bounds_where_the_contrast_covers_zero():
    generator = np.random.default_rng(4)
    whole = 1.0 + 0.2 * generator.standard_normal((4, 3, 2))
    part = 0.6 * whole + 0.2 * generator.standard_normal((4, 3, 2))
    share, lower, upper = crossed_share(part, whole)
    assert lower < share < upper
    for theta in (*np.linspace(lower + 1e-6, upper - 1e-6, 9), lower - 1e-6, upper + 1e-6, lower - 5.0, upper + 5.0):
        _, low, high = mean_interval(part - theta * whole, 0.95)
        assert (low <= 0.0 <= high) == (lower <= theta <= upper)


def test_exact_shares_have_no_width():
    whole = 1.0 + 0.1 * np.random.default_rng(5).standard_normal((4, 3, 2))
    assert crossed_share(whole, whole) == pytest.approx((1.0, 1.0, 1.0))
    assert crossed_share(-0.5 * whole, whole) == pytest.approx((-0.5, -0.5, -0.5))


def test_bounds_cover_the_share():
    """400 worlds of 8 x 3 x 3 crossed seeds; achieved .955."""
    generator, hits = np.random.default_rng(6), 0

    def effects(scale):
        shapes = ((8, 1, 1), (1, 3, 1), (1, 1, 3), (8, 3, 3))
        return sum(scale * generator.standard_normal(shape) for shape in shapes)

    for _ in range(400):
        whole = 1.0 + effects(0.15)
        _, lower, upper = crossed_share(0.7 * whole + effects(0.1), whole)
        hits += lower <= 0.7 <= upper
    assert hits / 400 >= 0.92


def test_of_no_gain_there_are_no_shares():
    metrics, plan = study()
    metrics.loc[metrics["schedule"] == "constant", "accuracy"] = 0.8
    found = schedule_gains(metrics, plan)
    found = found[found["metric"] == "accuracy"]
    assert not found["recoverable"].any()
    assert found[["recovered", "recovered_lower", "recovered_upper"]].isna().all(axis=None)
    assert found[["gain", "constant_gain"]].notna().all(axis=None)


def test_without_the_constant_arm_there_is_a_gain_and_no_share():
    found = schedule_gains(*study(arms_of(SCHEDULES[1:])))
    assert found[["constant_gain", "recovered"]].isna().all(axis=None)
    assert found["gain"].notna().all()
    assert not found["recoverable"].any()


@pytest.mark.parametrize("arms", [arms_of(("constant",)), arms_of(control=False)])
def test_without_a_switch_or_a_control_there_is_nothing(arms):
    found = schedule_gains(*study(arms))
    schemas.schedule_gains(found)
    assert list(found) == list(COLUMNS)
    assert found.empty


def test_arms_of_other_seeds_are_not_paired():
    metrics, plan = study()
    plan.loc[plan["target"] == "one_hot", "order_seed"] += 1
    with pytest.raises(UserError, match="arm 2: its order seeds are not those of the arm that it is compared with"):
        schedule_gains(metrics, plan)
    metrics, plan = study()
    plan.loc[(plan["target"] == "label") & (plan["schedule"] == "constant"), "response_seed"] += 1
    with pytest.raises(UserError, match="arm 2: its response seeds"):
        schedule_gains(metrics, plan)
