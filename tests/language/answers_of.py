"""Small studies whose answers are written down or drawn from known distributions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kd_uncertainty.language.options import LanguagePropagationOptions
from kd_uncertainty.language.propagation import Analysis, analyse, texts_of


class Study(NamedTuple):
    """What an analysis reads."""

    prompts: pd.DataFrame
    responses: pd.DataFrame
    plan: pd.DataFrame
    student_answers: pd.DataFrame

    def analysed(self, dimensions: int = 6, **options: Any) -> Analysis:
        """The analysis with random embeddings of unit length."""
        table = embeddings(texts_of(self.prompts, self.responses, self.student_answers), dimensions)
        return analyse(
            self.prompts, self.responses, table, self.plan, self.student_answers, LanguagePropagationOptions(**options)
        )


def embeddings(texts: Sequence[str], dimensions: int = 6) -> pd.DataFrame:
    """Vectors of unit length that depend on their text alone."""
    draws = np.stack([np.random.default_rng(list(text.encode())).standard_normal(dimensions) for text in texts])
    vectors = (draws / np.linalg.norm(draws, axis=1, keepdims=True)).astype(np.float32)
    return pd.DataFrame({"text": list(texts), "embedding": list(vectors)})


def make_plan(shape: Sequence[int], arms: Sequence[tuple[str, int]] = (("multi", 2),)) -> pd.DataFrame:
    """Arms of a full crossing of seeds."""
    rows = []
    for arm, (method, count) in enumerate(arms):
        for level in np.ndindex(*shape):
            seeds = dict(zip(("response_seed", "initialisation_seed", "order_seed"), level, strict=True))
            key = {"student": len(rows), "arm": arm, "method": method, "num_responses": count}
            rows.append(key | {"response_level": level[0]} | seeds)
    return pd.DataFrame(rows)


def make_prompts(references: Sequence[str | None], split: Sequence[str] | None = None) -> pd.DataFrame:
    """Prompts with these references."""
    numbers = range(len(references))
    return pd.DataFrame(
        {
            "prompt": numbers,
            "split": list(split or ["train"] * len(references)),
            "relation": "",
            "question": [f"question {number}?" for number in numbers],
            "text": [f"question {number}? " for number in numbers],
            "answer": pd.Series(references, dtype="object"),
            "aliases": [[] for _ in numbers],
        }
    )


def make_responses(said: Any) -> pd.DataFrame:
    """Responses from texts (prompts, draws)."""
    rows = [(prompt, draw, text) for prompt, own in enumerate(said) for draw, text in enumerate(own)]
    return pd.DataFrame(rows, columns=["prompt", "draw", "answer"])


def make_answers(said: Any, entropy: float = 0.5) -> pd.DataFrame:
    """Students' answers from texts (students, prompts, samples)."""
    rows = [
        (student, prompt, sample, text, entropy)
        for student, own in enumerate(said)
        for prompt, texts in enumerate(own)
        for sample, text in enumerate(texts)
    ]
    return pd.DataFrame(rows, columns=["student", "prompt", "sample", "answer", "entropy"])
