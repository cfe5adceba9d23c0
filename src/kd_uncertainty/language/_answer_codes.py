"""Answers as arrays of numbers: every different text and normalised answer is looked at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_uncertainty.errors import UserError
from kd_uncertainty.language.answers import Match, correct_table, normalise
from kd_uncertainty.language.embedding import Embeddings, lookup

Codes = NDArray[np.int64]
FEWEST_ANSWERS = 2


class Lexicon(NamedTuple):
    """All different texts.

    Attributes:
        numbers: the number of each text.
        labels: (texts,) the number of its normalised answer.
        normalised: normalised answers.
        vectors: (texts, dimensions) embeddings.
    """

    numbers: dict[str, int]
    labels: Codes
    normalised: list[str]
    vectors: Embeddings

    def codes(self, texts: Sequence[str]) -> Codes:
        """Return the numbers of texts, (texts,)."""
        return np.fromiter((self.numbers[text] for text in texts), dtype=np.int64, count=len(texts))


class Answered(NamedTuple):
    """What speakers answer to prompts.

    Attributes:
        prompts: (prompts,) their numbers.
        texts: (prompts, speakers, samples) numbers of texts.
        entropy: (prompts, speakers, samples) mean entropy a token in nats, or None.
    """

    prompts: Codes
    texts: Codes
    entropy: NDArray[np.float64] | None


def texts_of(prompts: pd.DataFrame, responses: pd.DataFrame, student_answers: pd.DataFrame) -> list[str]:
    """Return all different texts that need an embedding, sorted: the teacher's answers, the students', references.

    Args:
        prompts: column answer, NA where there is no reference.
        responses: column answer.
        student_answers: column answer.
    """
    said = [frame["answer"].dropna().unique() for frame in (prompts, responses, student_answers)]
    return sorted({str(text) for texts in said for text in texts})


def make_lexicon(texts: Sequence[str], embeddings: pd.DataFrame) -> Lexicon:
    """Number texts and their normalised answers.

    Args:
        texts: all different ones.
        embeddings: of ``embedding_table``.

    Raises:
        UserError: if a text has no embedding.
    """
    labels, normalised = pd.factorize(pd.Series([normalise(text) for text in texts], dtype=object))
    numbers = {text: number for number, text in enumerate(texts)}
    return Lexicon(numbers, np.asarray(labels, dtype=np.int64), list(normalised), lookup(embeddings, texts))


def teacher_answered(responses: pd.DataFrame, prompts: Sequence[int], lexicon: Lexicon) -> Answered:
    """Return the teacher's draws as those of one speaker.

    Args:
        responses: of ``read_responses``; the column entropy, one list an answer, may be missing.
        prompts: their numbers.
        lexicon: of all texts.
    """
    rows = _rows_of(responses["prompt"], prompts)
    frame = responses.iloc[rows]
    shape = (len(prompts), 1, len(frame) // len(prompts))
    entropy = None
    if "entropy" in frame:
        entropy = np.array([_mean(tokens) for tokens in frame["entropy"]]).reshape(shape)
    return Answered(np.array(prompts), lexicon.codes(frame["answer"].tolist()).reshape(shape), entropy)


def student_answered(
    answers: pd.DataFrame, students: Sequence[int], prompts: Sequence[int], lexicon: Lexicon
) -> Answered:
    """Return what students answer, speakers in the order of ``students``.

    Args:
        answers: student, prompt, sample, answer and perhaps entropy.
        students: their numbers.
        prompts: their numbers.
        lexicon: of all texts.

    Raises:
        UserError: unless every student gave as many answers to every prompt, two or more.
    """
    frame = answers[answers["student"].isin(students) & answers["prompt"].isin(prompts)]
    speaker = pd.Index(students).get_indexer(pd.Index(frame["student"]))
    place = pd.Index(prompts).get_indexer(pd.Index(frame["prompt"]))
    counts = np.bincount(place * len(students) + speaker, minlength=len(prompts) * len(students))
    samples = int(counts.max())
    if counts.min() != samples or samples < FEWEST_ANSWERS:
        prompt, student = divmod(int(counts.argmin()), len(students))
        raise UserError(
            f"student_answers: student {students[student]} has {counts.min()} answers to prompt {prompts[prompt]} and "
            f"others have {samples}; give the same number, {FEWEST_ANSWERS} or more, of every student to every prompt"
        )
    order = np.lexsort((frame["sample"].to_numpy(), speaker, place))
    frame, shape = frame.iloc[order], (len(prompts), len(students), samples)
    entropy = frame["entropy"].to_numpy(np.float64).reshape(shape) if "entropy" in frame else None
    return Answered(np.array(prompts), lexicon.codes(frame["answer"].tolist()).reshape(shape), entropy)


def in_groups(answered: Answered, size: int) -> Answered:
    """Split one speaker's samples into speakers of ``size`` each, in order; what is left over is left out."""
    prompts, _, samples = answered.texts.shape
    size = min(size, samples)
    shape = (prompts, samples // size, size)
    used = samples // size * size
    entropy = answered.entropy
    return Answered(
        answered.prompts,
        answered.texts[:, 0, :used].reshape(shape),
        None if entropy is None else entropy[:, 0, :used].reshape(shape),
    )


def judge(prompts: pd.DataFrame, everyone: Sequence[Answered], lexicon: Lexicon, match: Match) -> dict[int, Codes]:
    """Return for every prompt that has a reference which normalised answers are right, as their sorted numbers.

    Args:
        prompts: of ``read_prompts``.
        everyone: all that was answered.
        lexicon: of all texts.
        match: of ``is_correct``.
    """
    given: dict[int, set[int]] = {}
    for answered in everyone:
        for prompt, texts in zip(answered.prompts.tolist(), answered.texts, strict=True):
            given.setdefault(prompt, set()).update(lexicon.labels[np.unique(texts)].tolist())
    pairs = pd.DataFrame(
        [(prompt, label, lexicon.normalised[label]) for prompt, labels in given.items() for label in sorted(labels)],
        columns=["prompt", "label", "answer"],
    )
    pairs["correct"] = correct_table(prompts, pairs, match)
    judged = pairs[pairs["correct"].notna()]
    return {
        int(str(prompt)): own.loc[own["correct"].astype(bool), "label"].to_numpy(np.int64)
        for prompt, own in judged.groupby("prompt")
    }


def _rows_of(column: pd.Series[int], prompts: Sequence[int]) -> Codes:
    """Row numbers of the prompts in their order, each prompt's as they stand."""
    place = pd.Index(prompts).get_indexer(pd.Index(column))
    rows = np.flatnonzero(place >= 0)
    return np.asarray(rows[np.argsort(place[rows], kind="stable")], dtype=np.int64)


def _mean(tokens: Sequence[float] | None) -> float:
    return float(np.mean(tokens)) if tokens is not None and len(tokens) else np.nan
