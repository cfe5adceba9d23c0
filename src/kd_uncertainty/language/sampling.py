r"""How the next token is drawn, and what is said of the distribution it is drawn from.

A token is the argmax of processed logits plus Gumbel noise, ``argmax_v (z_v + g_v)``, which has the probabilities
``softmax(z)`` (Gumbel-max; Yellott 1977). The noise ``g_v`` is a pure function of (seed of the draw, position, token):
a draw depends on no other draw, and it stays the same token where rounding moves the logits a little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from kd_uncertainty.errors import UserError
from kd_uncertainty.language.options import SamplingOptions
from kd_uncertainty.population.counter import NOISE, philox_words_torch

if TYPE_CHECKING:
    from transformers import LogitsProcessorList

_ROWS_AT_ONCE = 64
"""Distributions described at once: temporary arrays are as wide as the vocabulary."""


class TokenStatistics(NamedTuple):
    """What is kept of the distributions that tokens were drawn from, of temperature 1 and with nothing cut off.

    Attributes:
        log_probs: of the drawn tokens, (...), nats.
        entropy: exact, (...), nats.
        top_ids: the most probable tokens, (..., K).
        top_log_probs: theirs, (..., K), nats, descending.
        tail_mass: probability of all others together, (...).
    """

    log_probs: Tensor
    entropy: Tensor
    top_ids: Tensor
    top_log_probs: Tensor
    tail_mass: Tensor


def logits_processors(options: SamplingOptions, device: torch.device) -> LogitsProcessorList:
    """Return transformers' own processors, in the order of ``generate``: repetition, temperature, top-k, top-p.

    Args:
        options: those that change nothing are left out.
        device: of the logits.
    """
    import transformers

    chain: list[Any] = []
    if options.repetition_penalty != 1.0:
        chain.append(transformers.RepetitionPenaltyLogitsProcessor(options.repetition_penalty))
    if options.temperature != 1.0:
        chain.append(transformers.TemperatureLogitsWarper(options.temperature))
    if options.top_k > 0:
        chain.append(transformers.TopKLogitsWarper(options.top_k))
    if options.top_p < 1.0:
        chain.append(transformers.TopPLogitsWarper(options.top_p))
    return transformers.LogitsProcessorList(chain)


def gumbel_noise(seeds: Tensor, position: int, tokens: Tensor) -> Tensor:
    """Return standard Gumbel variables ``-log(-log u)``, float64, in the common shape of seeds and tokens.

    ``u`` has 52 random bits, of the stream (position, token) under the key seed.

    Args:
        seeds: of the draws, int64.
        position: in the answer, from 0, below 2^31.
        tokens: their numbers, int64, below 2^32.
    """
    words = philox_words_torch(seeds, tokens + (position << 32), NOISE, 2)
    bits = (words[..., 0] << 20) | (words[..., 1] >> 12)
    return -torch.log(-torch.log((bits.double() + 0.5) * 2.0**-52))


def draw_tokens(scores: Tensor, seeds: Tensor, position: int) -> Tensor:
    """Draw a token of each row from ``softmax(scores)``, (rows,) int64.

    Args:
        scores: processed logits, (rows, vocabulary); minus infinity cannot be drawn and needs no noise.
        seeds: of the draws, (rows,) int64.
        position: in the answer, from 0.

    Raises:
        UserError: if a row has logits that are not numbers.
    """
    rows, tokens = torch.nonzero(scores != -torch.inf, as_tuple=True)
    noisy = scores[rows, tokens].double() + gumbel_noise(seeds[rows], position, tokens)
    # a maximum over what can be drawn, often few tokens of a vocabulary; one that is not a number equals nothing
    most = noisy.new_full(seeds.shape, -torch.inf).scatter_reduce(0, rows, noisy, "amax")
    won = noisy == most[rows]
    drawn = torch.full_like(seeds, -1).scatter(0, rows[won], tokens[won])
    if (drawn < 0).any():
        raise UserError("a language model gave logits that are not numbers; set its dtype to bfloat16 or float32")
    return drawn


def token_statistics(logits: Tensor, tokens: Tensor, top: int | None) -> TokenStatistics:
    """Describe the distributions ``softmax(logits)`` and the tokens that were drawn.

    Args:
        logits: as the model gives them, (rows, vocabulary).
        tokens: drawn, (rows,) int64.
        top: K, how many of the most probable tokens are kept, at most the vocabulary; None keeps none.
    """
    pairs = zip(torch.split(logits, _ROWS_AT_ONCE), torch.split(tokens, _ROWS_AT_ONCE), strict=True)
    pieces = [_statistics(some.float(), those, min(top or 0, logits.shape[-1])) for some, those in pairs]
    return TokenStatistics(*(torch.cat(values) for values in zip(*pieces, strict=True)))


def _statistics(logits: Tensor, tokens: Tensor, top: int) -> TokenStatistics:
    log_probs = logits.log_softmax(dim=-1)
    probabilities = log_probs.exp()
    # 0 log 0 = 0: a logit of minus infinity, as of padding of the vocabulary, adds nothing
    entropy = -torch.linalg.vecdot(probabilities, log_probs.clamp(min=torch.finfo(log_probs.dtype).min))
    top_log_probs, top_ids = log_probs.topk(top, dim=-1)
    tail = -torch.expm1(top_log_probs.double().logsumexp(dim=-1)) if top else torch.ones_like(entropy)
    drawn = log_probs.gather(-1, tokens[:, None])[:, 0]
    return TokenStatistics(drawn, entropy, top_ids, top_log_probs, tail.clamp(min=0.0).to(entropy.dtype))
