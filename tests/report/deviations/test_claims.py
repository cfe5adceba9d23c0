"""Verdicts follow from the tables: each is turned by turning the figures."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from kd_uncertainty.report.deviations.claims import make_claims

from .study import SIMILARITIES, STOPS, TEACHER_STEPS, put

EXPECTED = {
    "train_slope": "holds",
    "train_all": "holds",
    "train_share": "holds",
    "test_slope": "does not hold",  # the control alone has a slope above 1 there
    "test_control": "holds",
    "temperature": "holds",
    "early_stopped": "holds",
    "accuracy": "holds",
    "pays": "holds",
    "pays_within": "holds",
    "late": "holds",
    "reverse": "holds",
    "equal_progress": "holds",
    "filters": "holds",
    "linear_squared": "holds",
    "linear_cross_entropy": "holds",
    "random_features": "holds",
    "mlp": "holds",
    "mlp_control": "holds",
    "momentum": "holds",
    "recording": "holds",
    "similarity": "holds",
    "selective": "holds",
    "flip_falls": "holds",
    "memory": "holds",
    "top_weights": "holds",
    "spread_weights": "holds",
    "top_gradient": "holds",
    "spread_gradient": "holds",
}
JUDGED = {"teacher": "interpolating", "temperature": 4.0}
LOW = {"statistic": "slope_low_quartile"}


NEEDS = {
    "train_slope": ("deviations",),
    "accuracy": ("deviations", "gains"),
    "late": ("switching",),
    "filters": ("eigenspace_trajectories",),
    "linear_squared": ("eigenspace_pairs",),
    "similarity": ("denoising_entries",),
    "top_weights": ("denoising_alignment",),
}
"""The tables that a claim and those after it need, up to the next key."""


def claim(tables, key: str):
    """The claim from its own tables alone."""
    before = [one for one in EXPECTED if one in NEEDS and list(EXPECTED).index(one) <= list(EXPECTED).index(key)]
    own = {name: tables[name] for name in NEEDS[before[-1]]}
    (found,) = [one for one in make_claims(own) if one.key == key]
    return found


def verdict(tables, key: str) -> str:
    return claim(tables, key).verdict


def test_verdicts_of_the_synthetic_study(tables):
    assert {one.key: one.verdict for one in make_claims(tables)} == EXPECTED


def test_every_claim_says_its_rule_and_when_it_fails(tables):
    for one in make_claims(tables):
        assert one.rule.startswith("holds if")
        assert len(one.fails) > 20
        assert one.measured != "n/a"
        assert "nan" not in one.sentence.lower()
        assert not one.claim.endswith(".")


def test_nothing_is_measured_without_tables():
    claims = make_claims({})
    assert {one.key: one.verdict for one in claims} == dict.fromkeys(EXPECTED, "not measured")
    assert all(one.rule and one.fails for one in claims)


@pytest.mark.parametrize(
    "name",
    ["deviations", "gains", "switching", "eigenspace_trajectories", "eigenspace_pairs", "denoising_entries",
     "denoising_alignment"],
)  # fmt: skip
def test_an_empty_table_leaves_its_claims_unmeasured_and_the_others_as_they_are(tables, name):
    tables[name] = tables[name][:0]
    found = {one.key: one.verdict for one in make_claims(tables)}
    lost = {key for key, word in found.items() if word == "not measured"}
    assert lost
    assert {key: found[key] for key in found if key not in lost} == {
        key: EXPECTED[key] for key in found if key not in lost
    }


@pytest.mark.parametrize(("key", "statistic"), [("train_slope", "slope_low_quartile"), ("train_all", "slope")])
def test_exaggeration_has_to_be_above_one_and_above_the_control(tables, key, statistic):
    frame = tables["deviations"]
    place = {**JUDGED, "split": "train", "statistic": statistic}
    own = (frame["split"] == "train") & (frame["statistic"] == statistic) & (frame["group"] == "difference")
    frame.loc[own & (frame["student"] == "self"), "standard_errors"] = 1.9
    assert verdict(tables, key) == "holds in part"
    frame.loc[own, "standard_errors"] = 1.9
    assert verdict(tables, key) == "does not hold"  # slopes above 1 as before
    frame.loc[own, "standard_errors"] = 9.0
    put(frame, 1.005, 0.01, **place, group="student")
    assert verdict(tables, key) == "does not hold"  # clear of the control, and not of 1
    assert "Clear of the control in 0 of 3 arms" in claim(tables, key).sentence


def test_other_temperatures_and_teachers_are_not_judged(tables):
    frame = tables["deviations"]
    put(frame, 0.5, 0.01, teacher="interpolating", temperature=1.0, split="train", group="student", **LOW)
    put(frame, 0.5, 0.01, teacher="early_stopped", split="train", group="student", **LOW)
    assert verdict(tables, "train_slope") == "holds"


def test_test_points_may_stand_clear_as_well(tables):
    frame = tables["deviations"]
    put(frame, 1.5, 0.01, **JUDGED, split="test", group="student", **LOW)
    frame.loc[(frame["split"] == "test") & (frame["group"] == "difference"), "standard_errors"] = 4.0
    assert verdict(tables, "test_slope") == "holds"


def test_shares_need_both_thresholds(tables):
    frame = tables["deviations"]
    place = {**JUDGED, "split": "train", "statistic": "low_decile_below"}
    put(frame, 0.92, 0.01, **place, student="smaller", group="control")  # cannot fit the labels: below by itself
    assert verdict(tables, "train_share") == "holds in part"
    put(frame, 0.7, 0.01, **place, group="student")
    assert verdict(tables, "train_share") == "holds in part"  # above the control, and not by the thresholds
    put(frame, 0.0, 0.05, **place, group="difference")
    assert verdict(tables, "train_share") == "does not hold"


def test_the_control_itself(tables):
    frame = tables["deviations"]
    put(frame, 1.0, 0.1, **JUDGED, student="self", split="test", group="control", **LOW)
    assert verdict(tables, "test_control") == "holds in part"
    put(frame, 0.9, 0.01, **JUDGED, split="test", group="control", **LOW)
    assert verdict(tables, "test_control") == "does not hold"


def test_temperature_is_compared_within_a_student(tables):
    frame = tables["deviations"]
    place = {"teacher": "interpolating", "split": "train", "group": "student", **LOW}
    put(frame, 1.5, 0.01, **place, temperature=1.0, student="larger")
    assert verdict(tables, "temperature") == "holds in part"
    tables["deviations"] = frame[frame["temperature"] == 4.0]
    assert verdict(tables, "temperature") == "not measured"


def test_early_stopped_teachers_stand_beside_the_control_that_stopped_with_them(tables):
    frame = tables["deviations"]
    place = {"teacher": "early_stopped", "temperature": 4.0, "split": "train", **LOW}
    found = claim(tables, "early_stopped")
    assert "control 1.02" in found.measured
    assert "A control that trains on has 3.000" in found.sentence or "has 3.00" in found.sentence
    put(frame, 1.3, 0.01, **place, student="self", group="student")
    own = (frame["group"] == "stopped_difference") & (frame["statistic"] == "slope_low_quartile")
    frame.loc[own, "standard_errors"] = 5.0
    assert verdict(tables, "early_stopped") == "holds in part"
    put(frame, 1.3, 0.01, **place, group="student")
    assert verdict(tables, "early_stopped") == "does not hold"


def test_gains_in_accuracy(tables):
    frame = tables["deviations"]
    place = {**JUDGED, "split": "test", "statistic": "accuracy", "group": "difference"}
    put(frame, 0.0, 0.01, **place, student="larger")
    assert verdict(tables, "accuracy") == "holds in part"
    put(frame, -0.02, 0.01, **place)
    assert verdict(tables, "accuracy") == "does not hold"


def correlate(frame: pd.DataFrame, rho: float, **keys) -> None:
    keys = {"split": "train", **LOW, **keys}
    mask = (frame[list(keys)] == pd.Series(keys)).all(axis=1)
    assert mask.any()
    frame.loc[mask, ["correlation", "lower", "upper"]] = [rho, rho - 0.2, rho + 0.2]


def test_paying_needs_both_ways_to_measure(tables):
    frame = tables["gains"]
    correlate(frame, 0.1, arms="all", group="student")
    assert verdict(tables, "pays") == "holds in part"
    correlate(frame, -0.6, arms="all", group="student")
    found = claim(tables, "pays")
    assert found.verdict == "does not hold"
    assert "turns the sign" in found.sentence
    correlate(frame, -0.6, arms="all")
    assert "the arms that deviate least gain most" in claim(tables, "pays").sentence
    assert verdict(tables, "pays_within") == "holds"
    correlate(frame, 0.0, arms="early_stopped")
    assert verdict(tables, "pays_within") == "holds in part"


def test_other_figures_and_splits_do_not_count_for_paying(tables):
    frame = tables["gains"]
    frame.loc[frame["split"] != "train", ["correlation", "lower", "upper"]] = [-0.9, -1.0, -0.8]
    assert verdict(tables, "pays") == "holds"


def test_late_distillation_has_to_recover_seventy_per_cent(tables):
    frame = tables["switching"]
    put(frame, 0.1, 0.05, "recovered", schedule="to_distillation", switch=0.75)
    assert verdict(tables, "late") == "holds"  # judged half-way
    half = {"schedule": "to_distillation", "switch": 0.5, "split": "test"}
    put(frame, 0.69, 0.3, "recovered", **half, metric="nll", teacher="interpolating")
    assert verdict(tables, "late") == "holds in part"
    put(frame, 0.69, 0.3, "recovered", **half)
    assert verdict(tables, "late") == "does not hold"


def test_without_a_gain_there_is_no_share_of_it(tables):
    frame = tables["switching"]
    frame.loc[frame["teacher"] == "interpolating", ["recovered", "recovered_lower", "recovered_upper"]] = math.nan
    assert len(claim(tables, "late").figures) == 2
    assert verdict(tables, "reverse") == "not measured"
    frame[["recovered", "recovered_lower", "recovered_upper"]] = math.nan
    for key in ("late", "reverse", "equal_progress"):
        assert verdict(tables, key) == "not measured"


def test_the_reverse_switch_depends_on_the_teacher_or_does_not(tables):
    frame = tables["switching"]
    place = {"schedule": "to_one_hot", "switch": 0.5, "split": "test", "teacher": "interpolating"}
    put(frame, 0.2, 0.05, "recovered", **place, metric="nll")
    assert verdict(tables, "reverse") == "holds in part"
    put(frame, 0.2, 0.05, "recovered", **place)
    found = claim(tables, "reverse")
    assert found.verdict == "does not hold"
    assert found.sentence.count("no measurable difference") == 2


def test_stopping_early_may_have_all_of_the_gain(tables):
    frame = tables["switching"]
    put(frame, 0.98, 0.05, "recovered", schedule="equal_progress", teacher="early_stopped")
    assert verdict(tables, "equal_progress") == "holds in part"
    put(frame, 0.98, 0.05, "recovered", schedule="equal_progress")
    assert verdict(tables, "equal_progress") == "does not hold"


def test_paths_have_to_follow_their_filters(tables):
    frame = tables["eigenspace_trajectories"]
    own = (frame["model"] == "linear_squared") & (frame["role"] == "student") & (frame["direction"] == 2)
    frame.loc[own, ["progress", "progress_lower", "progress_upper"]] *= 1.2
    assert verdict(tables, "filters") == "holds in part"
    frame.loc[frame["direction"] > 1, ["progress", "progress_lower", "progress_upper"]] *= 0.5
    assert verdict(tables, "filters") == "does not hold"


@pytest.mark.parametrize(
    ("model", "below"),
    [("linear_squared", 0.985), ("linear_cross_entropy", 0.79), ("random_features", 0.79), ("mlp", 0.5)],
)
def test_shares_of_pairs_by_model(tables, model, below):
    frame = tables["eigenspace_pairs"]
    place = {"model": model, "descent": "plain", "role": "student", "coarse": "neither"}
    put(frame, below, 0.0, "share", **place, task="given")
    assert verdict(tables, model) == "holds in part"
    put(frame, below, 0.0, "share", **place)
    assert verdict(tables, model) == "does not hold"
    others = [one for one in ("linear_squared", "linear_cross_entropy", "random_features", "mlp") if one != model]
    assert [verdict(tables, other) for other in others] == ["holds"] * 3


def test_coarse_records_are_not_judged_as_shares(tables):
    put(tables["eigenspace_pairs"], 0.1, 0.01, "share", coarse="both")
    assert {one.key: one.verdict for one in make_claims(tables)} == EXPECTED


def test_the_networks_control(tables):
    frame = tables["eigenspace_pairs"]
    place = {"role": "difference", "coarse": "neither"}
    put(frame, 0.01, 0.02, "share", **place, teacher_stop=STOPS[0])
    assert verdict(tables, "mlp_control") == "holds in part"
    put(frame, 0.01, 0.02, "share", **place)
    assert verdict(tables, "mlp_control") == "does not hold"


def test_momentum_may_do_no_harm(tables):
    put(tables["eigenspace_pairs"], 0.99, 0.0, "share", descent="momentum", role="student", coarse="neither")
    assert verdict(tables, "momentum") == "does not hold"


def test_coarse_records_of_the_student_lower_the_share_or_do_not(tables):
    frame = tables["eigenspace_pairs"]
    put(frame, 0.9, 0.02, "share", coarse="student", role="student", model="random_features")
    assert verdict(tables, "recording") == "holds in part"
    put(frame, 1.0, 0.0, "share", coarse="student", role="student")
    assert verdict(tables, "recording") == "does not hold"


def test_similar_classes_make_destructive_entries(tables):
    frame = tables["denoising_entries"]
    put(frame, 0.0, 0.02, "destructive_change", similarity=SIMILARITIES[-1], signal="spread")
    assert verdict(tables, "similarity") == "holds in part"
    put(frame, 0.0, 0.02, "destructive_change")
    assert verdict(tables, "similarity") == "does not hold"
    tables["denoising_entries"] = frame[frame["similarity"] == 0.0]
    assert verdict(tables, "similarity") == "not measured"


def test_flips_stand_beside_false_flips(tables):
    frame = tables["denoising_entries"]
    put(frame, 0.8, 0.02, "false_flip", teacher_step=TEACHER_STEPS[0], student_step=10)
    assert verdict(tables, "selective") == "holds in part"
    put(frame, 0.8, 0.02, "false_flip", teacher_step=TEACHER_STEPS[0])
    assert verdict(tables, "selective") == "does not hold"


def test_flips_fall_one_by_one_and_end_in_none(tables):
    frame = tables["denoising_entries"]
    put(frame, 0.9, 0.02, "flip", teacher_step=TEACHER_STEPS[2], signal="top")
    assert verdict(tables, "flip_falls") == "holds in part"
    assert verdict(tables, "memory") == "holds"
    put(frame, 0.05, 0.01, "flip", teacher_step=TEACHER_STEPS[-1])
    assert verdict(tables, "memory") == "does not hold"
    put(frame, 0.0, 0.1, "flip_change", teacher_step=TEACHER_STEPS[-1])
    assert verdict(tables, "flip_falls") == "does not hold"


def test_rates_that_have_ended_do_not_count_as_a_tie(tables):
    frame = tables["denoising_entries"]
    for step in TEACHER_STEPS[2:]:
        put(frame, 0.0, 0.0, "flip", teacher_step=step)
    assert verdict(tables, "flip_falls") == "holds"


@pytest.mark.parametrize("quantity", ["weights", "gradient"])
@pytest.mark.parametrize(("signal", "wrong"), [("top", -0.1), ("spread", 0.1)])
def test_alignment_by_where_the_signal_lives(tables, signal, wrong, quantity):
    frame, key = tables["denoising_alignment"], f"{signal}_{quantity}"
    place = {"signal": signal, "quantity": quantity, "teacher": "trained"}
    put(frame, wrong, 0.01, "gain", **place, teacher_step=300)
    assert verdict(tables, key) == "holds"  # the latest teacher is no early one
    put(frame, wrong, 0.01, "gain", **place, student_step=10, teacher_step=30, similarity=0.0)
    assert verdict(tables, key) == "holds in part"
    put(frame, wrong, 0.01, "gain", **place)
    assert verdict(tables, key) == "does not hold"
    others = {"top_weights", "spread_weights", "top_gradient", "spread_gradient"} - {key}
    assert {verdict(tables, other) for other in others} == {"holds"}
