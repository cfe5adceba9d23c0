"""Answers are counted over all students of an arm, and set side by side."""

from __future__ import annotations

import pandas as pd
import pytest

from kd_uncertainty.language._answer_codes import judge, make_lexicon, student_answered, teacher_answered
from kd_uncertainty.language.frequencies import Source, answer_frequencies, sample_answers

from .answers_of import embeddings, make_answers, make_plan, make_prompts, make_responses

PROMPTS = make_prompts(["Paris", None])
RESPONSES = make_responses([["Paris", "paris.", "Lyon", "Rome"], ["b", "b", "a", "a"]])
ANSWERS = make_answers([[["Paris", "Paris"], ["a", "b"]], [["the Lyon", "paris"], ["c", "a"]]])
PLAN = make_plan((2, 1, 1))


def frequencies(**options) -> pd.DataFrame:
    texts = sorted({*RESPONSES["answer"], *ANSWERS["answer"]})
    lexicon = make_lexicon(texts, embeddings(texts))
    teacher, students = teacher_answered(RESPONSES, [0, 1], lexicon), student_answered(ANSWERS, [0, 1], [0, 1], lexicon)
    right = judge(PROMPTS, [teacher, students], lexicon, "exact")
    return answer_frequencies(
        [Source("teacher", 0, [teacher]), Source("multi", 2, [students])], lexicon, right, **options
    )


def test_normalised_answers_are_counted_and_judged():
    frame = frequencies().set_index(["source", "prompt"])
    own = frame.loc[("teacher", 0)]
    assert own["answer"].tolist() == ["paris", "lyon", "rome"]
    assert own["count"].tolist() == [2, 1, 1]
    assert own["share"].tolist() == [0.5, 0.25, 0.25]
    assert own["correct"].tolist() == [True, False, False]
    students = frame.loc[("multi", 0)]
    assert list(zip(students["answer"], students["count"], strict=True)) == [("paris", 3), ("lyon", 1)]
    assert (students["num_responses"] == 2).all()


def test_without_a_reference_nothing_is_right_or_wrong_and_equals_are_in_alphabetical_order():
    own = frequencies().query("source == 'teacher' and prompt == 1")
    assert own["answer"].tolist() == ["a", "b"]
    assert own["correct"].isna().all()


def test_shares_are_of_all_answers_where_only_the_first_are_shown():
    frame = frequencies(most_answers=1)
    assert frame.groupby(["source", "prompt"]).size().eq(1).all()
    assert frame["share"].tolist() == pytest.approx([0.5, 0.5, 0.75, 0.5])


def test_sources_of_a_prompt_stand_below_each_other():
    frame = sample_answers(PROMPTS, RESPONSES, PLAN, ANSWERS)
    assert frame["source"].tolist() == ["teacher", "multi, k = 2"] * 2
    assert frame["prompt"].tolist() == [0, 0, 1, 1]
    assert frame["reference"].tolist() == ["Paris", "Paris", "", ""]
    assert frame["answers"][1] == "Paris (2), paris (1), the Lyon (1)"
