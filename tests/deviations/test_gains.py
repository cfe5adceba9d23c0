"""Rank correlations of deviations with gains."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kd_uncertainty.deviations.gains import gain_table, rank_correlation


def table(deviations, gains, teachers=None):
    """Deviations of arms: a slope on the training split, and an accuracy gained on the test split."""
    rows = []
    for number, (deviation, gain) in enumerate(zip(deviations, gains, strict=True)):
        keys = {"teacher": "t" if teachers is None else teachers[number], "arm": number}
        rows += [
            keys | {"split": "train", "statistic": "slope", "group": "student", "estimate": deviation},
            keys | {"split": "train", "statistic": "slope", "group": "difference", "estimate": -deviation},
            keys | {"split": "train", "statistic": "slope", "group": "control", "estimate": 1.0},
            keys | {"split": "train", "statistic": "accuracy", "group": "difference", "estimate": 0.5},
            keys | {"split": "test", "statistic": "accuracy", "group": "difference", "estimate": gain},
        ]
    return pd.DataFrame(rows).assign(lower=0.0, upper=0.0, standard_errors=0.0, num_students=8)


def test_a_gain_that_grows_with_the_deviation_has_correlation_1():
    deviations = np.array([1.0, 3.0, 2.0, 5.0, 4.0, 8.0])
    found = gain_table(table(deviations, np.exp(deviations))).set_index("group")
    assert found.loc["student", ["correlation", "lower", "upper"]].tolist() == pytest.approx([1.0, 1.0, 1.0])
    assert found.loc["difference", "correlation"] == pytest.approx(-1.0)
    assert found.loc["student", ["arms", "split", "statistic", "gain_split", "num_arms"]].tolist() == [
        "all",
        "train",
        "slope",
        "test",
        6,
    ]
    assert len(found) == 2


def test_correlations_with_ties_are_those_of_scipy_and_bounds_those_of_a_bootstrap():
    generator = np.random.default_rng(0)
    first = generator.integers(0, 6, 12).astype(float)
    second = first + 3.0 * generator.standard_normal(12)
    estimate, lower, upper = rank_correlation(first, second, 0.9, 1000, seed=1)
    assert estimate == pytest.approx(stats.spearmanr(first, second).statistic)
    other = np.random.default_rng(99)
    drawn = [other.integers(0, 12, 12) for _ in range(1000)]
    replicates = [stats.spearmanr(first[one], second[one]).statistic for one in drawn]
    # Quantiles of two bootstraps of 1000 replicates differ by no more than .08 (4 standard errors).
    assert (lower, upper) == pytest.approx(np.quantile(replicates, [0.05, 0.95]), abs=0.08)


def test_arms_are_compared_within_each_teacher_too():
    """Two teachers that differ in both make a correlation that neither of them has: Simpson's paradox."""
    deviations = np.array([1.0, 2.0, 3.0, 4.0, 11.0, 12.0, 13.0, 14.0])
    gains = np.array([4.0, 3.0, 2.0, 1.0, 14.0, 13.0, 12.0, 11.0])
    found = gain_table(table(deviations, gains, ["a"] * 4 + ["b"] * 4))
    found = found[found["group"] == "student"].set_index("arms")["correlation"]
    assert found["all"] > 0.5
    assert found[["a", "b"]].tolist() == pytest.approx([-1.0, -1.0])


def test_few_arms_and_constant_deviations_have_no_correlation():
    assert gain_table(table([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]))["correlation"].isna().all()
    constant = gain_table(table([1.0] * 5, [1.0, 2.0, 3.0, 4.0, 5.0]))
    assert constant[["correlation", "lower", "upper"]].isna().all(axis=None)
    unknown = gain_table(table([np.nan, 1.0, 2.0, 3.0, 4.0], [9.0, 1.0, 2.0, 3.0, 4.0]))
    assert unknown["num_arms"].tolist() == [4, 4]
    assert unknown["correlation"].tolist() == pytest.approx([1.0, -1.0])
