import re

import numpy as np
import pandas as pd
import pytest

from kd_uncertainty.errors import UserError
from kd_uncertainty.schemas import ARM_KEYS, VALUE_ARM_KEYS
from kd_uncertainty.uncertainty import (
    VarianceComponents,
    advice_table,
    advise,
    fit_curve,
    from_predictions,
    spend,
    value_components,
    variance_components,
)

from ..project import ROOT
from .test_tables import predictions_and_plan
from .test_values import tables_of, world

GRID = (1, 2, 4, 8)
COSTS = {"cost_per_response": 1.0, "cost_per_student": 20.0}


def exact_components(a, b, noise=0.0, num_bootstrap=200, teacher="t"):
    """Components whose curve is a/k + b; replicates scatter a and b by a log-normal factor each."""
    rng = np.random.default_rng(0)
    first, second = np.exp(noise * rng.standard_normal((2, num_bootstrap)))
    labels = ("linear", teacher, "noise", 0.1, "average", 1.0)
    keys = dict(zip([key for key in VALUE_ARM_KEYS if key != "num_responses"], labels, strict=True))
    rows, replicates = [], {}
    for arm, k in enumerate(GRID):
        for name, value, draws in (
            ("inter_unbiased", a / k + b, first * a / k + second * b),
            ("response", a / k, first * a / k),
        ):
            rows.append({"arm": arm, **keys, "num_responses": k, "split": "validation", "component": name})
            rows[-1] |= {"estimate": value, "lower": value, "upper": value}
            replicates[arm, "validation", name] = draws
    return VarianceComponents(pd.DataFrame(rows), replicates, dict.fromkeys(range(len(GRID)), 8), VALUE_ARM_KEYS)


def choices(a, b, c, t, budget):
    """Best (variance, cost, k, m) of each way to deploy, by trying everything."""
    best = {}
    for k in range(1, int(budget // c) + 1):
        for m in range(1, int(budget // t) + 1):
            if (own := m * (c * k + t)) <= budget:
                found = ((a / k + b) / m, own, k, m)
                best["ensemble", "own"] = min(best.get(("ensemble", "own"), found), found)
                if m == 1:
                    best["student", "own"] = min(best.get(("student", "own"), found), found)
            if (shared := c * k + m * t) <= budget:
                found = (a / k + b / m, shared, k, m)
                best["ensemble", "shared"] = min(best.get(("ensemble", "shared"), found), found)
    return best


@pytest.mark.parametrize(("a", "b"), [(1.0, 0.05), (0.2, 0.3), (5.0, 0.001)])
@pytest.mark.parametrize(("c", "t", "budget"), [(1.0, 20.0, 300.0), (2.5, 4.0, 61.0), (1.0, 20.0, 21.0)])
def test_the_table_by_brute_force(a, b, c, t, budget):
    found = advice_table(exact_components(a, b), cost_per_response=c, cost_per_student=t, budgets=[budget])
    expected = choices(a, b, c, t, budget)
    assert len(found) == 3
    for row in found.itertuples():
        variance, cost, k, m = expected[row.deployment, row.responses]
        assert (row.num_responses, row.num_students, row.cost) == (k, m, cost)
        assert [row.variance, row.variance_lower, row.variance_upper] == pytest.approx([variance] * 3, rel=1e-6)
        assert (row.num_responses_lower, row.num_responses_upper, row.same_choice_share) == (k, k, 1.0)
        assert row.limit == pytest.approx(b if row.deployment == "student" else 0.0, rel=1e-6)
        assert row.extrapolated == (k > 8)
        assert (row.cost_per_response, row.cost_per_student, row.budget, row.largest_measured) == (c, t, budget, 8)


def test_intervals_come_from_the_joint_replicates():
    components = exact_components(1.0, 0.05, noise=0.5)
    found = advice_table(components, **COSTS, budgets=[300.0], confidence=0.9)
    draws = np.stack([components.replicates[arm, "validation", "inter_unbiased"] for arm in range(4)], axis=1)
    fits = fit_curve(np.array(GRID), draws)
    for row in found.itertuples():
        way = (row.deployment, row.responses)
        a, b, k, m = fits.response_variance, fits.floor, row.num_responses, row.num_students
        variances = a / k + b / m if row.responses == "shared" else (a / k + b) / m
        bounds = np.quantile(variances, [0.05, 0.95])
        assert [row.variance_lower, row.variance_upper] == pytest.approx(bounds, rel=1e-9)
        chosen = np.array([choices(*pair, 1, 20, 300)[way][2] for pair in zip(a[:40], b[:40], strict=True)])
        # Forty of the two hundred replicates by brute force: the share and the bounds to a binomial's error.
        assert abs((chosen == k).mean() - row.same_choice_share) < 4 * 0.5 / np.sqrt(40)
        assert (chosen < row.num_responses_lower).mean() < 0.05 + 4 * 0.22 / np.sqrt(40)
        assert (chosen > row.num_responses_upper).mean() < 0.05 + 4 * 0.22 / np.sqrt(40)
        assert row.num_responses_lower <= k <= row.num_responses_upper
        assert row.variance_lower < row.variance < row.variance_upper


def test_without_a_response_part_one_response_is_enough_and_a_single_student_gains_nothing():
    small, large = (
        advice_table(exact_components(0.0, 0.3), **COSTS, budgets=[budget]).set_index(["deployment", "responses"])
        for budget in (21.0, 2100.0)
    )
    assert (large["num_responses"] == 1).all()
    student = ("student", "own")
    assert large.loc[student, "variance"] == small.loc[student, "variance"] == large.loc[student, "limit"]
    assert large.loc[student, "cost"] == 21.0
    assert large.loc[("ensemble", "own"), "num_students"] == 100
    assert large.loc[("ensemble", "shared"), "num_students"] == 104


def test_without_a_floor_one_student_takes_it_all():
    found = advice_table(exact_components(0.3, 0.0), **COSTS, budgets=[300.0])
    assert (found["num_students"] == 1).all()
    assert (found["num_responses"] == 280).all()
    assert (found["limit"] == 0.0).all()


def test_more_money_never_hurts_and_the_ends_are_the_cost_of_one_student_and_the_largest_budget():
    found = spend(exact_components(1.0, 0.05, noise=0.3), **COSTS, largest_budget=1000.0, num_budgets=12)
    for _, way in found.groupby(["deployment", "responses"]):
        assert (np.diff(way["variance"]) <= 0.0).all()
        assert way["budget"].iloc[0] == 21.0
        assert way["budget"].iloc[-1] == 1000.0
        assert (way["num_responses"].iloc[0], way["num_students"].iloc[0]) == (1, 1)
        assert (way["cost"] <= way["budget"] * (1 + 1e-12)).all()


def test_an_ensemble_is_never_worse_than_one_student():
    found = spend(exact_components(1.0, 0.05), **COSTS, largest_budget=500.0).pivot_table(
        index="budget", columns=["deployment", "responses"], values="variance"
    )
    assert (found["ensemble", "own"] <= found["student", "own"]).all()
    assert (found["ensemble", "shared"] <= found["student", "own"]).all()


def test_own_real_values_need_no_more_than_students_and_numbers():
    predictions, plan, _ = tables_of(world())
    crossed = advise(predictions, plan, **COSTS, budget=300.0)
    assert crossed.split == "validation"
    expected = advice_table(value_components(predictions, plan), **COSTS, budgets=[300.0])
    pd.testing.assert_frame_equal(crossed.table, expected)
    assert list(crossed.table)[:6] == ["model", "teacher", "target", "noise", "weighting", "mixing"]
    bare = plan[["student", "num_responses", "response_seed", "initialisation_seed", "order_seed"]]
    one = predictions[predictions["split"] == "validation"].drop(columns="split")
    alone = advise(one, bare, **COSTS, budget=300.0)
    columns = ["num_responses", "num_students", "variance", "variance_lower", "variance_upper"]
    pd.testing.assert_frame_equal(alone.table[columns], expected[columns])


def test_own_logits_work_alike():
    predictions, plan = predictions_and_plan()
    found = advise(predictions, plan, **COSTS, budget=300.0)
    components = variance_components(from_predictions(predictions, plan))
    assert advise(components, None, **COSTS, budget=300.0).table.equals(found.table)
    assert list(found.table)[:6] == [key for key in ARM_KEYS if key != "num_responses"]
    chosen = components.table.query("split == 'validation' and component == 'inter_unbiased'")
    curve = fit_curve(np.array(GRID), chosen["estimate"].to_numpy())
    expected = choices(float(curve.response_variance), float(curve.floor), 1, 20, 300)
    for row in found.table.itertuples():
        assert (row.num_responses, row.num_students) == expected[row.deployment, row.responses][2:]


def test_the_sentences_say_what_the_table_holds():
    one, own, shared = advise(exact_components(1.0, 0.05, 0.3), None, **COSTS, budget=300.0).sentences
    assert re.match(
        r"One student: train it on 280 responses for each example, cost 300 of 300; .*no budget brings it below 0\.05;",
        one,
    )
    assert "beyond the 8 responses that were measured" in one
    assert re.match(r"Ensemble with responses of their own: train \d students, each on \d+ responses for each ", own)
    assert re.search(r"\(\d+ to \d+ are plausible\)", own)
    assert re.match(r"Ensemble with shared responses: train \d students on the same \d+ responses", shared)


def test_each_curve_has_its_rows_and_no_curve_has_none():
    empty = advice_table(variance_components([]), **COSTS, budgets=[300.0])
    assert len(empty) == 0
    full = advice_table(exact_components(1.0, 0.1), **COSTS, budgets=[100.0, 200.0])
    assert len(full) == 6
    assert dict(empty.dtypes)["num_responses"] == dict(full.dtypes)["num_responses"] == np.dtype("int64")


def test_what_cannot_be_advised_is_named():
    predictions, plan, _ = tables_of(world())
    with pytest.raises(UserError, match="two or more numbers of responses"):
        advise(predictions, plan[plan["arm"] == 0], **COSTS, budget=300.0)
    with pytest.raises(UserError, match="need the plan"):
        advise(predictions, None, **COSTS, budget=300.0)
    with pytest.raises(UserError, match=r"no components of the split 'test' \(splits: train, validation\)"):
        advise(predictions, plan, **COSTS, budget=300.0, split="test")
    with pytest.raises(UserError, match="budget of 20 buys no student"):
        advise(exact_components(1.0, 0.1), None, **COSTS, budget=20.0)


def test_the_page_runs_and_prints_what_it_shows(capsys):
    page = (ROOT / "docs/response-budget.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    outputs = re.findall(r"^```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert blocks
    assert len(blocks) == len(outputs)
    names: dict[str, object] = {}
    for block, output in zip(blocks, outputs, strict=True):
        exec(block, names)
        assert capsys.readouterr().out == output
