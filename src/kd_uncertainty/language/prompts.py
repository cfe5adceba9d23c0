"""From a table of questions to prompts: how each is asked, what is right, and whether students learn it."""

from __future__ import annotations

from collections.abc import Collection
from string import Formatter
from typing import Any

import numpy as np
import pandas as pd

from kd_uncertainty.errors import UserError
from kd_uncertainty.language.options import PromptOptions
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.tasks.sources import table_digest

TRAIN, TEST = "train", "test"
SEPARATOR = "|"
"""Between aliases in one text."""

_COLUMNS = ["prompt", "split", "relation", "question", "text", "answer", "aliases"]
_SECRET = ("answer", "aliases", "split")
_COLLECTIONS = (list, tuple, dict, set, frozenset, np.ndarray)
_FEWEST_TRAIN = 2


def read_prompts(source: pd.DataFrame, options: PromptOptions) -> pd.DataFrame:
    """Return the prompts of a table of questions, in its order and numbered from 0.

    Which questions are taken (``max_prompts``) and which are held out is decided by an order that is a pure function of
    ``seed`` and each question's text: relations are taken from in turn, so a smaller number is a subset of a larger
    one, and every relation has its share of held-out prompts, rounded up or down. A column ``split`` goes first.

    Args:
        source: column question; optional columns answer, aliases (a list, or texts separated by ``|``), relation,
            split (train or test), and any others that the template names.
        options: the template, the number of prompts and the share that is held out.

    Returns:
        Columns prompt, split (train or test), relation (empty if there is none), question, text (what the model is
        asked), answer (NA if there is no reference) and aliases (lists, never null).

    Raises:
        UserError: if a question is empty or there twice, a value cannot be used, the template is broken or names a
            column that is not there, or fewer than two prompts would be trained on.
    """
    table = _checked(source)
    fields = _template_fields(options.template, table)
    table = table.assign(order=[derive_seed(options.seed, "prompt", question) for question in table["question"]])
    table = _taken(table, options.max_prompts).sort_index().reset_index(drop=True)
    split = table["split"] if "split" in table else _split(table, options.test_share)
    if (count := int((split == TRAIN).sum())) < _FEWEST_TRAIN:
        raise UserError(
            f"questions: {count} of {len(table)} prompts would be trained on and {_FEWEST_TRAIN} are needed; "
            "give more questions, or lower language.ingestion.test_share"
        )
    return table.assign(
        prompt=np.arange(len(table)), split=split.astype("str"), text=_texts(table, options.template, fields)
    )[_COLUMNS]


def task_facts(prompts: pd.DataFrame, options: PromptOptions) -> dict[str, Any]:
    """Return what a report says of the prompts, JSON-safe: how many, which relations, whether answers are known."""
    counts = prompts.loc[prompts["relation"] != "", "relation"].value_counts(sort=False)
    return {
        "num_prompts": len(prompts),
        "num_train": int((prompts["split"] == TRAIN).sum()),
        "num_test": int((prompts["split"] == TEST).sum()),
        "num_references": int(prompts["answer"].notna().sum()),
        "has_references": bool(prompts["answer"].notna().any()),
        "relations": {str(relation): int(count) for relation, count in counts.items()},
        "template": options.template,
        "match": options.match,
        "source_digest": table_digest(prompts[["question", "answer", "split"]].astype("string")),
    }


def _checked(source: pd.DataFrame) -> pd.DataFrame:
    """The table with its own columns in their final form; others as they are."""
    frame = pd.DataFrame(source).rename(columns=str).reset_index(drop=True)
    if frame.columns.duplicated().any():
        raise UserError(f"questions: column '{frame.columns[frame.columns.duplicated()][0]}' is there twice; drop one")
    if "question" not in frame:
        raise UserError(
            f"questions: column 'question' is missing (columns: {', '.join(frame.columns)}); rename the one that asks"
        )
    frame = frame.assign(question=_texts_of(frame, "question"))
    if (empty := (frame["question"] == "").to_numpy()).any():
        raise UserError(f"questions: row {empty.argmax() + 1} has an empty question; fill it in, or remove the row")
    if (twice := frame["question"].duplicated().to_numpy()).any():
        raise UserError(
            f"questions: '{frame['question'][twice.argmax()]}' is there twice (again in row {twice.argmax() + 1}); "
            "ask each question once and put what else is right into aliases"
        )
    answers = _texts_of(frame, "answer").astype("string")
    frame = frame.assign(
        relation=_texts_of(frame, "relation"), answer=answers.mask(answers == "", pd.NA), aliases=_aliases(frame)
    )
    if (lonely := (frame["answer"].isna() & frame["aliases"].map(bool)).to_numpy()).any():
        raise UserError(f"questions: row {lonely.argmax() + 1} has aliases but no answer; give one of them as answer")
    if "split" in frame and (wrong := ~frame["split"].isin([TRAIN, TEST]).to_numpy()).any():
        raise UserError(
            f"questions: column 'split' holds '{frame['split'][wrong.argmax()]}' in row {wrong.argmax() + 1}; "
            f"write {TRAIN} or {TEST} in every row, or leave the column out"
        )
    return frame


def _texts_of(frame: pd.DataFrame, column: str) -> pd.Series[str]:
    """A column as text without outer white space, empty where there is no value or no such column."""
    if column not in frame:
        return pd.Series("", index=frame.index, dtype="str")
    texts = []
    for row, value in enumerate(frame[column], 1):
        if isinstance(value, _COLLECTIONS):
            raise UserError(f"questions: column '{column}' holds a list in row {row}; give one text in every row")
        texts.append("" if pd.isna(value) else _as_text(value))
    return pd.Series(texts, index=frame.index, dtype="str")


def _as_text(value: Any) -> str:
    # Whole numbers become floats as soon as one row of their column is empty, and "7.0" is no way to write 7.
    whole = isinstance(value, float | np.floating) and value.is_integer()
    return str(int(value) if whole else value).strip()


def _aliases(frame: pd.DataFrame) -> pd.Series[Any]:
    values = frame["aliases"] if "aliases" in frame else [None] * len(frame)
    lists = []
    for row, value in enumerate(values, 1):
        several = isinstance(value, list | tuple | np.ndarray)
        if any(isinstance(part, _COLLECTIONS) for part in (value if several else [value])):
            raise UserError(
                f"questions: column 'aliases' holds neither texts nor a list of them in row {row}; "
                f"give a list, or one text with '{SEPARATOR}' between aliases"
            )
        parts = ["" if pd.isna(part) else _as_text(part) for part in (value if several else [value])]
        if not several:
            parts = [part.strip() for part in parts[0].split(SEPARATOR)]
        lists.append([part for part in dict.fromkeys(parts) if part])
    return pd.Series(lists, index=frame.index, dtype="object")


def _template_fields(template: str, table: pd.DataFrame) -> list[str]:
    """The columns that the template names."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise UserError(
            f"language.ingestion.template: has a brace without its partner ({error}); write a literal one twice"
        ) from None
    fields = list(dict.fromkeys(name for _, name, _, _ in parts if name is not None))
    known = [column for column in table.columns if column not in _SECRET]
    if unknown := [name for name in fields if name not in known]:
        raise UserError(
            f"language.ingestion.template: names {{{unknown[0]}}}, which it cannot fill in; choose from the columns "
            f"{', '.join(known)}"
        )
    if any(spec or conversion for _, name, spec, conversion in parts if name is not None):
        raise UserError("language.ingestion.template: has a field with a format; write the column's name alone")
    if "question" not in fields:
        raise UserError("language.ingestion.template: never asks the question; put {question} where it belongs")
    return fields


def _texts(table: pd.DataFrame, template: str, fields: list[str]) -> list[str]:
    filled = {field: _texts_of(table, field) for field in fields}
    for field, texts in filled.items():
        if (empty := (texts == "").to_numpy()).any():
            raise UserError(
                f"questions: '{table['question'][empty.argmax()]}' has no {field}, which language.ingestion.template "
                "fills in; give it, or take the field out"
            )
    return [template.format_map(dict(zip(fields, row, strict=True))) for row in zip(*filled.values(), strict=True)]


def _taken(table: pd.DataFrame, most: int | None) -> pd.DataFrame:
    """At most so many rows: relations in turn, and within each the splits in their proportion."""
    if most is None or len(table) <= most:
        return table
    blocks = ["relation", "split"] if "split" in table else ["relation"]
    place = table.groupby(blocks)["order"].rank(method="first")
    size = table.groupby(blocks)["order"].transform("size")
    within = table.assign(at=(place - 0.5) / size).sort_values(["at", "order"])
    turn = within.groupby("relation").cumcount()
    first_seen = within["relation"].map(_first_seen(table["relation"]))
    return (
        within.assign(turn=turn, seen=first_seen)
        .sort_values(["turn", "seen"])
        .head(most)
        .drop(columns=["at", "turn", "seen"])
    )


def _split(table: pd.DataFrame, share: float) -> pd.Series[str]:
    """Every 1/share-th prompt is held out, going through one relation after another."""
    seen = table["relation"].map(_first_seen(table["relation"]))
    rows = table.assign(seen=seen).sort_values(["seen", "order"]).index
    # Held out: where the count so far, times the share, passes a whole number and a half. A relation of n prompts has
    # floor or ceil of n·share of them, and all together round(share·num_prompts).
    passed = np.floor(np.arange(len(rows) + 1) * share + 0.5 + 1e-9)
    return pd.Series(np.where(np.diff(passed) > 0, TEST, TRAIN), index=rows, dtype="str").sort_index()


def _first_seen(values: Collection[str]) -> dict[str, int]:
    return {value: place for place, value in enumerate(dict.fromkeys(values))}
