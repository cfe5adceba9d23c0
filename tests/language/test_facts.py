"""The bundled questions: what can be checked without an encyclopaedia."""

import calendar
import re

import pytest

from kd_uncertainty.errors import UserError
from kd_uncertainty.language.answers import is_correct, normalise
from kd_uncertainty.language.options import PromptOptions
from kd_uncertainty.language.prompts import read_prompts, task_facts
from kd_uncertainty.tasks.bundled import load_bundled

WORDS = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
]


@pytest.fixture(scope="module")
def facts():
    return load_bundled("facts")


def _of(facts, relation):
    rows = facts[facts["relation"] == relation]
    return list(zip(rows["question"], rows["answer"], rows["aliases"].str.split("|"), strict=True))


def test_every_question_is_asked_once_and_has_a_short_answer(facts):
    assert list(facts.columns) == ["relation", "question", "answer", "aliases"]
    assert 300 <= len(facts) <= 400
    assert facts["question"].map(normalise).is_unique
    assert facts["question"].str.endswith("?").all()
    assert (facts["relation"].value_counts() >= 30).all()
    assert 6 <= facts["relation"].nunique() <= 8
    for column in ("question", "answer", "relation"):
        assert (facts[column] == facts[column].str.strip()).all()
        assert (facts[column].map(normalise) != "").all()
    assert facts["answer"].str.split().str.len().max() <= 2


def test_an_unknown_table_is_refused_with_the_questions_among_the_choices():
    with pytest.raises(UserError, match=r"bundled table 'fact' does not exist; choose one of .*, facts$"):
        load_bundled("fact")


def test_aliases_say_something_else_than_the_answer(facts):
    for answer, aliases in zip(facts["answer"], facts["aliases"], strict=True):
        names = [normalise(name) for name in (answer, *filter(None, aliases.split("|")))]
        assert len(set(names)) == len(names)


def test_arithmetic_is_right_and_stays_within_twenty(facts):
    operations = {"plus": int.__add__, "minus": int.__sub__, "times": int.__mul__}
    for question, answer, aliases in _of(facts, "arithmetic"):
        first, operation, second = re.fullmatch(r"What is (\d+) (\w+) (\d+)\?", question).groups()
        result = operations[operation](int(first), int(second))
        assert 0 <= result <= 20
        assert (answer, aliases) == (str(result), [WORDS[result]])


def test_days_and_months_follow_each_other(facts):
    circles = {"day": list(calendar.day_name), "month": list(calendar.month_name)[1:]}
    asked = set()
    for question, answer, _ in _of(facts, "order"):
        kind, side, name = re.fullmatch(r"Which (\w+) comes (\w+) (\w+)\?", question).groups()
        circle = circles[kind]
        assert answer == circle[(circle.index(name) + {"after": 1, "before": -1}[side]) % len(circle)]
        asked.add((side, name))
    assert len(asked) == 2 * (7 + 12)


def test_opposites_are_asked_in_one_direction_and_never_are_the_word_itself(facts):
    pairs = {question[len("What is the opposite of ") : -1]: answer for question, answer, _ in _of(facts, "opposite")}
    for word, answer in pairs.items():
        assert word != answer
        assert answer not in pairs


def test_only_irregular_forms_are_asked(facts):
    for question, answer, _ in _of(facts, "past tense"):
        word = question[len("What is the past tense of ") : -1]
        assert answer not in {word, f"{word}ed", f"{word}d"}
    for question, answer, _ in _of(facts, "plural"):
        assert answer != question[len("What is the plural of ") : -1] + "s"


def test_symbols_and_capitals_belong_to_one_question_each(facts):
    symbols = [answer for _, answer, _ in _of(facts, "symbol")]
    assert all(re.fullmatch("[A-Z][a-z]?", symbol) for symbol in symbols)
    assert len(set(symbols)) == len(symbols)
    capitals = [answer for _, answer, _ in _of(facts, "capital")]
    assert len(set(capitals)) == len(capitals)
    continents = {"Africa", "Asia", "Europe", "North America", "South America"}
    assert {answer for _, answer, _ in _of(facts, "continent")} == continents


def test_the_default_prompts_cover_every_relation_evenly(facts):
    prompts = read_prompts(facts, PromptOptions(max_prompts=48))
    assert set(prompts["relation"].value_counts()) == {6}
    about = task_facts(prompts, PromptOptions(max_prompts=48))
    assert (about["num_prompts"], about["num_train"], about["num_test"]) == (48, 36, 12)
    assert about["has_references"]
    assert len(about["relations"]) == facts["relation"].nunique()
    assert all(
        is_correct(answer, answer, aliases)
        for answer, aliases in zip(prompts["answer"], prompts["aliases"], strict=True)
    )
