"""The summary: JSON without NaN, the checklist in order, advice that follows from the figures."""

from __future__ import annotations

import json
import math

import pytest

from kd_uncertainty.report.bounds import make_summary
from kd_uncertainty.report.bounds.design import Item, agreements, best_turns, dials_of, read_checklist
from kd_uncertainty.report.bounds.networks import all_proxies, narrowest, read_cells
from kd_uncertainty.report.bounds.proxies import is_certificate, phrase, proxies_in

from .study import DIVERGENCE, SCALES, SIZES, TURNS, WORLDS


def finding(summary, topic: str):
    (found,) = [one for one in summary["findings"] if one["topic"] == topic]
    return found


def test_it_is_json_and_counts_its_verdicts(tables, task):
    summary = json.loads(json.dumps(make_summary(task, tables, confidence=0.9), allow_nan=False))
    assert summary["study"] == "bounds"
    assert summary["confidence"] == 0.9
    assert sum(summary["verdicts"].values()) == len(summary["claims"]) == 27
    assert summary["verdicts"]["holds"] == 23
    assert summary["counts"]["random linear-Gaussian worlds"] == WORLDS
    assert summary["counts"]["training sets a cell of networks"] == 24


def test_the_checklist_begins_with_the_bound_as_a_whole(tables, task):
    items = make_summary(task, tables)["checklist"]
    assert [item["term"] for item in items] == ["total", "spread", "approximation", "bias", "variance", "covariance"]
    shares = [item["share"] for item in items[1:]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1.0)
    assert [item["advice"] for item in items] == ["yes", "yes", "yes", "yes", "no: the bound rises", "yes"]


def test_what_to_change_first_is_the_turn_that_lowers_the_bound_most(tables, task):
    summary = make_summary(task, tables)
    first = finding(summary, "first")
    assert summary["recommendation"][0] == first["sentence"]
    assert first["title"] == "First turn the rank r of the student from 2 to 3"
    assert "from 22.7 to 16.7 nats (26% less)" in first["sentence"]
    assert "narrows the interval for the student’s gap to × 0.86" in first["sentence"]
    assert "The largest term of the bound is Spread, 53% of it" in first["sentence"]


def test_other_dials_come_in_order_of_what_they_save(tables, task):
    following = finding(make_summary(task, tables), "next")
    # The setting with the least bound, and not that with the least Spread (0.5).
    assert following["figures"] == {"inverse_temperature": 1.0, "prior_precision": 0.1}
    assert "to 18.7 nats; the prior precision λ from 1 to 0.1, mostly for Bias" in following["sentence"]


def test_fewer_examples_are_not_advised(tables, task):
    frame = tables["decomposition_checklist"]
    own = frame["term"] == "bias"
    frame.loc[own, ["dial", "from", "to"]] = ["num_examples", 16.0, 4.0]
    summary = make_summary(task, tables)
    (item,) = [item for item in summary["checklist"] if item["term"] == "bias"]
    assert (item["advice"], item["width"]) == ("no: the interval widens", pytest.approx(2.0))
    warned = finding(summary, "not")["sentence"]
    assert "the number of examples n from 16 to 4 lowers Bias" in warned
    assert "widens to × 2.00, as σ grows with fewer examples" in warned


def test_a_term_that_no_dial_lowers(tables):
    frame = tables["decomposition_checklist"]
    frame.loc[frame["term"] == "bias", ["dial", "from", "to"]] = ["none", math.nan, math.nan]
    (item,) = [one for one in read_checklist(frame, tables["decomposition_sweeps"]) if one.term == "bias"]
    assert (item.dial, item.advice, item.helps) == ("", "no dial lowers it", False)


def test_widths_that_are_not_known_do_no_harm():
    item = Item("spread", 0.5, "rank", 1.0, 2.0, 10.0, 5.0)
    assert (item.helps, item.advice) == (True, "yes")


def test_the_form_as_printed_is_warned_of(tables, task):
    said = finding(make_summary(task, tables), "form")["sentence"]
    assert said.startswith(
        "Do not use the compact form as printed: it is not a bound. It lies below the divergence in 11"
    )
    assert "it would choose 4 instead of 1 for the inverse temperature β" in said
    for name in ("decomposition_sweeps", "decomposition_audit"):
        tables[name]["literal_form"] = tables[name]["corrected_bound"]
    assert finding(make_summary(task, tables), "form")["verdict"] == "holds"


def test_vacuous_and_informative_intervals(tables, task):
    found = finding(make_summary(task, tables), "interval")
    assert found["verdict"] == "vacuous"
    assert "with the cumulant function as σ, an estimate that certifies nothing" in found["sentence"]
    frame = tables["network_bounds"]
    frame.loc[frame["quantity"] == "lower_hoeffding", "estimate"] = -0.1
    assert finding(make_summary(task, tables), "interval")["verdict"] == "informative"


def test_doubts_stand_apart_from_the_advice(tables, task):
    summary = make_summary(task, tables)
    doubt = finding(summary, "agreement")["sentence"]
    assert doubt.startswith("For 6 of 6 dials")
    assert doubt not in summary["recommendation"]


def test_dials_and_their_best_settings(tables):
    sweeps = tables["decomposition_sweeps"]
    assert dials_of(sweeps) == list(TURNS)
    best = {one.dial: one.bound for one in agreements(sweeps)}
    assert best == {
        "inverse_temperature": 1.0,
        "rank": 3.0,
        "num_examples": 4.0,
        "label_noise": 2.0,
        "prior_precision": 0.1,
        "student_sharpness": 1.0,
    }
    marked = sweeps[sweeps["best"]].set_index("dial")["value"]
    assert {name: marked[name] for name in best if name != "num_examples"} == {
        name: value for name, value in best.items() if name != "num_examples"
    }
    turns = best_turns(sweeps)
    assert [turn.dial for turn in turns[:2]] == ["rank", "inverse_temperature"]
    assert turns[1].term == "spread"


def test_unknown_dials_are_kept_by_their_names(tables):
    sweeps = tables["decomposition_sweeps"].replace({"dial": {"rank": "my_dial"}})
    assert dials_of(sweeps)[-1] == "my_dial"
    assert best_turns(sweeps)[0].turn == "my dial from 2 to 3"


def test_cells_of_networks(tables):
    cells = read_cells(tables["network_bounds"])
    assert [one.num_examples for one in cells] == [*SIZES, *SIZES]
    assert all_proxies(cells) == ["cumulant", "bounded_difference", "stability", "hoeffding", "std"]
    assert narrowest(cells) == "cumulant"  # the standard deviation is narrower, and no constant
    width = cells[0].width("cumulant")
    assert width.estimate == pytest.approx(2 * SCALES["cumulant"] / math.sqrt(50) * math.sqrt(2 * DIVERGENCE))
    # 5 % of σ and half of 5 % of K, on the log scale.
    assert math.log(width.upper / width.estimate) == pytest.approx(math.hypot(math.log(1.05), math.log(1.05) / 2))
    assert cells[0].used("cumulant", "gen_student_pseudo") == pytest.approx(0.05 * 2 / 0.5 / math.sqrt(2 * DIVERGENCE))
    assert math.isnan(cells[0].used("unheard_of", "gen_student_pseudo"))


def test_constants_and_their_kinds():
    assert proxies_in(["sigma_mine", "sigma_std", "sigma_cumulant", "upper_stability"]) == ["cumulant", "std", "mine"]
    assert is_certificate("hoeffding", exact=False)
    assert not is_certificate("cumulant", exact=False)
    assert is_certificate("cumulant", exact=True)
    assert not is_certificate("std", exact=True)
    assert phrase("my_own") == "my own"


def test_without_tables(task):
    summary = make_summary(task, {})
    assert summary["recommendation"] == []
    assert summary["checklist"] == []
    assert summary["caveats"] == []
    assert summary["verdicts"]["not measured"] == len(summary["claims"]) == 27
