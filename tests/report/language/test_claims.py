"""Verdicts follow from the tables: each is turned by turning the figures."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.language.claims import make_claims
from kd_uncertainty.report.language.claims.cells import together

from .study import SPREAD, put

EXPECTED = dict.fromkeys(
    (
        "surrogate_intra",
        "surrogate_inter",
        "surrogate_exact",
        "surrogate_nothing_within",
        "surrogate_slower",
        "surrogate_weighting",
        "surrogate_bias",
        "single_suppressed",
        "single_substantial",
        "single_nothing",
        "law_intra",
        "law_inter",
        "intra_rises",
        "inter_falls",
        "rate",
        "single_surer",
        "entropy_rises",
        "averaging_lowers",
        "averaging_slower",
        "averaging_removes",
        "variance_paper",
        "variance_honest",
        "token_keeps",
        "token_lowers",
        "keeps_modal",
        "repeats",
        "systematic_noise",
        "hallucination",
    ),
    "holds",
)
NEEDS = {
    "surrogate": {key for key in EXPECTED if key.startswith("surrogate")},
    "answer_metrics": {"single_surer", "entropy_rises", "keeps_modal", "repeats", "systematic_noise", "hallucination"},
}
NEEDS["answer_variance"] = set(EXPECTED) - NEEDS["surrogate"] - NEEDS["answer_metrics"]
"""The claims that cannot be judged without a table."""


def verdicts(tables) -> dict[str, str]:
    return {claim.key: claim.verdict for claim in make_claims(tables)}


def claim(tables, key: str):
    return next(one for one in make_claims(tables) if one.key == key)


def turn(tables, share: float, **keys) -> None:
    """Set a component of trained prompts to a share of V in both spaces."""
    for space in ("embedding", "answers"):
        value = share * SPREAD["train", space]
        put(tables["answer_variance"], value, 0.05 * value + 1e-4, split="train", space=space, **keys)


def test_all_hold_where_all_is_as_claimed(tables):
    assert verdicts(tables) == EXPECTED


def test_the_papers_claims_and_ours_are_told_apart(tables):
    paper = {one.key for one in make_claims(tables) if not one.ours}
    assert paper == {
        "surrogate_weighting",
        "single_suppressed",
        "single_substantial",
        "intra_rises",
        "inter_falls",
        "rate",
        "single_surer",
        "entropy_rises",
        "averaging_lowers",
        "variance_paper",
        "systematic_noise",
        "hallucination",
    }


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_a_claim_whose_table_is_missing_is_not_measured(tables, name):
    found = verdicts({**tables, name: pd.DataFrame()})
    assert {key for key, word in found.items() if word == "not measured"} == NEEDS[name]
    assert set(verdicts({**tables, name: tables[name].drop(columns="estimate")}).values()) >= {"not measured"}


MULTI = {"method": "multi"}
TURNED = [
    ("single_suppressed", "does not hold", 1.3, MULTI | {"num_responses": 1, "component": "intra"}),
    ("single_nothing", "does not hold", 0.4, MULTI | {"num_responses": 1, "component": "intra"}),
    ("single_substantial", "does not hold", 0.1, MULTI | {"num_responses": 1, "component": "inter"}),
    ("law_intra", "does not hold", 0.3, MULTI | {"component": "intra"}),
    ("law_inter", "does not hold", 0.01, MULTI | {"component": "inter"}),
    ("intra_rises", "does not hold", 0.01, MULTI | {"num_responses": 8, "component": "intra"}),
    ("intra_rises", "holds in part", 0.01, MULTI | {"num_responses": 2, "component": "intra"}),
    ("inter_falls", "does not hold", 1.2, MULTI | {"num_responses": 8, "component": "inter"}),
    ("rate", "holds in part", 0.5, MULTI | {"num_responses": 8, "component": "inter"}),
    ("averaging_lowers", "does not hold", 1.0, {"method": "averaging", "component": "inter"}),
    ("averaging_lowers", "holds in part", 1.0, {"method": "averaging", "num_responses": 2, "component": "inter"}),
    ("averaging_slower", "does not hold", 0.05, {"method": "averaging", "component": "inter"}),
    ("averaging_removes", "does not hold", 0.95, {"method": "averaging", "component": "intra"}),
    ("variance_paper", "does not hold", 0.95, {"method": "variance_paper", "component": "inter"}),
    ("variance_honest", "does not hold", 0.95, {"method": "variance_honest", "component": "inter"}),
    ("token_keeps", "does not hold", 0.01, {"method": "token", "num_responses": 1, "component": "intra"}),
    # As many cases the other way:
    ("token_lowers", "does not hold", 0.2, {"method": "token", "num_responses": 8, "component": "inter"}),
]


@pytest.mark.parametrize(("key", "verdict", "share", "keys"), TURNED)
def test_a_claim_on_variances_turns_with_its_figure(tables, key, verdict, share, keys):
    turn(tables, share, **keys)
    assert verdicts(tables)[key] == verdict


METRICS = [
    ("single_surer", "does not hold", 1.5, MULTI | {"num_responses": 1}, ("entropy_answers", "entropy_token")),
    ("single_surer", "holds in part", 1.5, MULTI | {"num_responses": 1, "split": "test"}, ("entropy_token",)),
    ("entropy_rises", "does not hold", 0.1, MULTI, ("entropy_answers",)),
    ("keeps_modal", "does not hold", 0.6, MULTI, ("keeps_modal",)),
    ("repeats", "holds in part", 0.9, MULTI | {"num_responses": 8}, ("accuracy",)),
    ("systematic_noise", "does not hold", 0.9, {"num_responses": 8}, ("systematic_noise",)),
    ("hallucination", "holds in part", 0.35, MULTI | {"num_responses": 8, "split": "train"}, ("hallucination",)),
]


@pytest.mark.parametrize(("key", "verdict", "value", "keys", "metrics"), METRICS)
def test_a_claim_on_metrics_turns_with_its_figure(tables, key, verdict, value, keys, metrics):
    for metric in metrics:
        put(tables["answer_metrics"], value, 0.03, metric=metric, **keys)
    assert verdicts(tables)[key] == verdict


def test_a_curve_that_is_the_same_at_every_k_was_measured(tables):
    put(tables["answer_metrics"], 1.0, 0.0, method="multi", metric="keeps_modal")
    assert claim(tables, "keeps_modal").measured == "the same at every k (trained prompts)"


def test_more_students_above_the_teacher_than_not_refute_that_mistakes_are_repeated(tables):
    put(tables["answer_metrics"], 0.3, 0.03, method="teacher", metric="accuracy", split="train")
    put(tables["answer_metrics"], 0.1, 0.03, method="teacher", metric="accuracy", split="test")
    found = claim(tables, "repeats")
    assert found.verdict == "does not hold"
    assert "more in 30" in found.sentence


def test_the_law_is_relative_to_v_of_its_space_and_split(tables):
    found = claim(tables, "law_inter")
    assert found.figures["count"] == 8
    assert found.figures["median_ratio"] == pytest.approx(1.0)
    assert found.figures["all answers, k = 4, embeddings"]["estimate"] == pytest.approx(1.0)
    frame = tables["answer_variance"]
    frame.loc[frame["split"] == "test", ["estimate", "lower", "upper"]] *= 3.0
    assert claim(tables, "law_inter").figures["median_ratio"] == pytest.approx(1.0)


def test_the_law_is_computed_where_the_table_lacks_it(tables):
    frame = tables["answer_variance"]
    tables["answer_variance"] = frame[~frame["component"].str.startswith("law_")]
    assert verdicts(tables) == EXPECTED


def test_negative_unbiased_variances_are_judged_and_not_lost(tables):
    frame = tables["answer_variance"]
    put(frame, -0.01, 0.02, method="averaging", component="inter", split="train")
    assert claim(tables, "averaging_lowers").figure == Estimate(
        pytest.approx(-0.02), pytest.approx(-0.03 / 0.4749, rel=1e-3), pytest.approx(0.01 / 0.4749, rel=1e-3)
    )
    assert verdicts(tables)["averaging_slower"] == "does not hold"


def test_simulation_that_misses_enumeration_is_an_error(tables):
    frame = tables["surrogate"]
    own = frame["component"] == "inter"
    frame.loc[own, ["estimate", "lower", "upper"]] *= 1.5
    found = verdicts(tables)
    assert found["surrogate_exact"] == "does not hold"
    assert found["surrogate_inter"] == "does not hold"
    assert found["surrogate_intra"] == "holds"


def test_exact_figures_of_the_surrogate_decide_where_there_are_some(tables):
    frame = tables["surrogate"]
    averaging = (frame["method"] == "averaging") & (frame["component"] == "inter")
    frame.loc[averaging, "exact"] = frame.loc[averaging, "exact"] / 100.0
    assert verdicts(tables)["surrogate_slower"] == "does not hold"
    assert verdicts(tables)["surrogate_weighting"] == "does not hold"
    weighted = frame["method"].isin(["variance_paper", "variance_honest"]) & (frame["component"] == "bias")
    assert claim(tables, "surrogate_bias").measured == "7.5% (weighting, published, k = 2, embeddings)"
    frame.loc[weighted, "exact"] = 0.0
    assert verdicts(tables)["surrogate_bias"] == "does not hold"
    frame["exact"] = math.nan
    assert verdicts(tables) == EXPECTED | {"surrogate_exact": "not measured"}
    inside = (frame["method"] == "averaging") & (frame["component"] == "intra")
    frame.loc[inside, ["estimate", "lower", "upper"]] = [0.1, 0.09, 0.11]
    assert verdicts(tables)["surrogate_nothing_within"] == "does not hold"


def test_without_references_only_what_needs_some_is_left_out(tables):
    frame = tables["answer_metrics"]
    names = ("accuracy", "modal_accuracy", "systematic_noise", "hallucination", "similarity")
    tables["answer_metrics"] = frame[~frame["metric"].isin(names)]
    lost = {key for key, word in verdicts(tables).items() if word == "not measured"}
    assert lost == {"repeats", "systematic_noise", "hallucination"}


def test_several_verdicts_make_one():
    assert together(["holds", "not measured", "holds"]) == "holds"
    assert together(["holds", "does not hold"]) == "holds in part"
    assert together(["does not hold"]) == "does not hold"
    assert together(["not measured"]) == "not measured"
