"""The summary: JSON without NaN, the choice by validation NLL among labels that one can have, the advice in order."""

from __future__ import annotations

import json
import math

import pytest

from kd_uncertainty.report.convergence import make_summary
from kd_uncertainty.report.convergence.arms import ArmKey, key_of, keys_of, read_arms, shades_of

from .study import NOISES, TEACHERS


def test_it_is_json_and_counts_its_verdicts(tables, task):
    summary = json.loads(json.dumps(make_summary(task, tables, confidence=0.9), allow_nan=False))
    assert summary["study"] == "convergence"
    assert summary["confidence"] == 0.9
    assert sum(summary["verdicts"].values()) == len(summary["claims"]) == 33
    assert summary["verdicts"]["holds in part"] == 1
    assert summary["num_seeds"]["mixture"] == 24
    assert summary["num_seeds"]["gradient_noise"] == 800


def test_the_choice_is_the_best_label_that_one_can_have(tables, task):
    summary = make_summary(task, tables)
    assert summary["choice"]["label"] == "variational teacher"  # exact labels are better, and nobody has them
    assert summary["recommendation"][0].startswith("Train on the labels of the variational teacher")
    assert "with exact probabilities" in summary["recommendation"][0]
    assert set(summary["choice"]["noise_ratios"]) == set(NOISES)


def test_the_choice_rests_on_the_validation_split(tables, task):
    frame = tables["stability"]
    own = (frame["teacher"] == "dropout") & (frame["metric"] == "nll")
    frame.loc[own & (frame["split"] == "test"), ["estimate", "lower", "upper"]] = [0.1, 0.09, 0.11]
    assert make_summary(task, tables)["choice"]["teacher"] == "variational"
    frame.loc[own & (frame["split"] == "validation"), ["estimate", "lower", "upper"]] = [0.1, 0.09, 0.11]
    assert make_summary(task, tables)["choice"]["teacher"] == "dropout"


def test_a_lucky_and_unsure_arm_is_not_chosen(tables, task):
    frame = tables["stability"]
    own = (frame["teacher"] == "dropout") & (frame["metric"] == "nll") & (frame["split"] == "validation")
    frame.loc[own, ["estimate", "lower", "upper"]] = [0.5, 0.1, 0.9]
    assert make_summary(task, tables)["choice"]["teacher"] == "variational"


def test_one_hot_labels_may_win(tables, task):
    frame = tables["stability"]
    own = (frame["arm"] == "one_hot") & (frame["metric"] == "nll")
    frame.loc[own, ["estimate", "lower", "upper"]] = [0.1, 0.09, 0.11]
    summary = make_summary(task, tables)
    assert summary["recommendation"][0].startswith("Train on the data’s own labels")
    assert "calm" not in [finding["topic"] for finding in summary["findings"]]


def test_rivals_are_counted(tables, task):
    rivals = next(f for f in make_summary(task, tables)["findings"] if f["topic"] == "rivals")
    assert rivals["figures"]["tied"] == []
    frame = tables["stability"]
    own = (frame["teacher"] == "ensemble") & (frame["metric"] == "nll") & (frame["split"] == "validation")
    frame.loc[own, ["estimate", "lower", "upper"]] = [0.56, 0.5, 0.62]
    rivals = next(f for f in make_summary(task, tables)["findings"] if f["topic"] == "rivals")
    assert rivals["figures"]["tied"] == ["ensemble teacher"]
    assert rivals["sentence"].startswith("1 of the 5 other kinds of labels cannot be told apart")


def test_advice_comes_in_order_and_says_what_does_not_hold(tables, task):
    topics = [finding["topic"] for finding in make_summary(task, tables)["findings"]]
    assert topics == ["choice", "rivals", "mixing", "step", "teachers", "calm"]
    text = " ".join(make_summary(task, tables)["recommendation"])
    assert "do not double the step because the labels are less noisy" in text
    frame = tables["stability"]
    errors = (frame["arm"] == "teacher") & (frame["metric"] == "target_error")
    frame.loc[errors, "estimate"] = frame.loc[errors, "estimate"].to_numpy()[::-1]
    text = " ".join(make_summary(task, tables)["recommendation"])
    assert "does not rank their students here" in text


def test_noisier_training_is_said_as_plainly(tables, task):
    frame = tables["stability"]
    own = (frame["teacher"] == "variational") & frame["metric"].isin(NOISES)
    frame.loc[own, ["ratio", "ratio_lower", "ratio_upper"]] = [1.5, 1.4, 1.6]
    (calm,) = [f for f in make_summary(task, tables)["findings"] if f["topic"] == "calm"]
    assert calm["title"].endswith("is less calm than on one-hot labels")


@pytest.mark.parametrize(("known", "words"), [("assumed", "taken as certain"), ("unknown", "no exact or Dirichlet")])
def test_caveats_depend_on_what_is_known(tables, task, known, words):
    assert words in " ".join(make_summary({**task, "bayes_probabilities": known}, tables)["caveats"])
    assert words not in " ".join(make_summary(task, tables)["caveats"])


def test_without_tables(task):
    summary = make_summary(task, {})
    assert summary["choice"] is None
    assert summary["recommendation"] == []
    assert set(summary["verdicts"]) == {"holds", "holds in part", "does not hold", "not measured"}
    assert summary["verdicts"]["not measured"] == len(summary["claims"]) == 27


def test_arms_are_read_with_ratios_and_in_order(tables):
    arms = read_arms(tables)
    assert [arm.key.label for arm in arms] == [
        "one-hot",
        "Dirichlet, a = 0.5, λ = 0.6",
        "Dirichlet, a = 0.5",
        "Dirichlet, a = 5",
        "deterministic teacher",
        *(f"{name} teacher" for name in sorted(TEACHERS) if name != "deterministic"),
        "exact",
    ]
    exact = arms[-1]
    assert exact.num_seeds == 8
    assert exact.noise("gradient_variance").estimate == pytest.approx(0.004)
    assert exact.noise_ratio("noise_nll_std").estimate == pytest.approx(0.4)
    assert not exact.noise("unheard_of").known


def test_keys_and_colours(tables):
    assert key_of({"arm": "one_hot", "level": 3.0, "mixing": 0.5}) == key_of({"arm": "one_hot"})
    assert ArmKey("teacher", "deep_net", mixing=0.25).label == "deep net teacher, λ = 0.25"
    assert ArmKey("additive", level=0.05).label == "additive, ν = 0.05"
    keys = keys_of(tables["stability"])
    shades = shades_of(keys)
    assert len(set(shades.values())) == len(keys)
    assert math.isnan(next(key for key in keys if key.arm == "exact").level)
