"""The tabular surrogate against sums over every sequence of answers, and the law it is there to prove."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from kd_uncertainty.errors import UserError
from kd_uncertainty.language import surrogate
from kd_uncertainty.language._surrogate_exact import outcome_probabilities, outcomes
from kd_uncertainty.language._surrogate_sampled import sampled_moments
from kd_uncertainty.language._surrogate_targets import aim_of, kept_answers, target_points
from kd_uncertainty.language._surrogate_world import draw_answers, draw_world, spread
from kd_uncertainty.language.options import SurrogateOptions
from kd_uncertainty.language.targets import choose

SMALL = {"num_prompts": 3, "num_answers": 3, "embedding_dim": 4, "num_responses": (1, 2, 3, 5), "num_students": 3000}
OPTIONS = SurrogateOptions(**SMALL)
WORLD = draw_world(OPTIONS)


@pytest.fixture(scope="module")
def table():
    return surrogate.run(OPTIONS)


def value(table, method, k, space, component):
    rows = table.query("method == @method and num_responses == @k and space == @space and component == @component")
    assert len(rows) == 1
    return rows.iloc[0]


def target(method, said, prompt):
    """The formulas of the methods for one student and prompt, of the embeddings of its k answers."""
    mean, k = said.mean(axis=0), len(said)
    if method == "averaging":
        return mean
    aim = aim_of(WORLD, method, k, OPTIONS)
    centre, student = aim.side.mean[prompt], aim.side.variance[prompt]
    teacher = np.sum((said - mean) ** 2) / k
    if method == "variance_honest":
        pooled = np.mean(1.0 - np.sum(np.einsum("pa,pad->pd", WORLD.teacher, WORLD.embeddings) ** 2, axis=1))
        teacher = (k * teacher + 4.0 * pooled) / (k + 3.0) / k
    weight = 0.5 if teacher + student < 1e-15 else student / (teacher + student)
    return weight * mean + (1 - weight) * centre


def of_all_sequences(method, k, space, prompt):
    """Intra, inter, total and squared bias of one prompt: every sequence of k answers, its chance and its student."""
    p, embeddings, points = WORLD.teacher[prompt], WORLD.embeddings[prompt], WORLD.points(space)[prompt]
    chances, students = [], []
    for sequence in map(list, product(range(len(p)), repeat=k)):
        chances.append(np.prod(p[sequence]))
        if method == "multi":
            students.append(np.bincount(sequence, minlength=len(p)) / k)
        else:
            near_to = target(method, embeddings[sequence], prompt)
            distances = np.round(np.linalg.norm(embeddings[sequence] - near_to, axis=1), 9)
            students.append(np.eye(len(p))[sequence[int(distances.argmin())]])
    chances, students = np.array(chances), np.array(students)
    means = students @ points
    centre = chances @ means
    intra = chances @ [q @ np.sum((points - q @ points) ** 2, axis=1) for q in students]
    inter = chances @ np.sum((means - centre) ** 2, axis=1)
    return {"intra": intra, "inter": inter, "total": intra + inter, "bias": np.sum((centre - p @ points) ** 2)}


@pytest.mark.parametrize("method", surrogate.METHODS)
def test_exact_is_the_sum_over_all_sequences(table, method):
    for k, space in product((1, 2, 3, 5), surrogate.SPACES):
        by_prompt = [of_all_sequences(method, k, space, prompt) for prompt in range(3)]
        for component in ("intra", "inter", "total", "bias"):
            expected = np.mean([each[component] for each in by_prompt])
            assert value(table, method, k, space, component)["exact"] == pytest.approx(expected, abs=1e-13)


def test_students_of_all_answers_obey_the_law_exactly(table):
    multi = table[table["method"] == "multi"]
    np.testing.assert_allclose(multi["exact"], multi["law"], atol=1e-13)
    for space in surrogate.SPACES:
        v = spread(WORLD.teacher, WORLD.points(space)).mean()
        for k in (1, 2, 3, 5):
            assert value(table, "multi", k, space, "intra")["law"] == pytest.approx((1 - 1 / k) * v, abs=1e-15)
            assert value(table, "multi", k, space, "inter")["law"] == pytest.approx(v / k, abs=1e-15)


def test_students_of_one_answer_have_no_variance_of_their_own(table):
    """Not even by rounding; two answers are equally near to their mean, and three are better than two."""
    kept = table[(table["method"] != "multi") & (table["component"] == "intra")]
    assert (kept[["exact", "estimate", "lower", "upper", "law"]] == 0.0).all(axis=None)
    for space in surrogate.SPACES:
        v = value(table, "multi", 1, space, "inter")["law"]
        inter = {k: value(table, "averaging", k, space, "inter")["exact"] for k in (1, 2, 3, 5)}
        assert inter[1] == pytest.approx(v, abs=1e-13)
        assert inter[2] == pytest.approx(v, abs=1e-13)
        assert v > inter[3] > inter[5] > v / 5


@pytest.mark.parametrize("method", ["averaging", "variance_paper", "variance_honest"])
def test_students_keep_what_students_of_the_study_would(method):
    """One at a time by ``choose``, which takes the variance that it shrinks towards from its own prompts."""
    said = draw_answers(WORLD.teacher, 3, 200, 5)
    shares = np.stack([(said == answer).mean(axis=2).T for answer in range(3)], axis=2)
    aim = aim_of(WORLD, method, 5, OPTIONS)
    for number, own in enumerate(said):
        embeddings = WORLD.embeddings[np.arange(3)[:, None], own]
        places, _ = choose(method, embeddings, aim.side)
        pooled = embeddings.var(axis=1, ddof=1).sum(axis=1).mean()
        near_to = target_points(aim._replace(pooled=pooled), shares[:, number : number + 1], WORLD.embeddings)
        kept = kept_answers(own[None], near_to, WORLD.embeddings)
        assert kept[0].tolist() == np.take_along_axis(own, places, axis=1)[:, 0].tolist()


def test_simulation_agrees_with_enumeration(table):
    """Within 4.5 standard errors; the bias of students that have none is distributed like chi-squared, hence 7."""
    errors = (table["upper"] - table["lower"]) / (2 * 1.96)
    gaps = (table["estimate"] - table["exact"]).abs()
    assert (gaps <= errors * np.where(table["component"] == "bias", 7.0, 4.5) + 1e-15).all()


def test_columns_and_what_cannot_be_enumerated():
    options = SurrogateOptions(num_prompts=2, num_answers=8, num_responses=(2, 12), num_students=50)
    table = surrogate.run(options)
    assert list(table) == [
        "method", "num_responses", "space", "component", "exact", "estimate", "lower", "upper", "law"
    ]  # fmt: skip
    assert len(table) == 4 * 2 * 2 * 4
    assert table["exact"].isna().tolist() == (table["num_responses"] == 12).tolist()
    assert table[["estimate", "lower", "upper"]].notna().all(axis=None)
    pd.testing.assert_frame_equal(table, surrogate.run(options))


def test_too_few_students_are_refused():
    with pytest.raises(UserError, match="num_students is 2"):
        surrogate.run(SurrogateOptions(num_students=2))


def test_outcomes_are_all_counts_once():
    counts = outcomes(5, 3)
    assert {tuple(row) for row in counts} == {c for c in product(range(6), repeat=3) if sum(c) == 5}
    assert len(counts) == 21
    np.testing.assert_allclose(outcome_probabilities(counts, WORLD.teacher).sum(axis=1), 1.0, atol=1e-14)


def test_draws_have_the_probabilities_they_should():
    rows = 20_000
    answers = draw_answers(WORLD.teacher, 9, rows, 2)
    shares = np.stack([(answers == answer).mean(axis=(0, 2)) for answer in range(3)], axis=1)
    errors = np.sqrt(WORLD.teacher * (1.0 - WORLD.teacher) / (2 * rows))
    assert np.abs((shares - WORLD.teacher) / errors).max() < 4.5


def test_spread_is_the_trace_of_the_covariance():
    p, points = WORLD.teacher[0], WORLD.embeddings[0]
    covariance = np.einsum("a,ai,aj->ij", p, points, points) - np.outer(p @ points, p @ points)
    assert spread(p, points) == pytest.approx(np.trace(covariance), abs=1e-14)
    assert spread(p, np.eye(3)) == pytest.approx(1.0 - np.sum(p**2), abs=1e-15)


def test_estimates_of_a_sample_are_unbiased():
    """Means over many samples of four students, whose intervals are wide, against the exact values."""
    k, samples, size = 3, 4000, 4
    answers = draw_answers(WORLD.teacher, 11, samples * size, k)
    students = np.stack([(answers == answer).mean(axis=2) for answer in range(3)], axis=2)
    found = [
        sampled_moments(students[start : start + size], WORLD.teacher, WORLD.embeddings, 0.95)
        for start in range(0, samples * size, size)
    ]
    expected = {
        name: np.mean([of_all_sequences("multi", k, "embedding", prompt)[name] for prompt in range(3)])
        for name in ("intra", "inter", "total", "bias")
    }
    for name, exact in expected.items():
        estimates = np.array([each[name].estimate for each in found])
        assert abs(estimates.mean() - exact) < 4.5 * estimates.std(ddof=1) / np.sqrt(samples)
