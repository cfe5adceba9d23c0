"""A student's answers as the tensors of its shard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from kd_uncertainty.language._response_table import NO_TOKEN
from kd_uncertainty.language.generation import Sampled


class _Column(NamedTuple):
    source: str
    empty: float
    kind: torch.dtype


_COLUMNS = {
    "answer_ids": _Column("token_ids", NO_TOKEN, torch.int32),
    "log_probs": _Column("log_probs", float("nan"), torch.float32),
    "entropy": _Column("entropy", float("nan"), torch.float32),
}


def stacked(answers: Sequence[Sequence[Sampled]]) -> dict[str, Tensor]:
    """Return one student's answers, padded to the longest: (1, prompts, answers, tokens); "finished" has no tokens.

    Args:
        answers: of each prompt, as many of each.
    """
    longest = max(len(answer.token_ids) for own in answers for answer in own)
    shape = (len(answers), len(answers[0]), longest)
    found = {"finished": torch.tensor([[[answer.finished for answer in own] for own in answers]])}
    for name, column in _COLUMNS.items():
        values = torch.full(shape, column.empty, dtype=column.kind)
        for prompt, own in enumerate(answers):
            for sample, answer in enumerate(own):
                tokens = torch.from_numpy(getattr(answer, column.source))
                values[prompt, sample, : len(tokens)] = tokens.to(column.kind)
        found[name] = values[None]
    return found
