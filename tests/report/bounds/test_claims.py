"""Verdicts follow from the tables: each is turned by turning the figures."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from kd_uncertainty.report.bounds.claims import make_claims
from kd_uncertainty.report.bounds.claims.never import usage

from .study import NOISES, SIZES, USED, VIOLATED, WORLDS

EXPECTED = {
    "direct": "holds",
    "corrected": "holds",
    "tight": "holds",
    "literal": "does not hold",
    "twice": "holds",
    "variance_falls": "holds",
    "spread_rises": "holds",
    "flat": "holds",
    "approximation_falls": "holds",
    "same_best": "holds",
    "chain_rule": "holds",
    "upper": "holds",
    "lower": "holds",
    "central": "holds",
    "sharper": "holds",
    "sharpness": "holds",
    "sharpness_gain": "does not hold",
    "std": "holds",
    "tightness": "holds",
    "inside_pseudo": "holds",
    "inside_true": "holds",
    "narrows": "holds in part",  # Hoeffding's constant does not fall
    "flat_networks": "holds",
    "below": "holds",
    "tightness_networks": "holds in part",
    "langevin_inside_pseudo": "holds",
    "langevin_inside_true": "holds",
}


def claim(tables, key: str):
    (found,) = [one for one in make_claims(tables) if one.key == key]
    return found


def verdict(tables, key: str) -> str:
    return claim(tables, key).verdict


def scaled(table: pd.DataFrame, quantity: str, factor: float | np.ndarray) -> None:
    """Multiply a quantity of networks and its bounds in place."""
    own = table["quantity"] == quantity
    columns = ["estimate", "lower", "upper"]
    table.loc[own, columns] = table.loc[own, columns].to_numpy() * np.reshape(factor, (-1, 1))


def test_verdicts_of_the_synthetic_study(tables):
    assert {one.key: one.verdict for one in make_claims(tables)} == EXPECTED


def test_every_claim_says_its_rule_and_when_it_fails(tables):
    for one in make_claims(tables):
        assert one.rule.startswith("holds if")
        assert len(one.fails) > 20
        assert one.measured != "n/a"
        assert "nan" not in one.sentence.lower().replace("covariance", "")
        assert "verified" not in one.sentence + one.claim + one.rule


def test_nothing_is_measured_without_tables():
    claims = make_claims({})
    assert {one.key: one.verdict for one in claims} == dict.fromkeys(EXPECTED, "not measured")
    assert all(one.rule and one.fails for one in claims)


@pytest.mark.parametrize(
    "name", ["decomposition_sweeps", "processes", "sharpness", "network_bounds", "langevin_bounds"]
)
def test_an_empty_table_leaves_its_claims_unmeasured_and_the_others_as_they_are(tables, name):
    tables[name] = tables[name][:0]
    found = {one.key: one.verdict for one in make_claims(tables)}
    lost = {key for key, word in found.items() if word == "not measured"}
    assert lost
    kept = found.keys() - lost
    assert {key: found[key] for key in kept} == {key: EXPECTED[key] for key in kept}


def test_forms_are_judged_by_the_sweeps_alone_where_there_is_no_audit(tables):
    del tables["decomposition_audit"]
    literal = claim(tables, "literal")
    assert literal.figures["violated"] == 1  # of the settings: at the largest inverse temperature
    assert verdict(tables, "corrected") == "holds"
    assert verdict(tables, "direct") == "not measured"


def test_violations_are_counted_and_the_base_configuration_once(tables):
    literal = claim(tables, "literal")
    settings = len(tables["decomposition_sweeps"]) - 5  # the base stands in six sweeps
    assert (literal.figures["violated"], literal.figures["count"]) == (VIOLATED + 1, WORLDS + settings)
    assert f"{VIOLATED + 1} lie outside: so it is not a bound" in literal.sentence
    assert literal.figure.estimate == pytest.approx(4.0)


@pytest.mark.parametrize(("key", "column"), [("corrected", "corrected_bound"), ("tight", "tight_bound")])
def test_one_violation_and_a_bound_is_none(tables, key, column):
    tables["decomposition_audit"].loc[3, column] = 0.999 * tables["decomposition_audit"].loc[3, "divergence_exact"]
    found = claim(tables, key)
    assert (found.verdict, found.figures["violated"]) == ("does not hold", 1)


def test_an_estimated_divergence_violates_a_bound_only_beyond_its_interval(tables):
    frame = tables["decomposition_sweeps"]
    frame.loc[0, "corrected_bound"] = 0.995 * frame.loc[0, "divergence_exact"]
    assert verdict(tables, "corrected") == "holds"
    frame.loc[0, "corrected_bound"] = 0.98 * frame.loc[0, "divergence_exact"]  # the interval is 1 % wide
    assert verdict(tables, "corrected") == "does not hold"


def test_usage_counts_rounding_as_nothing_and_leaves_out_what_is_not_known():
    found = usage([1.0, -1.0, 1e-14, 2.0, math.nan], [1.0, 1.0, 0.0, 1.0, 1.0])
    assert found.shares == [1.0, 0.0, 0.0, 2.0]
    assert (found.violated, found.count, found.most) == (1, 4, 2.0)
    assert usage([-1.0], [-2.0]).violated == 1  # a bound below the teacher's gap
    assert usage([], []).verdict() == "not measured"


@pytest.mark.parametrize(("factor", "word"), [(1.2, "holds"), (3.0, "holds in part"), (30.0, "does not hold")])
def test_tightness_of_the_corrected_form(tables, factor, word):
    for name in ("decomposition_sweeps", "decomposition_audit"):
        frame = tables[name]
        frame["corrected_bound"] = factor * frame["divergence_exact"]
    assert verdict(tables, "twice") == word


@pytest.mark.parametrize("term", ["variance", "spread"])
def test_terms_must_move_from_every_setting_to_the_next(tables, term):
    key = {"variance": "variance_falls", "spread": "spread_rises"}[term]
    frame = tables["decomposition_sweeps"]
    own = frame.index[frame["dial"] == "inverse_temperature"]
    frame.loc[own[1], term] = frame.loc[own[2], term]
    assert verdict(tables, key) == "holds in part"
    frame.loc[own, term] = frame.loc[own, term].to_numpy()[::-1]
    assert verdict(tables, key) == "does not hold"


@pytest.mark.parametrize(("power", "word"), [(0.0, "holds"), (0.3, "holds in part"), (1.0, "does not hold")])
def test_flat_in_the_number_of_examples(tables, power, word):
    frame = tables["decomposition_sweeps"]
    own = frame["dial"] == "num_examples"
    frame.loc[own, "divergence_exact"] = frame.loc[own, "value"] ** power
    found = claim(tables, "flat")
    assert found.verdict == word
    assert found.figures["slope"] == pytest.approx(power)
    assert found.figure.estimate == pytest.approx(2.0**power)


def test_apx_has_to_vanish_at_full_rank(tables):
    frame = tables["decomposition_sweeps"]
    own = frame.index[frame["dial"] == "rank"]
    frame.loc[own[-1], "approximation"] = 0.01
    assert verdict(tables, "approximation_falls") == "holds in part"
    frame.loc[own, "approximation"] = [1.0, 1.5, 2.0]
    assert verdict(tables, "approximation_falls") == "does not hold"


def test_the_best_setting_by_bound_and_by_divergence(tables):
    frame = tables["decomposition_sweeps"]
    own = frame.index[frame["dial"] == "inverse_temperature"]
    columns = ["divergence_exact", "divergence_exact_lower", "divergence_exact_upper"]
    frame.loc[own[-1], columns] = [1.0, 0.9, 1.1]
    found = claim(tables, "same_best")
    assert (found.verdict, found.measured) == ("holds in part", "5 of 6 dials")
    assert "1 against 4 for the inverse temperature" in found.sentence
    frame.loc[own[-1], columns[2]] = 100.0  # not told apart
    assert verdict(tables, "same_best") == "holds"


def test_the_chain_rule_is_held_to_its_tolerance(tables):
    tables["processes"].loc[0, "chain_rule_error"] = 1e-8
    tables["decomposition_audit"].loc[0, "chain_rule_error"] = 1e-9
    assert verdict(tables, "chain_rule") == "does not hold"
    assert verdict(tables, "direct") == "does not hold"


@pytest.mark.parametrize("side", ["upper", "lower"])
def test_one_process_outside_refutes_a_bound(tables, side):
    frame = tables["processes"]
    assert claim(tables, side).figure.estimate == pytest.approx(USED)
    sign = 1.0 if side == "upper" else -1.0
    frame.loc[5, "gen_student"] = frame.loc[5, "gen_teacher"] + sign * 1.01 * (
        frame.loc[5, "upper_cumulant"] - frame.loc[5, "gen_teacher"]
    )
    found = claim(tables, side)
    assert (found.verdict, found.figures["violated"]) == ("does not hold", 1)  # the wider constants still hold
    assert found.figure.estimate == pytest.approx(1.01)


def test_the_standard_deviation_is_judged_apart(tables):
    frame = tables["processes"]
    frame["upper_std"] = frame["gen_teacher"] + 0.1 * (frame["upper_std"] - frame["gen_teacher"])
    assert verdict(tables, "std") == "does not hold"
    assert verdict(tables, "upper") == "holds"


def test_the_central_bound_may_be_violated_or_no_sharper(tables):
    frame = tables["processes"]
    frame["lower_central"] = frame["lower_cumulant"]
    assert verdict(tables, "sharper") == "does not hold"
    frame.loc[:3, "lower_central"] += 0.01
    assert verdict(tables, "sharper") == "holds in part"
    frame["lower_central"] = frame["gen_student"] + 0.1
    assert verdict(tables, "central") == "does not hold"


def test_the_sharpness_aware_bound(tables):
    frame = tables["sharpness"]
    frame.loc[:3, "gain"] = 0.1
    found = claim(tables, "sharpness_gain")
    assert (found.verdict, found.figures["better"]) == ("holds in part", 4)
    assert "4 of 24 at radius 0.1" in found.sentence
    frame["gain"] = 0.1
    assert verdict(tables, "sharpness_gain") == "holds"
    frame["upper"] = -10.0
    assert verdict(tables, "sharpness") == "does not hold"


def test_processes_with_wide_intervals_are_not_tight(tables):
    frame = tables["processes"]
    frame["tightness_cumulant"] = np.where(frame.index % 3, 5.0, 50.0)
    assert verdict(tables, "tightness") == "holds in part"
    frame["tightness_cumulant"] = np.where(frame.index % 3, 50.0, 5.0)
    for name in ("bounded_difference", "stability", "hoeffding"):
        frame[f"tightness_{name}"] = 100.0
    assert verdict(tables, "tightness") == "does not hold"


def test_networks_gaps_outside_some_intervals_and_all(tables):
    frame = tables["network_bounds"]
    scaled(frame, "gen_student_pseudo", 12.0)
    found = claim(tables, "inside_pseudo")
    assert found.verdict == "holds in part"
    assert found.figures["hoeffding"] == {"inside": 8, "count": 8}
    assert found.figures["cumulant"]["inside"] == 0
    scaled(frame, "gen_student_pseudo", 1000.0)
    assert verdict(tables, "inside_pseudo") == "does not hold"
    assert verdict(tables, "inside_true") == "holds"


def test_the_width_narrows_by_its_power(tables):
    found = claim(tables, "narrows")
    assert found.figure.estimate == pytest.approx(-0.5)
    assert found.figures["hoeffding"]["estimate"] == pytest.approx(0.0, abs=1e-9)
    frame = tables["network_bounds"]
    frame = frame[~frame["quantity"].str.endswith("hoeffding")]
    assert verdict({**tables, "network_bounds": frame}, "narrows") == "holds"
    tables["network_bounds"] = tables["network_bounds"][
        tables["network_bounds"]["quantity"].str.match("gen|div|.*hoeff")
    ]
    assert verdict(tables, "narrows") == "does not hold"


def test_a_divergence_that_grows_is_not_flat(tables):
    frame = tables["network_bounds"]
    scaled(frame, "divergence", np.tile(np.sqrt(SIZES), len(NOISES)))
    found = claim(tables, "flat_networks")
    assert found.verdict == "does not hold"
    assert found.figure.estimate == pytest.approx(0.5)


def test_a_lower_estimate_that_is_surely_too_high_is_said(tables):
    scaled(tables["network_bounds"], "divergence_lower_estimate", 4.04)  # 1 % above, and not surely
    assert verdict(tables, "below") == "holds"
    scaled(tables["network_bounds"], "divergence_lower_estimate", 1.5)
    assert verdict(tables, "below") == "does not hold"


def test_intervals_of_networks_must_be_tight_with_every_constant(tables):
    assert "it says nothing" in claim(tables, "tightness_networks").sentence
    frame = tables["network_bounds"]
    own = frame["quantity"].str.startswith("tightness")
    frame.loc[own, "estimate"] = 5.0
    assert verdict(tables, "tightness_networks") == "holds"
    frame.loc[own, "estimate"] = 50.0
    assert verdict(tables, "tightness_networks") == "does not hold"


def test_constants_without_an_interval_count_as_known(tables):
    frame = tables["network_bounds"]
    own = frame["quantity"] == "sigma_stability"
    frame.loc[own, ["lower", "upper"]] = math.nan
    found = claim(tables, "narrows").figures["stability"]
    assert found["estimate"] == pytest.approx(-0.5)
    assert found["upper"] - found["lower"] < 0.1


@pytest.mark.parametrize("gap", ["pseudo", "true"])
def test_langevin_gaps_are_judged_by_their_own_table(tables, gap):
    scaled(tables["langevin_bounds"], f"gen_student_{gap}", 1000.0)
    found = claim(tables, f"langevin_inside_{gap}")
    assert (found.verdict, found.ours) == ("does not hold", gap == "true")
    assert "with Langevin dynamics" in found.claim
    assert verdict(tables, f"inside_{gap}") == "holds"
