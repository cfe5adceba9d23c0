"""When two texts are the same answer, and when an answer is right."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Literal

import pandas as pd

Match = Literal["exact", "contains"]

_ARTICLES = frozenset({"a", "an", "the"})
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
_DASH = "[-\u2010-\u2015\u2212]"
_MINUS = re.compile(rf"(?<![\w.]){_DASH}(?=\.?\d)")
_THOUSANDS = re.compile(r"(?<!\d)(?<!\d[.,])\d{1,3}(?:,\d{3})+(?!\d)")
_WITHIN_NUMBER = re.compile(r"(?<=\d)\.(?=\d)")
_APOSTROPHES = re.compile("(?<=\\w)['\u2019](?=\\w)")
_MINUS_SIGN, _POINT = "\ue000", "\ue001"  # private characters: what they stand for outlives the punctuation


def cut(text: str, stop: Sequence[str]) -> str:
    """Return the answer in generated text: what comes before the first stop string, without outer white space.

    Args:
        text: as the model goes on.
        stop: texts that end an answer; whichever comes first counts.

    Raises:
        ValueError: if a stop string is empty, as everything contains it.
    """
    if "" in stop:
        raise ValueError("a stop string is empty; leave it out")
    ends = [text.find(one) for one in stop]
    return text[: min((end for end in ends if end >= 0), default=len(text))].strip()


def normalise(text: str) -> str:
    """Return the form in which two answers are compared: ``The "Big-Apple".`` becomes ``big apple``.

    As in the evaluation of SQuAD (Rajpurkar et al. 2016, arXiv:1606.05250): lower case, no punctuation, no articles,
    single spaces; over Unicode (NFKC and case folding, so that full-width letters and ``ß`` match), with dashes and
    other punctuation as spaces, and with what makes a number another number left in (``-5``, ``3.5``; ``1,000`` is
    ``1000``). Symbols stay (``$5``, ``+``). A text of articles or punctuation alone keeps them, so that no answer
    becomes empty that was not. Idempotent.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    folded = _INVISIBLE.sub("", folded)
    kept = _THOUSANDS.sub(lambda number: number.group().replace(",", ""), folded)
    kept = _WITHIN_NUMBER.sub(_POINT, _MINUS.sub(_MINUS_SIGN, kept))
    kept = "".join(" " if _is_punctuation(sign) else sign for sign in _APOSTROPHES.sub("", kept))
    words = kept.replace(_MINUS_SIGN, "-").replace(_POINT, ".").split()
    return " ".join([word for word in words if word not in _ARTICLES] or words or folded.split())


def is_correct(text: str, answer: str, aliases: Iterable[str] = (), match: Match = "exact") -> bool:
    """Return whether a text is right: after ``normalise`` it is a reference, or contains one as whole words.

    Whole words are runs between spaces: ``contains`` finds nothing in scripts that write none.

    Args:
        text: what was answered.
        answer: the reference.
        aliases: what is right as well.
        match: ``exact`` or ``contains``.
    """
    return _matches(normalise(text), _references(answer, aliases), match)


def correct_table(prompts: pd.DataFrame, answers: pd.DataFrame, match: Match = "exact") -> pd.Series[bool]:
    """Return for every answer whether it is right (see ``is_correct``), and NA where its prompt has no reference.

    Every different text is normalised once, and every different pair of prompt and normalised text compared once.

    Args:
        prompts: columns prompt, answer and aliases, as of ``read_prompts``.
        answers: columns prompt and answer, one row an answer.
        match: ``exact`` or ``contains``.

    Returns:
        A nullable boolean column with the index of ``answers``.

    Raises:
        KeyError: if an answer is to a prompt that is not in ``prompts``.
    """
    columns = (prompts["prompt"], prompts["answer"], prompts["aliases"])
    references = {
        prompt: None if pd.isna(answer) else _references(answer, aliases)
        for prompt, answer, aliases in zip(*columns, strict=True)
    }
    normalised = {text: normalise(text) for text in answers["answer"].unique()}
    pairs = [(prompt, normalised[text]) for prompt, text in zip(answers["prompt"], answers["answer"], strict=True)]
    verdicts: dict[tuple[int, str], bool | None] = {}
    for prompt, text in dict.fromkeys(pairs):
        right = references[prompt]
        verdicts[prompt, text] = None if right is None else _matches(text, right, match)
    return pd.Series([verdicts[pair] for pair in pairs], index=answers.index, dtype="boolean", name="correct")


def _references(answer: str, aliases: Iterable[str]) -> frozenset[str]:
    return frozenset(map(normalise, (answer, *aliases))) - {""}


def _matches(text: str, references: Iterable[str], match: Match) -> bool:
    if match == "exact":
        return text in references
    return any(f" {reference} " in f" {text} " for reference in references)


def _is_punctuation(sign: str) -> bool:
    return sign in "`^" or unicodedata.category(sign).startswith("P")
