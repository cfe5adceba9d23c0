"""Targets against the distributions that they are drawn from."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from kd_uncertainty.errors import UserError
from kd_uncertainty.population import targets
from kd_uncertainty.population.plan import make_plan
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.targets import (
    TargetMaker,
    check_soft_labels,
    deal_draws,
    exact_probabilities,
    label_target,
    posterior_draws,
    posterior_target,
    sample_labels,
)

from .worlds import block, crossing

EXAMPLES, DRAWS, CLASSES = 6, 24, 4
SEEDS = [derive_seed(0, "test", i) for i in range(2000)]


@pytest.fixture(scope="module")
def logits():
    return (2 * np.random.default_rng(0).normal(size=(EXAMPLES, DRAWS, CLASSES))).astype(np.float32)


@pytest.fixture(scope="module")
def plan():
    arms = (
        block("one_hot"),
        block("exact", temperature=(1.0, 3.0)),
        block("label", num_responses=(1, 3)),
        block("posterior", num_responses=(1, 4), temperature=(2.0,)),
    )
    return make_plan(crossing(*arms, responses=6), {"dropout": 64})


@pytest.fixture(scope="module")
def maker(plan, logits):
    return TargetMaker({"dropout": logits}, np.arange(EXAMPLES) % CLASSES, CLASSES, deal_draws(plan))


def test_exact_probabilities_are_the_mean_softmax(logits):
    for temperature in (1.0, 3.0):
        expected = np.mean([softmax(logits[:, draw] / temperature, axis=-1) for draw in range(DRAWS)], axis=0)
        np.testing.assert_allclose(exact_probabilities(logits, temperature), expected, rtol=1e-5)


@pytest.mark.parametrize("num_responses", [1, 2, 8])
def test_label_targets_have_the_mean_and_variance_of_multinomial_frequencies(logits, num_responses):
    """E = p, and Var over response seeds = p (1 - p) / k, each within five standard errors."""
    p = exact_probabilities(logits)
    found = np.stack([label_target(p, seed, num_responses) for seed in SEEDS])
    variance = p * (1 - p) / num_responses
    assert (np.abs(found.mean(0) - p) < 5 * np.sqrt(variance / len(SEEDS))).all()
    centred = (found - p) ** 2
    errors = centred.std(0) / np.sqrt(len(SEEDS))
    assert (np.abs(centred.mean(0) - variance) < 5 * errors + 1e-12).all()


def test_label_targets_of_different_examples_and_seeds_are_uncorrelated():
    p = np.full((3, 2), 0.5)
    first = np.stack([label_target(p, seed, 1)[:, 0] for seed in SEEDS])
    assert np.abs(np.corrcoef(first.T)[np.triu_indices(3, 1)]).max() < 4 / np.sqrt(len(SEEDS))
    assert abs(np.corrcoef(first[:-1, 0], first[1:, 0])[0, 1]) < 4 / np.sqrt(len(SEEDS))


def test_frequencies_converge_to_the_mean_probabilities(logits):
    p, count = exact_probabilities(logits), 20_000
    errors = np.sqrt(p * (1 - p) / count)
    assert (np.abs(label_target(p, SEEDS[0], count) - p) < 5 * errors + 1e-12).all()


def test_labels_are_nested_in_responses_and_in_examples(logits):
    p = exact_probabilities(logits)
    labels = sample_labels(p, SEEDS[0], 5)
    assert np.array_equal(sample_labels(p, SEEDS[0], 3), labels[:, :3])
    assert np.array_equal(sample_labels(p[:2], SEEDS[0], 5), labels[:2])


def test_impossible_classes_are_never_sampled():
    p = np.zeros((20_000, 4), dtype=np.float32)
    p[:, [1, 2]] = np.float32([0.1, 0.3])  # neither first nor last, and rounding leaves a gap below one
    assert set(np.unique(sample_labels(p, 1, 4))) == {1, 2}


def test_draws_of_different_response_seeds_are_disjoint_and_nested_in_responses(plan):
    blocks = deal_draws(plan)
    assert (len(blocks.levels), blocks.width, blocks.num_draws) == (6, 4, DRAWS)
    dealt = [posterior_draws(DRAWS, blocks, seed, 4) for seed in blocks.levels]
    assert sorted(np.concatenate(dealt)) == list(range(DRAWS))
    for seed, draws in zip(blocks.levels, dealt, strict=True):
        for fewer in (1, 2, 3):
            assert np.array_equal(posterior_draws(DRAWS, blocks, seed, fewer), draws[:fewer])


def test_draws_are_spread_over_the_cache(plan):
    """Neighbouring cached draws, such as of one ensemble member, do not all go to one response seed."""
    blocks = deal_draws(plan)
    dealt = [sorted(posterior_draws(DRAWS, blocks, seed, 4)) for seed in blocks.levels]
    assert dealt != [list(range(start, start + 4)) for start in range(0, DRAWS, 4)]


def test_posterior_targets_average_their_own_draws(logits, plan):
    blocks = deal_draws(plan)
    seed = list(blocks.levels)[2]
    draws = posterior_draws(DRAWS, blocks, seed, 3)
    expected = np.mean([softmax(logits[:, draw] / 2.0, axis=-1) for draw in draws], axis=0)
    np.testing.assert_allclose(posterior_target(logits, blocks, seed, 3, 2.0), expected, rtol=1e-5)


def test_posterior_targets_vary_over_responses_as_draws_without_replacement(plan):
    """Var of the mean of k of M exchangeable draws is sigma^2 / k; over random caches, within standard errors."""
    blocks, generator = deal_draws(plan), np.random.default_rng(1)
    cache = generator.normal(size=(4000, DRAWS, 2)).astype(np.float32)
    single = softmax(cache.astype(float), axis=-1)[..., 0].var()
    first, second = list(blocks.levels)[:2]
    for k in (1, 4):
        pair = np.stack([posterior_target(cache, blocks, seed, k, 1.0)[:, 0] for seed in (first, second)])
        variance = pair[0].var()
        assert abs(variance - single / k) < 5 * single / k * np.sqrt(2 / 4000)
        assert abs(np.corrcoef(pair)[0, 1]) < 4 / np.sqrt(4000)


def test_each_kind_of_target_is_what_it_says(plan, maker, logits):
    p = exact_probabilities(logits)
    for row in plan.itertuples():
        expected = {
            "one_hot": lambda row: np.eye(CLASSES)[maker.labels],
            "exact": lambda row: exact_probabilities(logits, row.temperature),
            "label": lambda row: label_target(p, row.response_seed, row.num_responses),
            "posterior": lambda row: posterior_target(
                logits, maker.blocks, row.response_seed, row.num_responses, row.temperature
            ),
        }[row.target](row)
        assert np.array_equal(maker.target(row), expected)


def test_targets_of_many_students_are_those_of_each(plan, maker):
    rows = list(plan.itertuples())
    tables, table_of = maker.targets(rows)
    assert (tables.dtype, table_of.dtype) == (np.float32, np.int64)
    np.testing.assert_allclose(tables.sum(-1), 1, rtol=1e-6)
    for row, table in zip(rows, table_of, strict=True):
        assert np.array_equal(tables[table], maker.target(row).astype(np.float32))
    some, some_of = maker.targets(rows[5:9])
    assert np.array_equal(some[some_of], tables[table_of[5:9]])


def test_students_with_the_same_target_share_one_table(plan, maker):
    """One for the data's labels, two exact ones, and 6 response seeds times 2 numbers of labels and 2 of draws."""
    tables, table_of = maker.targets(list(plan.itertuples()))
    assert len(tables) == 1 + 2 + 6 * 2 + 6 * 2
    assert len(np.unique(tables, axis=0)) == len(tables)
    assert list(dict.fromkeys(table_of)) == list(range(len(tables)))
    once, same = maker.targets(list(plan[plan["target"] == "exact"].iloc[:4].itertuples()))
    assert (len(once), same.tolist()) == (1, [0, 0, 0, 0])


def test_settings_that_no_target_depends_on_make_no_new_tables(plan, maker):
    """Mixing is the loss's; sampled labels have no temperature, exact means no responses, one-hot labels no teacher."""
    rows = plan.groupby("target", sort=False).head(1)
    others = {
        "one_hot": {"teacher": "another", "mixing": 0.5},
        "exact": {"num_responses": 3, "response_seed": 1},
        "label": {"temperature": 4.0, "mixing": 0.2},
        "posterior": {"mixing": 0.2, "order_seed": 8},
    }
    for row in rows.itertuples():
        pair = pd.DataFrame([row._asdict(), row._asdict() | others[row.target]])
        assert maker.targets(list(pair.itertuples(index=False)))[1].tolist() == [0, 0], row.target


def test_blocks_of_examples_change_no_bit(logits, monkeypatch):
    draws = np.array([3, 0, 7])
    expected = softmax(logits[:, draws].astype(float) / 3, axis=-1).mean(axis=1)
    for size in (1, 2 * len(draws) * CLASSES, 1 << 18):
        monkeypatch.setattr(targets, "_BLOCK", size)
        assert np.array_equal(exact_probabilities(logits, 3.0, draws), expected)


def test_too_few_draws_are_refused_with_the_number_that_is_needed(plan):
    check_soft_labels(plan, {"dropout": 24})
    with pytest.raises(
        UserError, match=r"need 24 draws of teacher 'dropout' \(6 response seeds x 4 .*num_draws .*to 24 or more"
    ):
        check_soft_labels(plan, {"dropout": 23})


def test_a_teacher_without_a_posterior_is_refused_for_posterior_targets_only(plan):
    with pytest.raises(UserError, match=r"'dropout' has a single cached draw .* use target: exact or label"):
        check_soft_labels(plan, {"dropout": 1})
    check_soft_labels(plan[plan["target"] != "posterior"], {"dropout": 1})


def test_one_response_level_of_one_draw_is_enough_of_a_posterior():
    plan = make_plan(crossing(block("posterior"), responses=1), {"a": 8})
    check_soft_labels(plan, {"a": 2})


def test_missing_responses_are_refused(plan):
    with pytest.raises(UserError, match="needs responses of teacher 'dropout'; known: other"):
        check_soft_labels(plan, {"other": 64})
    check_soft_labels(plan[plan["target"] == "one_hot"], {})


def test_a_plan_without_posterior_arms_deals_nothing():
    empty = deal_draws(pd.DataFrame({"target": ["label"], "response_seed": [1], "num_responses": [3]}))
    assert empty.num_draws == 0
