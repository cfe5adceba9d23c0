import json

import numpy as np
import pandas as pd
import pytest

from kd_uncertainty.errors import UserError
from kd_uncertainty.language.options import PromptOptions
from kd_uncertainty.language.prompts import read_prompts, task_facts


def _source(sizes=(8, 12, 5), **columns):
    relations = [f"r{block}" for block, size in enumerate(sizes) for _ in range(size)]
    questions = [f"What is {number}?" for number in range(len(relations))]
    return pd.DataFrame(
        {"question": questions, "answer": [f"a{q}" for q in questions], "relation": relations, **columns}
    )


def test_a_table_of_questions_alone_is_enough():
    prompts = read_prompts(pd.DataFrame({"question": [" Why? ", "How?", "Who?"]}), PromptOptions(test_share=0.3))
    assert list(prompts.columns) == ["prompt", "split", "relation", "question", "text", "answer", "aliases"]
    assert prompts["prompt"].tolist() == [0, 1, 2]
    assert prompts["question"].tolist() == ["Why?", "How?", "Who?"]
    assert prompts["text"][0] == "Question: Why?\nAnswer:"
    assert prompts["answer"].isna().all()
    assert prompts["aliases"].tolist() == [[], [], []]
    assert (prompts["relation"] == "").all()
    about = task_facts(prompts, PromptOptions())
    assert json.loads(json.dumps(about)) == about
    assert (about["num_train"], about["num_test"], about["has_references"], about["relations"]) == (2, 1, False, {})


def test_references_come_as_numbers_lists_or_separated_text():
    source = pd.DataFrame(
        {
            "question": ["a?", "b?", "c?", "d?"],
            "answer": [7.0, np.nan, 3.5, 1.0],
            "aliases": ["seven | Seven|seven||", None, ["x", " y ", None, np.nan], np.array([2.0])],
        }
    )
    prompts = read_prompts(source, PromptOptions(test_share=0.0))
    assert prompts["answer"].fillna("-").tolist() == ["7", "-", "3.5", "1"]
    assert prompts["aliases"].tolist() == [["seven", "Seven"], [], ["x", "y"], ["2"]]
    assert task_facts(prompts, PromptOptions())["num_references"] == 3


def test_prompts_survive_parquet(tmp_path):
    prompts = read_prompts(_source(aliases="x|y"), PromptOptions())
    prompts.to_parquet(tmp_path / "prompts.parquet")
    again = pd.read_parquet(tmp_path / "prompts.parquet")
    pd.testing.assert_frame_equal(
        again.assign(aliases=again["aliases"].map(list)), prompts, check_dtype=True, check_index_type=False
    )


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 1 / 3, 0.5, 0.8])
@pytest.mark.parametrize("seed", [0, 1])
def test_each_relation_has_its_share_of_held_out_prompts(share, seed):
    sizes = (8, 12, 5, 1, 1, 1)
    prompts = read_prompts(_source(sizes), PromptOptions(test_share=share, seed=seed))
    held_out = prompts["split"] == "test"
    assert abs(held_out.sum() - sum(sizes) * share) <= 0.5
    for size, (_, rows) in zip(sizes, prompts.groupby("relation"), strict=True):
        assert abs((rows["split"] == "test").sum() - size * share) < 1


def test_the_split_depends_on_the_seed_and_not_on_the_order_of_relations_rows():
    source = _source((20,))
    options = PromptOptions(test_share=0.5)
    split = read_prompts(source, options).set_index("question")["split"]
    shuffled = source.sample(frac=1.0, random_state=0)
    assert read_prompts(shuffled, options).set_index("question")["split"].sort_index().equals(split.sort_index())
    assert not read_prompts(source, PromptOptions(test_share=0.5, seed=1)).set_index("question")["split"].equals(split)


def test_over_seeds_every_prompt_is_held_out_equally_often():
    source = _source((6, 2))
    seeds = 300
    counts = sum(
        (read_prompts(source, PromptOptions(test_share=0.25, seed=seed))["split"] == "test").to_numpy(dtype=int)
        for seed in range(seeds)
    )
    # Within a relation, places are exchangeable: the share of each is the relation's own.
    for rows in (slice(0, 6), slice(6, 8)):
        share = counts[rows].sum() / (seeds * len(counts[rows]))
        assert np.abs(counts[rows] / seeds - share).max() <= 4 * np.sqrt(share * (1 - share) / seeds) + 1e-12


@pytest.mark.parametrize("most", [4, 9, 13, 25, 99])
def test_a_part_of_the_prompts_takes_relations_in_turn_and_grows_with_its_number(most):
    source = _source()
    prompts = read_prompts(source, PromptOptions(max_prompts=most))
    assert len(prompts) == min(most, len(source))
    counts = prompts["relation"].value_counts()
    for relation, size in source["relation"].value_counts().items():
        assert counts[relation] >= min(size, counts.max() - 1)
    fewer = read_prompts(source, PromptOptions(max_prompts=most - 1))
    assert set(fewer["question"]) <= set(prompts["question"])
    places = source["question"].tolist()
    assert [places.index(question) for question in prompts["question"]] == sorted(
        places.index(question) for question in prompts["question"]
    )


def test_a_given_split_is_kept_and_a_part_of_it_has_both_sides_in_proportion():
    source = _source((16, 16), split=["train", "train", "train", "test"] * 8)
    prompts = read_prompts(source, PromptOptions(test_share=0.9))
    assert prompts["split"].tolist() == source["split"].tolist()
    part = read_prompts(source, PromptOptions(max_prompts=16))
    assert part["split"].value_counts().to_dict() == {"train": 12, "test": 4}
    kept = source.set_index("question")["split"]
    assert (part.set_index("question")["split"] == kept[part["question"]]).all()


def test_the_template_fills_in_columns_and_leaves_braces_of_questions_alone():
    source = pd.DataFrame({"question": ["What is {x}?", "b?"], "choices": ["1, 2", "3"], "relation": ["sets", "sets"]})
    template = "{{json}} {relation}: {question} ({choices}) {question}"
    prompts = read_prompts(source, PromptOptions(template=template, test_share=0.0))
    assert prompts["text"][0] == "{json} sets: What is {x}? (1, 2) What is {x}?"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "{question} {contxt}",
            r"template: names \{contxt\}, which it cannot fill in; choose from the columns question",
        ),
        ("{question} {answer}", r"names \{answer\}"),
        ("{question} {}", r"names \{\}"),
        ("{question} {question.x}", r"names \{question.x\}"),
        ("{question} {", "brace without its partner"),
        ("{{question}}", "never asks the question"),
        ("{question} {relation:>9}", "field with a format"),
        ("{question} {hint}", "'What is 1[?]' has no hint"),
    ],
)
def test_a_template_that_cannot_be_filled_in_is_refused(template, message):
    source = _source((4,), hint=["x", None, "z", ""])
    with pytest.raises(UserError, match=message):
        read_prompts(source, PromptOptions(template=template))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"question": ["a?", " ", "c?"]}, "row 2 has an empty question"),
        ({"question": ["a?", None, "c?"]}, "row 2 has an empty question"),
        ({"question": ["a?", "b?", " a?"]}, r"'a\?' is there twice \(again in row 3\)"),
        ({"question": ["a?", ["b?"], "c?"]}, "column 'question' holds a list in row 2"),
        ({"query": ["a?", "b?", "c?"]}, r"column 'question' is missing \(columns: query\)"),
        ({"question": ["a?", "b?", "c?"], "answer": ["x", ["y", "z"], "w"]}, "column 'answer' holds a list in row 2"),
        ({"question": ["a?", "b?", "c?"], "aliases": ["", "x", ""]}, "row 2 has aliases but no answer"),
        (
            {"question": ["a?", "b?"], "answer": ["x", "y"], "aliases": [[["z"]], []]},
            "'aliases' holds neither .* row 1",
        ),
        (
            {"question": ["a?", "b?"], "answer": ["x", "y"], "aliases": ["", {"z": 1}]},
            "'aliases' holds neither .* row 2",
        ),
        ({"question": ["a?", "b?", "c?"], "split": ["train", "dev", "test"]}, "column 'split' holds 'dev' in row 2"),
        ({"question": ["a?", "b?", "c?"], "split": ["train", "train", None]}, "column 'split' holds '.*' in row 3"),
        ({"question": ["a?", "b?", "c?"], "split": ["train", "test", "test"]}, "1 of 3 prompts would be trained on"),
        ({"question": ["a?"]}, "1 of 1 prompts would be trained on and 2 are needed"),
        ({"question": []}, "0 of 0 prompts would be trained on"),
    ],
)
def test_questions_that_cannot_be_used_are_refused_in_one_sentence(columns, message):
    with pytest.raises(UserError, match=message) as refusal:
        read_prompts(pd.DataFrame(columns), PromptOptions())
    assert "\n" not in str(refusal.value)


def test_a_column_that_is_there_twice_is_refused():
    source = pd.DataFrame([["a?", "b?"]], columns=["question", "question"])
    with pytest.raises(UserError, match="column 'question' is there twice"):
        read_prompts(source, PromptOptions())


def test_the_source_is_left_as_it_was():
    source = _source(aliases="x|y")
    before = source.copy(deep=True)
    read_prompts(source, PromptOptions(max_prompts=5))
    pd.testing.assert_frame_equal(source, before)
