"""What is answered how often: tables of answers for figures, and for a person to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kd_uncertainty.language._answer_codes import Answered, Codes, Lexicon
from kd_uncertainty.language.samples import student_samples, teacher_samples

TEACHER = "teacher"
MOST_ANSWERS = 6
"""Answers of a source to a prompt in the table of frequencies."""
COLUMNS = ("source", "num_responses", "prompt", "answer", "count", "share", "correct")


class Source(NamedTuple):
    """Who answered: the students of an arm, or the teacher with no responses.

    Attributes:
        method: of the arm, or ``teacher``.
        num_responses: k, 0 of the teacher.
        answered: all answers, in one or more parts.
    """

    method: str
    num_responses: int
    answered: Sequence[Answered]


def answer_frequencies(
    sources: Sequence[Source], lexicon: Lexicon, right: Mapping[int, Codes], most_answers: int = MOST_ANSWERS
) -> pd.DataFrame:
    """Return the most frequent normalised answers of every source to every prompt, over all students and samples.

    Args:
        sources: who answered.
        lexicon: of all texts.
        right: by prompt that has a reference, the right normalised answers.
        most_answers: of a source to a prompt.

    Returns:
        source (the method), num_responses, prompt, answer, count, share (of all answers of the source to the prompt),
        correct (NA where there is no reference); by source and prompt, the most frequent first, equally frequent ones
        in alphabetical order.
    """
    rows: list[tuple[Any, ...]] = []
    for source in sources:
        by_prompt = {
            prompt: texts
            for part in source.answered
            for prompt, texts in zip(part.prompts.tolist(), part.texts, strict=True)
        }
        for prompt, texts in sorted(by_prompt.items()):
            labels, counts = np.unique(lexicon.labels[texts], return_counts=True)
            said = [
                (-int(count), lexicon.normalised[label], int(label))
                for label, count in zip(labels, counts, strict=True)
            ]
            for count, answer, label in sorted(said)[:most_answers]:
                correct = bool((right[prompt] == label).any()) if prompt in right else pd.NA
                key = (source.method, source.num_responses, prompt, answer)
                rows.append((*key, -count, -count / texts.size, correct))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"correct": "boolean"})


def sample_answers(
    prompts: pd.DataFrame, responses: pd.DataFrame, plan: pd.DataFrame, student_answers: pd.DataFrame
) -> pd.DataFrame:
    """Return what the teacher and the students of every arm answer to some prompts, for reading.

    Args:
        prompts: of ``read_prompts``.
        responses: columns prompt and answer.
        plan: columns student, arm, method and num_responses.
        student_answers: columns student, prompt and answer.

    Returns:
        prompt, split, question, reference, source (``teacher``, ``multi, k = 4``), answers with their counts; the
        sources of a prompt one below the other.
    """
    keys = ["prompt", "split", "question", "reference"]
    teacher = teacher_samples(prompts, responses).assign(source=TEACHER)
    students = student_samples(prompts, student_answers, plan).melt(keys, var_name="source", value_name="answers")
    both = pd.concat([teacher, students.dropna(subset="answers")])
    return both.sort_values("prompt", kind="stable", ignore_index=True)[[*keys, "source", "answers"]]
