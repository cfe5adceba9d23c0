import numpy as np
import pandas as pd
import pytest

from kd_uncertainty.errors import UserError
from kd_uncertainty.language.arms import draws_of, make_plan, pilot_draw
from kd_uncertainty.language.options import LanguageArmOptions, LanguageStudentsOptions, PilotOptions
from kd_uncertainty.language.student_targets import pilot_targets, student_targets
from kd_uncertainty.language.targets import (
    StudentSide,
    choose,
    inverse_variance_mean,
    pilot_side,
    untrained_side,
    variance_of_mean,
)

PROMPTS, K, DIMENSIONS = 6, 5, 3
RNG = np.random.default_rng(0)
EMBEDDINGS = RNG.normal(size=(PROMPTS, K, DIMENSIONS)) * np.linspace(0.2, 2.0, PROMPTS)[:, None, None]
SIDE = StudentSide(RNG.normal(size=(PROMPTS, DIMENSIONS)), np.linspace(0.1, 4.0, PROMPTS))


def chosen_by_hand(method, embeddings, side):
    """Loops over prompts and responses, with the formulas as they are written."""
    count = len(embeddings[0])
    unbiased = [sum(np.sum((e - own.mean(0)) ** 2) for e in own) / max(count - 1, 1) for own in embeddings]
    kept = []
    for x, own in enumerate(embeddings):
        target = own.mean(0)
        if method == "variance_paper":
            v = sum(np.sum((e - own.mean(0)) ** 2) for e in own) / count
        if method == "variance_honest":
            v = ((count - 1) * unbiased[x] + 4 * np.mean(unbiased)) / (count + 3) / count
        if method != "averaging":
            weights = np.array([1 / v, 1 / side.variance[x]])
            weights /= weights.sum()
            target = weights[0] * own.mean(0) + weights[1] * side.mean[x]
        kept.append(int(np.argmin([np.linalg.norm(e - target) for e in own])))
    return kept


@pytest.mark.parametrize("method", ["averaging", "variance_paper", "variance_honest"])
def test_the_kept_response_is_the_nearest_to_the_target(method):
    kept, weights = choose(method, EMBEDDINGS, SIDE)
    assert kept.tolist() == [[place] for place in chosen_by_hand(method, EMBEDDINGS, SIDE)]
    assert weights.tolist() == [[1.0]] * PROMPTS


def test_the_three_targets_differ():
    kept = {m: tuple(choose(m, EMBEDDINGS, SIDE)[0][:, 0]) for m in ("averaging", "variance_paper", "variance_honest")}
    assert len(set(kept.values())) == 3


@pytest.mark.parametrize("method", ["multi", "token"])
def test_all_responses_are_kept_with_equal_weights(method):
    kept, weights = choose(method, EMBEDDINGS)
    assert kept.tolist() == [list(range(K))] * PROMPTS
    np.testing.assert_allclose(weights, 1 / K)


@pytest.mark.parametrize("method", ["averaging", "variance_paper", "variance_honest"])
def test_one_response_leaves_no_choice(method):
    assert choose(method, EMBEDDINGS[:, :1], SIDE)[0].tolist() == [[0]] * PROMPTS


def test_equally_near_responses_give_the_first_whatever_the_rounding():
    pair = RNG.normal(size=(200, 2, 16)).astype(np.float32)
    assert not choose("averaging", pair)[0].any()


def test_the_inverse_variance_mean_has_the_least_variance():
    """The variance w² v_T + (1 - w)² v_S of every other weight is larger."""
    teacher, student = 0.3, 1.2
    side = StudentSide(np.zeros((1, 1)), np.array([student]))
    weight = float(inverse_variance_mean(np.ones((1, 1)), np.array([teacher]), side)[0, 0])
    grid = np.linspace(0.0, 1.0, 2001)
    assert weight == pytest.approx(grid[np.argmin(grid**2 * teacher + (1 - grid) ** 2 * student)], abs=1e-3)
    assert weight == pytest.approx((1 / teacher) / (1 / teacher + 1 / student))


@pytest.mark.parametrize(("teacher", "student", "weight"), [(0.0, 0.0, 0.5), (0.0, 1.0, 1.0), (1.0, 0.0, 0.0)])
def test_a_variance_of_zero_is_certainty(teacher, student, weight):
    side = StudentSide(np.zeros((1, 2)), np.array([student]))
    assert inverse_variance_mean(np.ones((1, 2)), np.array([teacher]), side).tolist() == [[weight, weight]]


def test_the_variance_of_the_mean_is_unbiased_over_prompts_of_equal_variance():
    """Means of k draws vary by V / k; within 4.5 standard errors."""
    k, prompts = 3, 40_000
    draws = np.random.default_rng(1).normal(size=(prompts, k, 2)) * np.sqrt([1.0, 3.0])
    found = variance_of_mean(draws)
    assert abs(found.mean() - 4.0 / k) < 4.5 * found.std() / np.sqrt(prompts) * (k + 3) / (k - 1)


def test_sides_of_students():
    answers = RNG.normal(size=(3, PROMPTS, 4, DIMENSIONS))
    untrained = untrained_side(answers[0])
    np.testing.assert_allclose(untrained.mean, answers[0].mean(1))
    np.testing.assert_allclose(untrained.variance, [np.trace(np.cov(own.T, ddof=0)) for own in answers[0]])

    pilots, means = pilot_side(answers), answers.mean(2)
    np.testing.assert_allclose(pilots.mean, means.mean(0))
    own = np.array([np.trace(np.cov(means[:, x].T)) for x in range(PROMPTS)])
    np.testing.assert_allclose(pilots.variance, (2 * own + 4 * own.mean()) / 6 / 3)


@pytest.mark.parametrize("method", ["variance_paper", "variance_honest"])
def test_weighting_needs_what_is_known_of_students(method):
    with pytest.raises(UserError, match=f"method {method} needs what is known of students"):
        choose(method, EMBEDDINGS)


OPTIONS = LanguageStudentsOptions(
    arms=tuple(
        LanguageArmOptions(method=method, num_responses=(1, 3))
        for method in ("multi", "averaging", "variance_paper", "variance_honest")
    ),
    response_seeds=2,
    pilot=PilotOptions(num_students=2),
    num_answers=4,
)
TABLE = pd.DataFrame({"prompt": [0, 1, 2], "split": ["train", "test", "train"]})
DRAWS = 8


def answers_of(count, unit):
    keys = [(x, prompt, sample) for x in range(count) for prompt in TABLE["prompt"] for sample in range(4)]
    rows = pd.DataFrame(keys, columns=["student", "prompt", "sample"])
    return rows.assign(answer=[f"{unit}{x}/{prompt}/{sample}" for x, prompt, sample in keys])


def test_students_get_draws_of_their_own_response_level():
    """Tables in any order; every method against ``choose`` on the vectors of the texts."""
    responses = pd.DataFrame([(p, d, f"r{p}/{d}") for p in range(3) for d in range(DRAWS)],
                             columns=["prompt", "draw", "answer"])  # fmt: skip
    pilots = answers_of(3, "s")
    texts = [*responses["answer"], *pilots["answer"]]
    vectors = dict(zip(texts, RNG.normal(size=(len(texts), 4)).astype(np.float32), strict=True))
    embeddings = pd.DataFrame({"text": sorted(texts), "embedding": [vectors[text].tolist() for text in sorted(texts)]})
    plan = make_plan(OPTIONS, DRAWS)

    def shuffled(table):
        return table.sample(frac=1.0, random_state=3)

    found = student_targets(plan, TABLE[::-1], shuffled(responses), embeddings, shuffled(pilots), OPTIONS)
    assert set(found["prompt"]) == {0, 2}
    said = np.array([[[[vectors[f"s{s}/{p}/{m}"] for m in range(4)] for p in (0, 2)]] for s in range(3)])[:, 0]
    for (arm, level), own in found.groupby(["arm", "response_level"]):
        row = plan[(plan["arm"] == arm)].iloc[0]
        draws = list(draws_of(OPTIONS, level, row["num_responses"]))
        given = np.array([[vectors[f"r{p}/{d}"] for d in draws] for p in (0, 2)])
        side = {
            "variance_paper": untrained_side(said[0, :, : len(draws)]),
            "variance_honest": pilot_side(said[1:]),
        }.get(row["method"])
        kept, weights = choose(row["method"], given, side)
        assert own["prompt"].tolist() == np.repeat([0, 2], kept.shape[1]).tolist()
        assert own["draw"].tolist() == np.array(draws)[kept].ravel().tolist()
        np.testing.assert_allclose(own["weight"], weights.ravel())
        np.testing.assert_allclose(own.groupby("prompt")["weight"].sum(), 1.0)


def test_pilots_learn_one_response_that_no_student_sees():
    found = pilot_targets(TABLE, OPTIONS)
    assert list(found[["response_level", "prompt", "draw"]].itertuples(index=False, name=None)) == [
        (number, prompt, pilot_draw(OPTIONS, number)) for number in (1, 2) for prompt in (0, 2)
    ]
    assert (found["arm"] == 1).all()
