import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kd_uncertainty.language.answers import correct_table, cut, is_correct, normalise


@pytest.mark.parametrize(
    ("text", "stop", "answer"),
    [
        (" Paris\nQuestion: What", ("\n",), "Paris"),
        (" Paris. It is END\n", ("END", ". "), "Paris"),  # the one that comes first, in whatever order they are given
        (" Paris. It is END\n", (". ", "END"), "Paris"),
        ("  New  York ", (), "New  York"),
        ("\nParis", ("\n",), ""),
        ("Paris", ("\n",), "Paris"),
    ],
)
def test_an_answer_ends_before_the_first_stop_string(text, stop, answer):
    assert cut(text, stop) == answer


def test_an_empty_stop_string_is_refused():
    with pytest.raises(ValueError, match="stop string is empty"):
        cut("Paris", ["\n", ""])


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ('The "Big-Apple".', "big apple"),
        ("**Paris**", "paris"),
        ("an  apple\ta day", "apple day"),
        ("Theatre", "theatre"),
        ("don't", "dont"),
        ("don’t", "dont"),
        ("ＰＡＲＩＳ", "paris"),
        ("Straße", "strasse"),
        ("Brasi\u0301lia", "brasília"),
        ("New\u00a0York\u200b", "new york"),
        ("-5", "-5"),
        ("−5.", "-5"),
        ("3-5", "3 5"),
        ("3.50", "3.50"),
        ("1,000,000.", "1000000"),
        ("1,2,3", "1 2 3"),
        ("1,0000", "1 0000"),
        ("$5", "$5"),
        ("5%", "5"),
        ("the", "the"),
        ("A", "a"),
        ("...", "..."),
        (" \n", ""),
    ],
)
def test_normalised_answers(text, normal):
    assert normalise(text) == normal


_SIGNS = st.characters(codec="utf-8") | st.sampled_from("a theAN-−.,'’`5$١µßİ\u0301\u200b\ufeff")


@given(st.text(_SIGNS, max_size=12))
def test_normalising_twice_changes_nothing_and_what_is_visible_stays_something(text):
    once = normalise(text)
    assert normalise(once) == once
    if any(sign.isalnum() for sign in text):
        assert once


@given(st.text("abcXYZ 019", max_size=12))
def test_case_quotes_and_spaces_around_words_make_no_other_answer(text):
    assert normalise(f'  "{text.upper()}". ') == normalise(text.lower().replace(" ", "  ")) or not text.strip()


@pytest.mark.parametrize(
    ("text", "match", "right"),
    [
        ("Bogotá!", "exact", True),
        ("the Bogota", "exact", True),
        ("It is Bogota, of course", "exact", False),
        ("It is Bogota, of course", "contains", True),
        ("Bogotas", "contains", False),
        ("Santa Fe de Bogotá", "contains", True),
        ("", "contains", False),
    ],
)
def test_a_right_answer_is_a_reference_or_contains_it_as_whole_words(text, match, right):
    assert is_correct(text, "Bogota", ["Bogotá"], match) is right


def test_an_empty_alias_is_contained_in_nothing():
    assert not is_correct("Lima", "Bogota", [""], "contains")
    assert not is_correct("", "Bogota", [""], "exact")


@pytest.mark.parametrize("match", ["exact", "contains"])
def test_a_table_of_answers_is_judged_as_each_answer_is(match):
    prompts = pd.DataFrame(
        {
            "prompt": [0, 1, 2],
            "answer": pd.array(["Paris", pd.NA, "yes"], dtype="string"),
            "aliases": [["City of Light"], [], []],
        }
    )
    said = [
        (0, "paris."),
        (1, "Paris"),
        (0, "it is Paris"),
        (2, "Paris"),
        (0, "Lyon"),
        (0, "the city of light"),
        (2, "Yes"),
    ]
    answers = pd.DataFrame(said, columns=["prompt", "answer"], index=range(10, 17))
    correct = correct_table(prompts, answers, match)
    assert correct.index.equals(answers.index)
    assert correct.isna().tolist() == [prompt == 1 for prompt, _ in said]
    references = {0: ("Paris", ["City of Light"]), 2: ("yes", [])}
    for verdict, (prompt, text) in zip(correct, said, strict=True):
        if prompt != 1:
            assert verdict == is_correct(text, *references[prompt], match)
    assert correct.sum() == (3 if match == "exact" else 4)


def test_a_table_without_any_reference_has_no_verdict():
    prompts = pd.DataFrame({"prompt": [0], "answer": pd.array([pd.NA], dtype="string"), "aliases": [[]]})
    answers = pd.DataFrame({"prompt": [0, 0], "answer": ["a", "b"]})
    assert correct_table(prompts, answers).isna().all()
    assert correct_table(prompts, answers.head(0)).empty
