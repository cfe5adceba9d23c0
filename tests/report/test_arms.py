"""Arms are the tables' rows, joined by arm."""

import math

import pytest

from kd_uncertainty.report.arms import Arm, best, read_arms
from kd_uncertainty.report.comparison import Estimate

from .study import figure_of, put


def test_every_figure_is_the_tables_figure(tables):
    for arm in read_arms(tables):
        for metric in ("accuracy", "nll"):
            expected = figure_of(tables["arm_metrics"], arm=arm.arm, split="test", metric=metric)
            assert arm.metric(metric, "test").estimate == expected
        for component in ("response", "inter_unbiased", "intra_entropy"):
            expected = figure_of(tables["variance_components"], arm=arm.arm, split="validation", component=component)
            assert arm.component(component, "validation").estimate == expected
        assert arm.num_students == 9


def test_shares_add_up_to_one(tables):
    for arm in read_arms(tables):
        shares = [arm.share(name, "test") for name in ("response", "initialisation", "order", "residual")]
        assert sum(shares) == pytest.approx(1.0)


def test_no_share_of_a_sum_that_is_not_positive(tables):
    put(tables["variance_components"], -0.001, 0.002, arm=3, component="inter_unbiased")
    assert read_arms(tables)[3].share("order", "test") is None


def arm_with(number, estimate, upper):
    lower = 2 * estimate - upper
    return Arm(number, "t", "label", 1, metrics={"validation": {"nll": Estimate(estimate, lower, upper)}})


def test_best_is_the_arm_whose_validation_nll_is_surely_lowest(tables):
    frame = tables["arm_metrics"]
    rows = frame[(frame["metric"] == "nll") & (frame["split"] == "validation")]
    assert best(read_arms(tables)).arm == rows.loc[rows["upper"].idxmin(), "arm"]


def test_a_lucky_uncertain_arm_is_not_best():
    lucky, sure = arm_with(0, 0.42, 0.46), arm_with(1, 0.43, 0.44)
    assert best([lucky, sure]) is sure
    assert best([lucky, arm_with(2, 0.44, float("nan"))]).arm == 2  # without intervals the estimate has to do


def test_arms_without_a_figure_are_never_best():
    blank = Arm(0, "t", "label", 1, metrics={"validation": {"nll": Estimate(math.nan, math.nan, math.nan)}})
    assert best([blank]) is None
    good = Arm(1, "t", "label", 2, metrics={"validation": {"nll": Estimate(0.3, 0.2, 0.4)}})
    assert best([blank, good]) is good


@pytest.mark.parametrize(
    ("arm", "name", "label"),
    [
        (Arm(0, "none", "one_hot", 1), "the data's own labels", "one-hot"),
        (Arm(0, "swag", "exact", 1), "the exact mean probabilities of the swag teacher", "exact"),
        (Arm(0, "swag", "label", 1), "one sampled label per example from the swag teacher", "label, k = 1"),
        (
            Arm(0, "swag", "posterior", 4, mixing=0.5, temperature=2.0),
            "the average of 4 posterior draws per example from the swag teacher, mixing 0.5, temperature 2",
            "posterior, k = 4, mixing 0.5, temperature 2",
        ),
    ],
)
def test_names(arm, name, label):
    assert arm.named() == name
    assert arm.label() == label


def test_missing_tables_leave_figures_unknown(tables):
    arms = read_arms({"arm_metrics": tables["arm_metrics"]})
    assert len(arms) == len(read_arms(tables))
    assert not arms[0].component("inter", "test").known
    assert read_arms({}) == []
