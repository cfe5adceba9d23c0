"""The verdict on a dial: the lowest loss, the cheapest that is not told apart, and how often resamples agree."""

import numpy as np
import pytest

from kd_uncertainty.comparison.dials import Evidence, Setting, decide
from kd_uncertainty.comparison.plan import Cell

STUDENTS, EXAMPLES = 6, 300


def evidence(means, noise=0.05, num_bootstrap=400):
    """Losses of cells with given means, whose differences are noisy in students and in examples."""
    generator = np.random.default_rng(2)
    shared = 0.4 + generator.gamma(1.0, 0.5, EXAMPLES)
    losses = {}
    for number, mean in enumerate(means):
        own = generator.standard_normal((STUDENTS, 1)) / 5 + generator.standard_normal((STUDENTS, EXAMPLES))
        own -= own.mean()
        losses[Cell(f"t{number}", 1)] = mean + shared + noise * own
    return Evidence(losses, 0.95, num_bootstrap, 0)


def settings(count):
    return [Setting(f"t{number}", (Cell(f"t{number}", 1),)) for number in range(count)]


def test_a_clear_winner_is_recommended():
    verdict = decide(evidence([0.1, 0.0, 0.2]), settings(3))
    assert verdict.best == verdict.recommended == settings(3)[1]
    assert verdict.figures["share_of_resamples"] == 1.0
    assert not verdict.figures["within_noise"]
    assert verdict.figures["runner_up"]["value"] == "t0"
    assert verdict.figures["runner_up"]["difference"]["estimate"] == pytest.approx(-0.1)
    assert [one["tied"] for one in verdict.figures["settings"]] == [False, True, False]


def test_a_tie_goes_to_the_cheaper():
    verdict = decide(evidence([0.002, 0.2, 0.0]), settings(3))
    assert verdict.best.value == "t2"
    assert verdict.recommended.value == "t0"
    assert verdict.figures["within_noise"]
    assert [one["tied"] for one in verdict.figures["settings"]] == [True, False, True]
    assert verdict.figures["share_of_resamples"] < 0.9


def test_the_order_of_settings_is_the_order_of_cost():
    backwards = settings(3)[::-1]
    assert decide(evidence([0.002, 0.2, 0.0]), backwards).recommended.value == "t2"


def test_a_setting_is_judged_by_the_best_of_its_cells():
    both = [Setting("many", (Cell("t0", 1), Cell("t2", 1))), Setting("one", (Cell("t1", 1),))]
    verdict = decide(evidence([0.3, 0.1, 0.0]), both)
    assert verdict.best.value == "many"
    assert verdict.figures["settings"][0]["difference_to_best"]["estimate"] == 0.0


def test_shares_add_up_and_agree_with_a_direct_bootstrap():
    proof = evidence([0.004, 0.0, 0.02], num_bootstrap=4000)
    shares = proof.shares(settings(3))
    assert shares.sum() == pytest.approx(1.0)
    generator = np.random.default_rng(9)
    losses = np.stack(list(proof.losses.values()))
    wins = np.zeros(3)
    for _ in range(1000):
        some, points = generator.integers(STUDENTS, size=STUDENTS), generator.integers(EXAMPLES, size=EXAMPLES)
        wins[losses[:, some][:, :, points].mean(axis=(1, 2)).argmin()] += 1
    # Two bootstraps of 1,000 and 4,000 resamples: the standard error of a share of one half is .018.
    assert np.abs(shares - wins / 1000).max() < 4 * 0.018


def test_one_setting_has_no_runner_up():
    figures = decide(evidence([0.0]), settings(1)).figures
    assert figures["runner_up"] is None
    assert figures["share_of_resamples"] == 1.0


def test_equal_losses_are_a_tie():
    losses = evidence([0.0]).losses[Cell("t0", 1)]
    same = Evidence({Cell("t0", 1): losses, Cell("t1", 1): losses.copy()}, 0.95, 50, 0)
    figures = decide(same, settings(2)).figures
    assert (figures["best"], figures["recommended"]) == ("t0", "t0")
    assert all(one["tied"] for one in figures["settings"])
