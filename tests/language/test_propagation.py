"""Variances without bias by enumeration, metrics by hand, and intervals that hold what they promise."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kd_uncertainty.errors import UserError
from kd_uncertainty.language._answer_metrics import SHARES, _left_out, _level_parts, systematic_noise
from kd_uncertainty.language._answer_variance import STATISTICS, Interval, collect, components
from kd_uncertainty.language.measures import label_counts, label_moments, point_moments
from kd_uncertainty.language.options import LanguagePropagationOptions
from kd_uncertainty.language.propagation import analyse, texts_of
from kd_uncertainty.report.language.arms import read_study
from kd_uncertainty.schemas import language as schemas
from kd_uncertainty.uncertainty.components import anova_components, crossed_design
from kd_uncertainty.uncertainty.resampling import Multipliers

from .answers_of import Study, embeddings, make_answers, make_plan, make_prompts, make_responses

RNG = np.random.default_rng


def design_of(*shape: int):
    return crossed_design(np.array(list(np.ndindex(*shape))))


def estimates(points: np.ndarray, *shape: int) -> dict[str, float]:
    """Components from points (prompts, students, samples, dimensions)."""
    spread = collect(map(point_moments, points), *points.shape[:3])
    found = components(spread, design_of(*shape), Multipliers(20, 0), "train", 0.95)
    return {name: figure.estimate for name, figure in found.items()}


def figures(frame: pd.DataFrame, **keys) -> dict[str, float]:
    column = "component" if "component" in frame else "metric"
    for key, value in keys.items():
        frame = frame[frame[key] == value]
    assert frame[column].is_unique
    return dict(zip(frame[column], frame["estimate"], strict=True))


# A student's answer is one of two equally likely points, which follow from what its levels drew, of two as likely
# things each: (response, initialisation) -> two points. All outcomes, as so many prompts, have the expectation as mean.
SAYS = RNG(0).standard_normal((2, 2, 2, 3))


def test_components_of_a_crossing_are_free_of_bias():
    drawn = np.array(list(itertools.product((0, 1), repeat=4)))
    said = np.array(list(itertools.product((0, 1), repeat=8))).reshape(-1, 2, 2, 2)
    response = np.stack([np.repeat(drawn[:, [0]], 2, axis=1), np.repeat(drawn[:, [1]], 2, axis=1)], axis=1)
    initialisation = np.repeat(drawn[:, None, 2:], 2, axis=1)
    law = SAYS[response, initialisation]  # (outcomes, responses, initialisations, points, dimensions)
    points = law[:, None, np.arange(2)[:, None, None], np.arange(2)[None, :, None], said]
    found = estimates(points.reshape(-1, 4, 2, 3), 2, 2, 1)
    means = SAYS.mean(axis=2)

    def spread(values: np.ndarray) -> float:
        flat = values.reshape(-1, values.shape[-1])
        return float(np.square(flat - flat.mean(axis=0)).sum(axis=1).mean())

    truth = {
        "intra": np.mean([spread(SAYS[i, j]) for i, j in np.ndindex(2, 2)]),
        "inter": spread(means),
        "inter_response": spread(means.mean(axis=1)),
        "inter_initialisation": spread(means.mean(axis=0)),
        "inter_order": math.nan,
        "total": spread(SAYS),
    }
    assert found == {name: pytest.approx(truth[name], abs=1e-12, nan_ok=True) for name in STATISTICS}


ATOMS = np.array(["a", "a", "b", "c"], dtype=object)
"""The teacher's answers, equally likely."""


def atoms_in(space: str) -> np.ndarray:
    """Where the atoms lie."""
    table = embeddings(["a", "b", "c"]).set_index("text")["embedding"]
    return np.stack([table[text] for text in ATOMS]).astype(float) if space == "embedding" else np.eye(3)[[0, 0, 1, 2]]


def variance_of(points: np.ndarray) -> float:
    """Of one atom."""
    return float(np.square(points - points.mean(axis=0)).sum(axis=1).mean())


def students_of_two() -> np.ndarray:
    """All that two students of two responses each may say in two samples, (outcomes, students, samples) of atoms."""
    responses = np.array(list(itertools.product(range(4), repeat=4))).reshape(-1, 1, 2, 2)
    samples = np.array(list(itertools.product(range(2), repeat=4))).reshape(1, -1, 2, 2)
    return np.where(samples == 0, responses[..., :1], responses[..., 1:]).reshape(-1, 2, 2)


@pytest.mark.parametrize("space", ["embedding", "answers"])
def test_students_that_fit_two_responses_follow_the_law_without_bias(space):
    points = atoms_in(space)
    variance, found = variance_of(points), estimates(points[students_of_two()], 2, 1, 1)
    assert found["intra"] == pytest.approx(variance / 2.0, abs=1e-12)
    assert found["inter"] == found["inter_response"] == pytest.approx(variance / 2.0, abs=1e-12)
    assert found["total"] == pytest.approx(variance, abs=1e-12)


def test_tables_hold_these_estimates_beside_the_law():
    said = RNG(3).permutation(students_of_two())[:16]
    teacher = list(itertools.product(ATOMS, repeat=2))  # 16 prompts are all outcomes of two draws
    study = Study(
        make_prompts([None] * 16),
        make_responses(teacher),
        make_plan((2, 1, 1)),
        make_answers(ATOMS[said].swapaxes(0, 1)),
    )
    frame = study.analysed(num_bootstrap=20).variance
    for space in ("embedding", "answers"):
        points, own = atoms_in(space), figures(frame, method="multi", space=space)
        want = estimates(points[said], 2, 1, 1)
        assert {name: own[name] for name in STATISTICS} == pytest.approx(want, abs=1e-12, nan_ok=True)
        assert own["teacher"] == pytest.approx(variance_of(points), abs=1e-12)
        assert own["law_intra"] == own["law_inter"] == pytest.approx(own["teacher"] / 2.0, abs=1e-12)
        assert figures(frame, method="teacher", space=space) == {"teacher": own["teacher"]}


def test_the_total_is_that_of_answers_of_different_students():
    points = RNG(1).standard_normal((5, 4, 3, 2))
    found = estimates(points, 4, 1, 1)
    apart = np.square(points[:, :, None, :, None] - points[:, None, :, None, :]).sum(axis=-1).mean(axis=(0, 3, 4)) / 2.0
    assert found["total"] == pytest.approx(apart[~np.eye(4, dtype=bool)].mean(), abs=1e-12)
    assert found["total"] == pytest.approx(found["intra"] + found["inter"], abs=1e-12)


def test_with_ddof_0_total_is_intra_and_inter():
    points = RNG(2).standard_normal((5, 4, 3, 2))
    spread = collect(map(point_moments, points), *points.shape[:3])
    intra = spread.shares @ spread.variance.mean(axis=1) * 2.0 / 3.0
    inter = spread.shares @ np.trace(spread.gram, axis1=1, axis2=2) / 4.0
    flat = points.reshape(5, -1, 2)
    assert intra + inter == pytest.approx(flat.var(axis=1).sum(axis=-1).mean(), abs=1e-12)


def test_without_sampling_noise_components_are_those_of_analysis_of_variance():
    means = RNG(3).standard_normal((7, 12, 1, 4))
    found = estimates(means.repeat(2, axis=2), 3, 2, 2)
    known = anova_components(means[:, :, 0].swapaxes(0, 1), np.array(list(np.ndindex(3, 2, 2))))
    assert found["intra"] == 0.0
    names = ("inter", "inter_response", "inter_initialisation", "inter_order")
    for name, other in zip(names, ("inter_unbiased", "response", "initialisation", "order"), strict=True):
        assert found[name] == pytest.approx(known[other], abs=1e-12)


def bounded(points: np.ndarray) -> dict[str, Interval]:
    """Components of one prompt, over which nothing is resampled, from points (students, samples, dimensions)."""
    students, samples, _ = points.shape
    spread = collect([point_moments(points)], 1, students, samples)
    return components(spread, design_of(students, 1, 1), Multipliers(20_000, 0), "train", 0.95)


def test_intervals_of_one_prompt_are_students_t_over_students():
    points = RNG(8).standard_normal((10, 6, 3))
    variance, found = point_moments(points).variance, bounded(points)["intra"]
    mean, error = variance.mean(), variance.std(ddof=1) / math.sqrt(10.0)
    factor = math.exp(stats.t.ppf(0.975, 9) * error / mean)
    # the standard error of a quantile of 20,000 replicates is 2 % of theirs
    assert found.upper == pytest.approx(mean * factor, rel=0.03)
    assert found.lower == pytest.approx(mean / factor, rel=0.03)


def test_two_students_whose_difference_is_noise_leave_an_open_interval():
    points = np.array([0.0, math.sqrt(2.0)])[:, None, None] + np.array([0.0, 2.0])[:, None]
    found, noisy = bounded(points)["inter"], 1.0
    assert found.estimate == pytest.approx(0.0, abs=1e-12)  # the variance of a mean of two answers is 1 as well
    # the deviation of a variance with two degrees of freedom is 1 on the logarithmic scale
    assert found.upper == pytest.approx(found.estimate + noisy * math.expm1(1.96), rel=0.03)
    assert found.lower == pytest.approx(found.estimate + noisy * math.expm1(-1.96), rel=0.03)


def test_a_student_that_raises_intra_and_inter_widens_the_total():
    distance = np.arange(1.0, 11.0)[:, None, None] * np.where(np.arange(10) % 2, 1.0, -1.0)[:, None, None]
    found = bounded(distance * (1.0 + np.array([-0.5, 0.5])[:, None]))
    width = {name: found[name].upper - found[name].lower for name in ("intra", "inter", "total")}
    assert width["total"] > max(width["intra"], width["inter"])


def test_one_student_has_no_inter_and_no_error():
    found = estimates(RNG(4).standard_normal((3, 1, 4, 2)), 1, 1, 1)
    assert found["intra"] > 0.0
    assert all(math.isnan(value) for name, value in found.items() if name != "intra")


# Four students of one arm, two prompts to learn and one held out, four answers each.
SAID = [
    [["Rome", "Rome", "Rome", "rome!"], ["7", "8", "7", "8"], ["x", "y", "z", "x"]],
    [["Rome", "Rome", "Rome", "Paris"], ["7", "7", "8", "8"], ["x", "y", "z", "w"]],
    [["Rome", "Rome", "Oslo", "Oslo"], ["7", "7", "7", "7"], ["x", "x", "x", "x"]],
    [["Paris", "Paris", "Paris", "Rome"], ["8", "7", "7", "8"], ["y", "y", "y", "y"]],
]
STUDY = Study(
    make_prompts(["Paris", "7", None], ["train", "train", "test"]),
    make_responses([["Rome", "Rome", "Paris", "Paris", "Rome"], ["8", "7", "7", "8", "8"], ["y", "y", "x", "x", "y"]]),
    make_plan((4, 1, 1)),
    make_answers(SAID),
)


def test_metrics_by_hand():
    metrics = STUDY.analysed(num_bootstrap=20).metrics
    found = figures(metrics, method="multi", split="train")
    assert found["accuracy"] == pytest.approx((4 + 10) / 32)
    assert found["modal_accuracy"] == pytest.approx((1 + 3) / 8)
    assert found["systematic_noise"] == pytest.approx(1 / 2)  # three of four agree on Rome
    assert found["hallucination"] == pytest.approx(2 / 8)
    assert found["keeps_modal"] == pytest.approx((3 + 1) / 8)
    assert found["entropy_token"] == pytest.approx(0.5)
    assert "accuracy" not in figures(metrics, method="multi", split="test")
    assert figures(metrics, method="multi", split="test")["keeps_modal"] == pytest.approx(1 / 4)
    teacher = figures(metrics, method="teacher", split="train")
    assert teacher["accuracy"] == pytest.approx(1 / 2)  # of the first four draws
    assert teacher["modal_accuracy"] == pytest.approx(0.0)
    assert teacher["systematic_noise"] == pytest.approx(1.0)
    assert "keeps_modal" not in teacher
    assert "entropy_token" not in teacher
    other = STUDY._replace(prompts=make_prompts(["Rome", "7", None], ["train", "train", "test"]))
    found = figures(other.analysed(num_bootstrap=20).metrics, method="multi", split="train")
    assert found["modal_accuracy"] == pytest.approx(6 / 8)
    assert found["hallucination"] == pytest.approx(1 / 8)  # of the fourth student, which is sure of Paris
    agreed = figures(STUDY.analysed(num_bootstrap=20, agreement=0.8).metrics, method="multi", split="train")
    assert agreed["systematic_noise"] == 0.0


def test_similarity_is_the_cosine_to_the_reference():
    table = embeddings(["Rome", "rome!", "Oslo", "Paris", "7", "8"]).set_index("text")["embedding"]
    references = ("Paris", "7")
    cosines = np.array(
        [
            [
                np.mean([table[text] @ table[reference] for text in own])
                for own, reference in zip(said[:2], references, strict=True)
            ]
            for said in SAID
        ]
    )
    metrics = STUDY.analysed(num_bootstrap=20, confidence=0.5).metrics
    row = metrics.query("method == 'multi' and metric == 'similarity'").iloc[0]
    assert row["estimate"] == pytest.approx(cosines.mean(), abs=1e-6)
    parts = np.array([cosines.mean(axis=1).var(ddof=1) / 4.0, cosines.mean(axis=0).var(ddof=1) / 2.0])
    degrees = parts.sum() ** 2 / (parts**2 / [3.0, 1.0]).sum()
    half = stats.t.ppf(0.75, degrees) * math.sqrt(parts.sum())
    assert [row["lower"], row["upper"]] == pytest.approx([cosines.mean() - half, cosines.mean() + half], abs=1e-6)


def test_shares_have_wilsons_interval_of_the_effective_size():
    right = np.array([[0, 2], [1, 2], [0, 4], [3, 2]]) / 4.0  # (students, prompts)
    parts = np.array([right.mean(axis=1).var(ddof=1) / 4.0, right.mean(axis=0).var(ddof=1) / 2.0])
    quantile = stats.t.ppf(0.75, parts.sum() ** 2 / (parts**2 / [3.0, 1.0]).sum())
    share = right.mean()
    metrics = STUDY.analysed(num_bootstrap=20, confidence=0.5).metrics
    row = metrics.query("method == 'multi' and metric == 'accuracy'").iloc[0]
    assert row["lower"] < share < row["upper"]
    for bound in (row["lower"], row["upper"]):  # where the score test of a share just does not reject it
        error = bound * (1.0 - bound) * parts.sum() / (share * (1.0 - share))
        assert (share - bound) ** 2 == pytest.approx(quantile**2 * error, rel=1e-9)


def test_without_references_what_needs_none_is_measured():
    study = STUDY._replace(prompts=make_prompts([None] * 3, ["train", "train", "test"]))
    found = set(study.analysed(num_bootstrap=20).metrics["metric"])
    assert found == {"keeps_modal", "entropy_token", "entropy_answers", "semantic_entropy", "num_clusters"}


def test_all_right_of_few_is_not_certain():
    said = np.full((3, 12, 4), "a", dtype=object)
    study = Study(make_prompts(["a"] * 12), make_responses(said[0]), make_plan((3, 1, 1)), make_answers(said))
    row = study.analysed(num_bootstrap=20).metrics.query("method == 'multi'").set_index("metric").loc["accuracy"]
    assert row["estimate"] == row["upper"] == 1.0
    assert row["lower"] == pytest.approx(12.0 / (12.0 + 2.200985**2), abs=1e-6)  # Student's t of 11 degrees


def test_systematic_noise_without_each_level():
    counts = np.array([[3, 1], [3, 1], [0, 4], [1, 3]])
    right = np.array([False, True])
    found = systematic_noise(counts, np.array([0, 0, 1, 1]), right, (4, 1, 1), 0.6)
    # together 7 : 9, right; without one of the last two 7 : 5 and 6 : 6, wrong and two of three agree
    assert found.tolist() == [0.0, 0.0, 0.0, 1.0, 1.0]


def test_the_jackknife_of_a_mean_is_its_squared_standard_error():
    values = RNG(7).standard_normal(6)
    table = values.reshape(3, 2, 1)
    without = [np.delete(table, level, axis=axis).mean() for axis in (0, 1) for level in range(table.shape[axis])]
    np.testing.assert_allclose(_left_out(np.array(without), (3, 2, 1)), _level_parts(values, (3, 2, 1)), atol=1e-12)


def test_the_order_of_rows_does_not_matter():
    plan = make_plan((2, 2, 1))
    study = STUDY._replace(plan=plan)
    mixed = study._replace(
        plan=plan.sample(frac=1.0, random_state=1),
        student_answers=study.student_answers.sample(frac=1.0, random_state=2),
    )
    for one, other in zip(study.analysed()[:3], mixed.analysed()[:3], strict=True):
        pd.testing.assert_frame_equal(one, other)
    found = figures(study.analysed().variance, method="multi", split="train", space="answers")
    assert not math.isnan(found["inter_initialisation"])


def test_the_report_reads_every_table():
    study = STUDY._replace(plan=make_plan((2, 1, 1), [("multi", 1), ("averaging", 4)]))
    found = study.analysed()
    schemas.answer_variance(found.variance)
    schemas.answer_metrics(found.metrics)
    schemas.answer_frequencies(found.frequencies)
    schemas.sample_answers(found.samples)
    read = read_study({"answer_variance": found.variance, "answer_metrics": found.metrics})
    assert [(arm.method, arm.num_responses) for arm in read.arms] == [("multi", 1), ("averaging", 4)]
    assert read.splits == ["train", "test"]
    assert read.spread("train", "answers").measured
    assert read.teacher.metric("accuracy", "train").measured
    assert read.single is not None
    assert read.single.component("law_intra", "train", "embedding") == (0.0, 0.0, 0.0)
    bounded = pd.concat([found.variance, found.metrics]).dropna(subset="estimate")
    assert (bounded["lower"] <= bounded["estimate"]).all()
    assert (bounded["estimate"] <= bounded["upper"]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"student_answers": STUDY.student_answers.drop(5)}, "student 0 has 3 answers to prompt 1"),
        ({"student_answers": STUDY.student_answers.query("student != 2")}, "student 2 has 0 answers"),
        ({"student_answers": STUDY.student_answers.query("sample == 0")}, "2 or more"),
        ({"plan": STUDY.plan.assign(response_seed=0)}, "arm 0 of the plan.*full crossing"),
    ],
)
def test_what_is_missing_is_named(change, message):
    with pytest.raises(UserError, match=message):
        STUDY._replace(**change).analysed()


def test_a_text_without_an_embedding_is_named():
    table = embeddings([text for text in texts_of(*STUDY[:2], STUDY.student_answers) if text != "Oslo"])
    with pytest.raises(UserError, match="'Oslo'"):
        analyse(*STUDY[:2], table, *STUDY[2:], LanguagePropagationOptions())


def test_texts_to_embed_are_all_that_was_said_and_is_right():
    prompts = make_prompts(["Vienna", None])
    assert texts_of(prompts, make_responses([["b"]]), make_answers([[["a", "b"]]])) == ["Vienna", "a", "b"]


def simulated(rng: np.random.Generator, prompts: int, students: int, k: int, mixed: bool) -> np.ndarray:
    """Labels (prompts, students, 8) of students of k responses; a mixed student prefers its first one as it likes."""
    chances = rng.dirichlet(np.ones(4), prompts)
    drawn = (rng.random((prompts, students, k, 1)) >= chances.cumsum(axis=1)[:, None, None, :-1]).sum(axis=-1)
    own = np.eye(4)[drawn]
    liking = rng.random(students)[:, None] if mixed else 1.0
    law = liking * own.mean(axis=2) + (1.0 - liking) * own[:, :, 0]
    return (rng.random((prompts, students, 8, 1)) >= law.cumsum(axis=2)[:, :, None, :-1] - 1e-12).sum(axis=-1)


def coverage(worlds: int, prompts: int, students: int, k: int, mixed: bool = False) -> dict[str, float]:
    """How often 95 % intervals hold the truth, over prompts and students that are drawn anew."""
    variance = 1.0 - 2.0 / 5.0
    square = 1.0 / k + (1.0 - 1.0 / k) / 3.0 if mixed else 1.0 / k  # of the weights of responses, a mean over students
    truth = {"intra": (1.0 - square) * variance, "inter": square * variance, "total": variance}
    rng, design = RNG(5), design_of(students, 1, 1)
    held = dict.fromkeys(truth, 0)
    for world in range(worlds):
        labels = simulated(rng, prompts, students, k, mixed)
        spread = collect((label_moments(label_counts(one)) for one in labels), *labels.shape)
        found = components(spread, design, Multipliers(200, world), "train", 0.95)
        for name, value in truth.items():
            held[name] += found[name].lower <= value <= found[name].upper
    return {name: count / worlds for name, count in held.items()}


def test_intervals_hold_the_truth():
    assert min(coverage(100, 12, 4, 4).values()) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize(("prompts", "students"), [(12, 4), (36, 4), (36, 10)])
def test_coverage(prompts, students, mixed):
    # 600 worlds: standard error of a coverage of .95 is .009. Four students that differ in kind, with as much weight
    # on one of them as here, are too few for any jackknife: 0.88.
    found = coverage(600, prompts, students, 4, mixed)
    assert min(found.values()) >= (0.86 if mixed and students == 4 else 0.92)


@pytest.mark.slow
def test_coverage_of_accuracy():
    rng, held = RNG(6), []
    for _ in range(200):
        said = np.array(["a", "b", "c", "d"], dtype=object)[simulated(rng, 20, 4, 4, mixed=False)]
        study = Study(
            make_prompts(["a"] * 20),
            make_responses(said[:, 0]),
            make_plan((4, 1, 1)),
            make_answers(said.swapaxes(0, 1)),
        )
        frame = study.analysed(num_bootstrap=20).metrics.query("method == 'multi'").set_index("metric")
        held.append(frame["lower"]["accuracy"] <= 0.25 <= frame["upper"]["accuracy"])
        bounds = frame.loc[sorted(SHARES), ["lower", "upper"]].to_numpy()
        assert ((bounds >= 0.0) & (bounds <= 1.0)).all()
    assert np.mean(held) >= 0.91
