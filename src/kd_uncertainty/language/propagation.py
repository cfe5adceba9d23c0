"""How the teacher's uncertainty reaches students: the analysis of all answers of a study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kd_uncertainty.errors import UserError
from kd_uncertainty.language._answer_codes import (
    Answered,
    Lexicon,
    in_groups,
    judge,
    make_lexicon,
    student_answered,
    teacher_answered,
    texts_of,
)
from kd_uncertainty.language._answer_metrics import Known, metrics
from kd_uncertainty.language._answer_variance import Interval, collect, components, mean_variance
from kd_uncertainty.language.answers import Match
from kd_uncertainty.language.frequencies import TEACHER, Source, answer_frequencies, sample_answers
from kd_uncertainty.language.measures import Moments, label_counts, label_moments, modal_labels, point_moments
from kd_uncertainty.language.options import LanguagePropagationOptions
from kd_uncertainty.schemas import SEED_COLUMNS
from kd_uncertainty.uncertainty.components import CrossedDesign, crossed_design
from kd_uncertainty.uncertainty.resampling import Multipliers

__all__ = ["Analysis", "analyse", "texts_of"]

SPACES = ("embedding", "answers")
UNKNOWN = Interval(np.nan, np.nan, np.nan)


class Analysis(NamedTuple):
    """Tables of the analysis.

    Attributes:
        variance: method, num_responses, split, space, component, estimate, lower, upper.
        metrics: method, num_responses, split, metric, estimate, lower, upper.
        frequencies: of ``frequencies.answer_frequencies``.
        samples: of ``frequencies.sample_answers``.
    """

    variance: pd.DataFrame
    metrics: pd.DataFrame
    frequencies: pd.DataFrame
    samples: pd.DataFrame


class _Arm(NamedTuple):
    """Students of one arm with their answers by split, in the order of the design."""

    method: str
    num_responses: int
    design: CrossedDesign
    answered: Mapping[str, Answered]


def analyse(
    prompts: pd.DataFrame,
    responses: pd.DataFrame,
    answer_embeddings: pd.DataFrame,
    plan: pd.DataFrame,
    student_answers: pd.DataFrame,
    options: LanguagePropagationOptions,
    *,
    match: Match = "exact",
) -> Analysis:
    r"""Measure the variance of answers, mistakes and entropies of the teacher and of the students of every arm.

    Variances are traces of covariances, means over prompts, without bias: "intra" of one student's answers, "inter" of
    students' mean answers (without the noise of sampling them), their sum "total", and the components of inter that
    response, initialisation and order seeds have (NaN where there is one level). Beside them stand "teacher", V of one
    response, and what students of all k responses should have: law_intra = (1 - 1/k) V, law_inter = V / k (Cui & Pei,
    arXiv 2601.18909). Answers are points in two spaces: their embeddings, and a corner each for normalised answers.

    The metrics are means over prompts and students. Entropies and clusters depend on how many answers are looked at, so
    the teacher's draws are taken in groups of as many as a student gave, each group as one speaker; what is left of the
    last group is left out. accuracy: share of right answers. modal_accuracy: share of right modal answers.
    systematic_noise (ours): share of prompts where the modal answer of all students together is wrong and at least
    ``agreement`` of them have it as their own. hallucination (ours): share of prompts x students where the modal answer
    has a frequency of at least ``confidence_threshold`` and is wrong. similarity: cosine of answer and reference.
    keeps_modal: share of prompts x students where the modal answer is the teacher's, over all its draws. entropy_token:
    of the distribution of a token, nats. entropy_answers, semantic_entropy: over normalised answers and clusters, nats,
    with Miller's correction. num_clusters: semantic clusters of a student's answers. What needs references is left out
    where no prompt has one, and otherwise is about the prompts that have.

    Args:
        prompts: of ``read_prompts``.
        responses: of ``read_responses``.
        answer_embeddings: of ``embedding_table`` with the texts of ``texts_of``.
        plan: of ``make_plan``.
        student_answers: columns of ``student_tables.SCHEMA``; student, prompt, sample and answer are needed.
        options: thresholds, confidence and bootstrap.
        match: when an answer is right.

    Returns:
        Four tables; the teacher is the method "teacher" with num_responses 0.

    Raises:
        UserError: if an arm's students are not a full crossing of seeds, answers are missing, or a text has no
            embedding.
    """
    lexicon = make_lexicon(texts_of(prompts, responses, student_answers), answer_embeddings)
    own = {str(split): sorted(map(int, rows)) for split, rows in prompts.groupby("split")["prompt"]}
    splits = {split: own[split] for split in sorted(own, reverse=True)}  # train before test
    arms = [_read_arm(plan, student_answers, splits, lexicon, number) for number in plan["arm"].unique()]
    teacher = {split: teacher_answered(responses, rows, lexicon) for split, rows in splits.items()}
    everyone = [*teacher.values(), *(one for arm in arms for one in arm.answered.values())]
    right = judge(prompts, everyone, lexicon, match)
    variance = [row for split in splits for row in _variance_rows(arms, teacher[split], split, lexicon, options)]
    known = Known(right, _references(prompts, lexicon), _modal(teacher, lexicon))
    measured = [row for split in splits for row in _metric_rows(arms, teacher[split], split, lexicon, known, options)]
    sources = [
        Source(TEACHER, 0, list(teacher.values())),
        *(Source(arm.method, arm.num_responses, list(arm.answered.values())) for arm in arms),
    ]
    return Analysis(
        _table(variance, ["space", "component"]),
        _table(measured, ["metric"]),
        answer_frequencies(sources, lexicon, right),
        sample_answers(prompts, responses, plan, student_answers),
    )


def _read_arm(
    plan: pd.DataFrame, answers: pd.DataFrame, splits: Mapping[str, list[int]], lexicon: Lexicon, number: Any
) -> _Arm:
    own = plan[plan["arm"] == number]
    try:
        design = crossed_design(own[list(SEED_COLUMNS)].to_numpy())
    except UserError as error:
        raise UserError(f"arm {number} of the plan: {error}") from error
    students = own["student"].to_numpy()[design.rows].tolist()
    answered = {split: student_answered(answers, students, prompts, lexicon) for split, prompts in splits.items()}
    return _Arm(str(own["method"].iloc[0]), int(own["num_responses"].iloc[0]), design, answered)


def _variance_rows(
    arms: list[_Arm], teacher: Answered, split: str, lexicon: Lexicon, options: LanguagePropagationOptions
) -> Iterator[dict[str, Any]]:
    multipliers = Multipliers(options.num_bootstrap, options.seed)
    for space in SPACES:
        spread = UNKNOWN
        if teacher.texts.shape[-1] > 1:
            by_prompt = np.array([one.variance[0] for one in _moments(teacher, space, lexicon)])
            spread = mean_variance(by_prompt, multipliers, split, options.confidence)
        place = {"split": split, "space": space}
        yield {"method": TEACHER, "num_responses": 0, **place, "component": "teacher", **spread._asdict()}
        for arm in arms:
            answered, k = arm.answered[split], arm.num_responses
            found = collect(_moments(answered, space, lexicon), *answered.texts.shape)
            figures = components(found, arm.design, multipliers, split, options.confidence)
            figures |= {"teacher": spread, "law_intra": _scaled(spread, 1.0 - 1.0 / k)}
            figures["law_inter"] = _scaled(spread, 1.0 / k)
            for component, figure in figures.items():
                key = {"method": arm.method, "num_responses": k, **place, "component": component}
                yield {**key, **figure._asdict()}


def _metric_rows(
    arms: list[_Arm],
    teacher: Answered,
    split: str,
    lexicon: Lexicon,
    known: Known,
    options: LanguagePropagationOptions,
) -> Iterator[dict[str, Any]]:
    asked = arms[0].answered[split].texts.shape[-1]
    alone = known._replace(teacher={})  # the teacher keeps its own modal answer
    found = {(TEACHER, 0): metrics(in_groups(teacher, asked), lexicon, alone, (), options)}
    for arm in arms:
        own = metrics(arm.answered[split], lexicon, known, arm.design.shape, options)
        found[arm.method, arm.num_responses] = own
    for (method, count), figures in found.items():
        for metric, figure in figures.items():
            key = {"method": method, "num_responses": count, "split": split, "metric": metric}
            yield {**key, **figure._asdict()}


def _moments(answered: Answered, space: str, lexicon: Lexicon) -> Iterator[Moments]:
    for texts in answered.texts:
        if space == "embedding":
            yield point_moments(lexicon.vectors[texts])
        else:
            labels = np.unique(lexicon.labels[texts], return_inverse=True)[1].reshape(texts.shape)
            yield label_moments(label_counts(labels))


def _references(prompts: pd.DataFrame, lexicon: Lexicon) -> dict[int, int]:
    told = prompts[prompts["answer"].notna()]
    return dict(zip(told["prompt"].tolist(), lexicon.codes(told["answer"].tolist()).tolist(), strict=True))


def _modal(teacher: Mapping[str, Answered], lexicon: Lexicon) -> dict[int, int]:
    """By prompt, the teacher's most frequent normalised answer over all draws."""
    found = {}
    for part in teacher.values():
        for prompt, texts in zip(part.prompts.tolist(), part.texts, strict=True):
            answers, labels = np.unique(lexicon.labels[texts], return_inverse=True)
            found[prompt] = int(answers[modal_labels(labels.reshape(texts.shape))[0]])
    return found


def _scaled(figure: Interval, factor: float) -> Interval:
    return Interval(*(factor * end for end in figure))


def _table(rows: list[dict[str, Any]], keys: list[str]) -> pd.DataFrame:
    columns = ["method", "num_responses", "split", *keys, *Interval._fields]
    return pd.DataFrame(rows, columns=columns)
