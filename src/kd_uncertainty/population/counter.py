"""Counter-based random numbers: any word of any stream of any seed, computed without what comes before it.

Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3) turns a
128-bit counter into four 32-bit words under a 64-bit key. Here the key is a seed, and the counter is (block, low and
high half of the stream, purpose); word ``w`` of a stream is output ``w % 4`` of block ``w // 4``. So each student has
its own numbers, whoever is trained beside it, on any device, and in any order.

The words come from numpy, or from a faster implementation of the same bits, once there is one
(:func:`use_implementation`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ORDER, INITIALISATION, DROPOUT, NOISE, AUGMENTATION = 1, 2, 3, 4, 5
"""Purposes: what a stream of numbers is for, so that one seed may serve several."""

Words = Callable[[NDArray[np.uint64], NDArray[np.uint64], int, int], NDArray[np.uint32]]
"""From seeds (rows,), streams (rows,), purpose and count to words (rows, count)."""

Orders = Callable[[NDArray[np.uint64], int, int], NDArray[np.int64]]
"""From seeds (rows,), epoch and count to permutations (rows, count)."""

_MASK_32, _MASK_64 = (1 << 32) - 1, (1 << 64) - 1
_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85  # added to the key after each round
_ROUNDS = 10
_TILE = 1 << 14  # blocks computed at once, so that temporary arrays (128 KiB each) stay in cache


def as_seeds(seeds: Iterable[int]) -> NDArray[np.uint64]:
    """Return seeds as (rows,) uint64, modulo 2^64."""
    return np.array([int(seed) & _MASK_64 for seed in seeds], dtype=np.uint64)


def philox_words(
    seeds: NDArray[np.uint64], stream: int | NDArray[np.uint64], purpose: int, count: int
) -> NDArray[np.uint32]:
    """Return the first ``count`` words of each seed's stream, (rows, count).

    A shorter request is a prefix of a longer one; seeds, streams and purposes give independent words.

    Args:
        seeds: (rows,), the keys.
        stream: one for all rows or (rows,), below 2^64.
        purpose: below 2^32.
        count: words a row, at most 2^34.
    """
    streams = np.broadcast_to(np.asarray(stream, dtype=np.uint64), seeds.shape)
    return _implementation.words(seeds, np.ascontiguousarray(streams), purpose, count)


def philox_orders(seeds: NDArray[np.uint64], epoch: int, count: int) -> NDArray[np.int64]:
    """Return a permutation of ``count`` positions for each seed, (rows, count): positions sorted by their words.

    Position ``i`` has word ``i`` of stream ``epoch`` for the purpose ORDER; equal words keep the order of positions.
    """
    return _implementation.orders(seeds, epoch, count)


def philox_words_torch(seeds: Tensor, streams: Tensor, purpose: int, count: int) -> Tensor:
    """Return what :func:`philox_words` does, (..., count) int64, in torch operations on the device of the seeds.

    No value is read on the host, so that it works within CUDA graphs and ``torch.func`` transforms.

    Args:
        seeds: (...) int64, the keys' bits.
        streams: (...) int64, the streams' bits, or what broadcasts with the seeds.
        purpose: below 2^32.
        count: words of each.
    """
    blocks = torch.arange(-(-count // 4), device=seeds.device)
    seeds, streams = seeds.unsqueeze(-1), streams.unsqueeze(-1)
    counter = blocks, streams & _MASK_32, (streams >> 32) & _MASK_32, torch.full_like(blocks, purpose)
    words = _rounds(*counter, seeds & _MASK_32, (seeds >> 32) & _MASK_32)
    return torch.stack(words, dim=-1).flatten(-2)[..., :count]


def use_implementation(words: Words | None = None, orders: Orders | None = None) -> None:
    """Compute words and orders by these functions from now on; None is numpy. They must give the same bits."""
    global _implementation  # noqa: PLW0603
    _implementation = _Implementation(words or _numpy_words, orders or _numpy_orders)


def _rounds(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> tuple[Any, Any, Any, Any]:
    """Return Philox's four outputs, for arrays (uint64) and tensors (int64) of 32-bit numbers that broadcast.

    Outputs 1 and 3 are the low halves of products, which are cut off only where their high halves would do harm:
    right before the next multiplication. Signed products wrap around to the same bits.
    """
    for _ in range(_ROUNDS):
        even, odd = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1 = ((odd >> 32) ^ c1 ^ k0) & _MASK_32, odd
        c2, c3 = ((even >> 32) ^ c3 ^ k1) & _MASK_32, even
        k0, k1 = (k0 + _WEYL[0]) & _MASK_32, (k1 + _WEYL[1]) & _MASK_32
    return c0, c1 & _MASK_32, c2, c3 & _MASK_32


def _numpy_words(
    seeds: NDArray[np.uint64], streams: NDArray[np.uint64], purpose: int, count: int
) -> NDArray[np.uint32]:
    rows, blocks = len(seeds), -(-count // 4)
    words = np.empty((rows, blocks, 4), dtype=np.uint32)
    width = max(min(blocks, _TILE), 1)
    height = max(_TILE // width, 1)
    for top in range(0, rows, height):
        seed, stream = seeds[top : top + height, None], streams[top : top + height, None]
        halves = stream & _MASK_32, stream >> 32
        key = seed & _MASK_32, seed >> 32
        for left in range(0, blocks, width):
            tile = words[top : top + height, left : left + width]
            block = np.arange(left, left + tile.shape[1], dtype=np.uint64)[None]
            for output, values in enumerate(_rounds(block, *halves, np.full_like(block, purpose), *key)):
                tile[..., output] = values
    return words.reshape(rows, 4 * blocks)[:, :count]


def _numpy_orders(seeds: NDArray[np.uint64], epoch: int, count: int) -> NDArray[np.int64]:
    words = _numpy_words(seeds, np.full_like(seeds, epoch), ORDER, count)
    return _sorted_positions(words)


def _sorted_positions(words: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return the positions (rows, count) that sort each row by (word, position)."""
    keys = words.astype(np.uint64) << np.uint64(32)
    keys |= np.arange(words.shape[1], dtype=np.uint64)
    keys.sort(axis=1)
    keys &= np.uint64(_MASK_32)
    return keys.view(np.int64)


@dataclass(frozen=True)
class _Implementation:
    words: Words
    orders: Orders


_implementation = _Implementation(_numpy_words, _numpy_orders)
