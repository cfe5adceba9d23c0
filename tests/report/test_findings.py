"""Sentences carry the tables' numbers and turn when the numbers turn."""

import pandas as pd
import pytest

from kd_uncertainty.report import make_summary

from .study import FLOOR, RESPONSE_VARIANCE, Tables, budget_row, figure_of, put


def said(tables: Tables, task: dict, topic: str, **options) -> list[dict]:
    summary = make_summary(task, tables, **options)
    return [finding for finding in summary["findings"] if finding["topic"] == topic]


def set_nll(tables: Tables, estimate: float, half: float = 0.009, split: str = "validation", **keys) -> None:
    put(tables["arm_metrics"], estimate, half, metric="nll", split=split, **keys)


def test_every_sentence_begins_with_its_title_and_has_a_number(tables, task):
    for finding in make_summary(task, tables)["findings"]:
        assert finding["sentence"].startswith(finding["title"])
        assert any(character.isdigit() for character in finding["sentence"])
        assert "nan" not in finding["sentence"]


def test_the_choice_quotes_its_arm(tables, task):
    [choice] = said(tables, task, "choice")
    keys = {"teacher": "ensemble", "target": "exact"}
    for metric, split, form in (("nll", "validation", "{:.3f}"), ("nll", "test", "{:.3f}")):
        value = figure_of(tables["arm_metrics"], metric=metric, split=split, **keys)
        assert form.format(value) in choice["sentence"]
    accuracy = figure_of(tables["arm_metrics"], metric="accuracy", split="test", **keys)
    assert f"{100 * accuracy:.1f}%" in choice["sentence"]
    assert "over 9 students" in choice["sentence"]


def test_the_choice_uses_validation_where_test_disagrees(tables, task):
    set_nll(tables, 0.150, teacher="dropout", target="label", num_responses=32)
    set_nll(tables, 0.900, split="test", teacher="dropout", target="label", num_responses=32)
    set_nll(tables, 0.010, split="test", teacher="deterministic", target="exact")
    [choice] = said(tables, task, "choice")
    assert (choice["figures"]["teacher"], choice["figures"]["num_responses"]) == ("dropout", 32)
    assert "0.150" in choice["sentence"]
    assert "0.900" in choice["sentence"]


def test_the_control_is_chosen_where_it_is_best(tables, task):
    set_nll(tables, 0.100, target="one_hot")
    [choice] = said(tables, task, "choice")
    [control] = said(tables, task, "control")
    assert choice["title"] == "Train students on the data's own labels"
    assert control["title"] == "Distillation loses to the one-hot control"
    topics = [finding["topic"] for finding in make_summary(task, tables)["findings"]]
    assert topics[:3] == ["choice", "control", "responses"]


@pytest.mark.parametrize(
    ("nll", "half", "words", "side"),
    [
        (0.421, 0.009, "Distillation beats the one-hot control", "0.216 lower"),
        (0.206, 0.009, "Distillation is not measurably different from the one-hot control", "0.001 lower"),
        (0.150, 0.009, "Distillation loses to the one-hot control", "0.055 higher"),
    ],
)
def test_distillation_against_the_control(tables, task, nll, half, words, side):
    set_nll(tables, nll, half, target="one_hot")
    [finding] = said(tables, task, "control")
    assert finding["title"] == words
    assert side in finding["sentence"]


@pytest.mark.parametrize(
    ("shift", "title"),
    [
        (0.0, "The ensemble teacher pays"),
        (0.030, "The ensemble teacher makes no measurable difference"),
        (0.080, "The ensemble teacher does not pay"),
    ],
)
def test_a_bayesian_teacher_is_judged_by_the_interval_of_the_difference(tables, task, shift, title):
    frame = tables["arm_metrics"]
    worse = (frame["teacher"] == "ensemble") & (frame["metric"] == "nll") & (frame["split"] == "validation")
    frame.loc[worse, ["estimate", "lower", "upper"]] += shift
    finding = next(f for f in said(tables, task, "bayesian") if f["figures"]["teacher"] == "ensemble")
    assert finding["title"] == title
    cell = {"target": finding["figures"]["target"], "num_responses": finding["figures"]["num_responses"]}
    first, second = (
        figure_of(frame, metric="nll", split="validation", teacher=name, **cell)
        for name in ("ensemble", "deterministic")
    )
    assert finding["figures"]["validation_nll_difference"]["estimate"] == pytest.approx(first - second)
    assert f"{abs(first - second):.3f} {'lower' if first < second else 'higher'}" in finding["sentence"]


def test_test_figures_do_not_turn_the_judgement_of_teachers(tables, task):
    put(tables["arm_metrics"], 9.0, 0.1, teacher="ensemble", metric="nll", split="test")
    assert said(tables, task, "bayesian")[0]["title"] == "The ensemble teacher pays"


def test_the_tally_counts_the_shared_cells(tables, task):
    for k in (1, 2):
        value = figure_of(
            tables["arm_metrics"],
            metric="nll",
            split="validation",
            teacher="deterministic",
            target="label",
            num_responses=k,
        )
        set_nll(tables, value + 0.1, teacher="ensemble", target="label", num_responses=k)
    finding = said(tables, task, "bayesian")[0]
    assert finding["figures"]["cells"] == {"lower": 5, "higher": 2, "tied": 0}
    assert "7 shared cells" in finding["sentence"]


def test_no_deterministic_teacher_no_comparison(tables, task):
    frames = {name: frame for name, frame in tables.items() if name != "teacher_metrics"}
    for name in ("arm_metrics", "variance_components"):
        frames[name] = frames[name][frames[name]["teacher"] != "deterministic"]
    assert said(frames, task, "bayesian") == []
    assert len(said(frames, task, "bayesian", baseline="dropout")) == 1


def test_responses_to_buy_quote_the_budget_of_the_chosen_teacher(tables, task):
    found = said(tables, task, "responses")
    assert [f["figures"]["teacher"] for f in found] == ["ensemble", "ensemble"]
    budget = tables["response_budget"].query("teacher == 'ensemble' and target == 'posterior'").iloc[0]
    low, high = (int(budget[f"recommended_num_responses_{end}"]) for end in ("lower", "upper"))
    assert f"buy {budget['recommended_num_responses']} " in found[1]["sentence"]
    assert f"per example [{low}, {high}]" in found[1]["sentence"]
    assert "less than 25%" in found[1]["sentence"]
    assert "extrapolated" not in found[1]["sentence"]


def test_the_chosen_targets_budget_comes_first(tables, task):
    set_nll(tables, 0.150, teacher="ensemble", target="posterior", num_responses=8)
    assert said(tables, task, "responses")[0]["figures"]["target"] == "posterior"


def test_extrapolation_is_said(tables, task):
    label = said(tables, task, "responses")[0]
    assert label["verdict"] == "extrapolated"
    assert "extrapolated beyond the largest k that was measured, 32" in label["sentence"]
    assert f"a = {RESPONSE_VARIANCE['ensemble', 'label']:.4f}" in label["sentence"]
    assert f"b = {FLOOR:.5f}" in label["sentence"]


def test_an_open_interval_and_an_unbounded_number_are_said(tables, task):
    nothing = {"recommended_num_responses_upper": pd.NA}
    rows = [budget_row("ensemble", "label", 0.002, **nothing)]
    rows += [budget_row("ensemble", "posterior", 0.002, recommended_num_responses=pd.NA, **nothing)]
    tables["response_budget"] = pd.DataFrame(rows)
    label, posterior = said(tables, task, "responses")
    assert "no upper end" in label["sentence"]
    assert ", ∞]" in label["sentence"]
    assert (
        posterior["title"]
        == "For students that agree, no number of posterior draws from the ensemble teacher is enough"
    )


def test_no_fit_gives_the_reason(tables, task):
    for name in ("arm_metrics", "variance_components", "plan", "student_metrics"):
        frame = tables[name]
        tables[name] = frame[frame["num_responses"] == 1]
    tables["response_budget"] = tables["response_budget"].iloc[:0]
    [finding] = said(tables, task, "responses")
    assert finding["title"] == "No number of responses can be recommended"
    assert "only k = 1 was measured" in finding["sentence"]


def test_what_remains_is_driven_by_the_largest_source(tables, task):
    [finding] = said(tables, task, "sources")
    assert finding["title"] == "Initialisation drives what remains"
    assert f"{0.70 * FLOOR:.5f}" in finding["sentence"]
    assert "of the chosen arm (exact)" in finding["sentence"]
    assert "response" not in finding["figures"]


def test_a_source_that_is_not_above_zero_is_named(tables, task):
    set_nll(tables, 0.150, teacher="ensemble", target="label", num_responses=32)
    keys = {"teacher": "ensemble", "target": "label", "num_responses": 32}
    put(tables["variance_components"], 0.0001, 0.0002, component="response", **keys)
    assert "Not measurably above zero: response" in said(tables, task, "sources")[0]["sentence"]


def test_the_best_distilled_arm_is_split_too_where_the_control_is_chosen(tables, task):
    set_nll(tables, 0.100, target="one_hot")
    chosen, distilled = said(tables, task, "sources")
    assert "of the chosen arm (one-hot)" in chosen["sentence"]
    assert "of the best distilled arm (exact)" in distilled["sentence"]


def test_another_source_takes_over_when_it_is_larger(tables, task):
    put(tables["variance_components"], 0.0060, 0.0005, teacher="ensemble", target="exact", component="order")
    assert said(tables, task, "sources")[0]["title"] == "Order drives what remains"


def test_sources_that_overlap_are_not_ranked(tables, task):
    put(tables["variance_components"], 0.0016, 0.0005, teacher="ensemble", target="exact", component="order")
    [finding] = said(tables, task, "sources")
    assert finding["title"] == "Order and initialisation drive what remains, not told apart"


def test_no_source_above_zero_is_said(tables, task):
    for source in ("response", "initialisation", "order", "residual"):
        put(tables["variance_components"], 0.0005, 0.0010, teacher="ensemble", target="exact", component=source)
    assert said(tables, task, "sources")[0]["verdict"] == "none"


def test_rivals_are_counted_and_the_cheapest_is_named(tables, task):
    frame = tables["arm_metrics"]
    own = frame[(frame["metric"] == "nll") & (frame["split"] == "validation")]
    least = own["estimate"].min()
    tied = own[(own["estimate"] - least) <= (2**0.5) * 0.009]
    [finding] = said(tables, task, "rivals")
    assert set(finding["figures"]["tied"]) == set(tied["arm"]) - {own.loc[own["estimate"].idxmin(), "arm"]}
    cheapest = tied[~tied["target"].isin(["exact", "one_hot"])]["num_responses"].min()
    assert finding["figures"]["cheapest"]["num_responses"] == cheapest
    assert finding["title"] == f"{len(tied) - 1} of the 29 other arms cannot be told apart from the choice"


def test_a_clear_winner_is_said(tables, task):
    set_nll(tables, 0.050, 0.001, teacher="ensemble", target="exact")
    [finding] = said(tables, task, "rivals")
    assert finding["title"] == "None of the 29 other arms comes close"
    assert finding["figures"]["tied"] == []
