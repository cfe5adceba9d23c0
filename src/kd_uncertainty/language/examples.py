"""What a student is trained on: prompts with the responses that were chosen for it, as tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kd_uncertainty.language.training import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

DISTRIBUTIONS = "top_ids", "top_log_probs", "tail_mass"


def needs_distributions(method: str) -> bool:
    """Whether students of a method learn from the teacher's probabilities, and not from its words alone."""
    return method == "token"


def with_tokens(
    prompts: pd.DataFrame,
    responses: pd.DataFrame,
    tokenizer: PreTrainedTokenizerBase,
    *,
    keep: bool,
    stop: Sequence[str],
) -> pd.DataFrame:
    """Return the responses with columns prompt_ids and answer_ids, indexed by prompt and draw.

    Sampled tokens are taken as they are, the one that ended the answer included. Where there are none (an API's
    answers), or the student has another tokenizer, the text is split into tokens after a space, with the first stop
    string behind it, or the end of a text where there is no stop string.

    Args:
        prompts: columns prompt and text.
        responses: of ``read_responses``.
        tokenizer: the student's.
        keep: whether token_ids of the responses are of this tokenizer.
        stop: texts that end an answer.
    """
    texts = dict(zip(prompts["prompt"], prompts["text"], strict=True))
    ids = {prompt: tuple(tokenizer(text)["input_ids"]) for prompt, text in texts.items()}
    table = responses.copy()
    table["prompt_ids"] = [ids[prompt] for prompt in table["prompt"]]
    if keep and "token_ids" in table:
        table["answer_ids"] = [tuple(int(token) for token in tokens) for tokens in table["token_ids"]]
    else:
        end = [] if stop else [int(tokenizer.eos_token_id)]
        said = [f" {answer}{stop[0] if stop else ''}" for answer in table["answer"]]
        encoded = tokenizer(said, add_special_tokens=False)["input_ids"]
        table["answer_ids"] = [(*tokens, *end) for tokens in encoded]
    return table.set_index(["prompt", "draw"])


def examples_of(
    row: Mapping[str, Any], targets: pd.DataFrame, learnt: pd.DataFrame, distributions: bool
) -> list[Example]:
    """Return the examples of one student, ordered by prompt and draw.

    Args:
        row: of the plan; arm and response_level.
        targets: columns arm, response_level, prompt and draw.
        learnt: of :func:`with_tokens`.
        distributions: whether the student learns from the teacher's probabilities.
    """
    own = targets[(targets["arm"] == row["arm"]) & (targets["response_level"] == row["response_level"])]
    rows = learnt.loc[list(zip(own["prompt"], own["draw"], strict=True))]
    records: list[Any] = list(rows.itertuples())
    return [
        Example(record.prompt_ids, record.answer_ids, *(_distributions(record) if distributions else ()))
        for record in records
    ]


def _distributions(record: Any) -> tuple[Any, ...]:
    ids = np.stack([np.asarray(own, dtype=np.int64) for own in record.top_ids])
    log_probs = np.stack([np.asarray(own, dtype=np.float32) for own in record.top_log_probs])
    return ids, log_probs, np.asarray(record.tail_mass, dtype=np.float32)
