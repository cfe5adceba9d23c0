"""Seeds and random numbers as pure functions of named keys: nothing to save, nothing shared by accident.

Three generators are used, all specified bit for bit outside this project: BLAKE2b (RFC 7693) to derive seeds, and
Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") for the numbers themselves: 4x64-10 for a few
long sequences, whose raw outputs are taken from numpy, and 4x32-10 for what every student needs (see ``counter``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.population.counter import as_seeds, philox_orders

_MASK_63 = (1 << 63) - 1


def derive_seed(base: int, *keys: str | int) -> int:
    """Derive an independent 63-bit seed from a base seed and a path of names, e.g. ``derive_seed(3, "order", 0)``.

    The keys are encoded with their type and length, so that ``("a", "b")`` and ``("ab",)``, or ``1`` and ``"1"``,
    never collide; the seed is the first 8 bytes of their BLAKE2b digest without the sign bit. The same on every
    machine and in every process.
    """
    digest = hashlib.blake2b(digest_size=8, person=b"kd-seed")
    for key in (base, *keys):
        encoded = (f"i{int(key)}" if isinstance(key, int | np.integer) else f"s{key}").encode()
        digest.update(len(encoded).to_bytes(4, "little") + encoded)
    return int.from_bytes(digest.digest(), "little") & _MASK_63


def random_bits(seed: int, stream: int, count: int) -> NDArray[np.uint64]:
    """Return the first ``count`` raw 64-bit outputs of Philox under the key ``(seed, stream)``.

    A shorter request is a prefix of a longer one; different keys give independent numbers.
    """
    key = np.array([seed, stream], dtype=np.uint64)
    return np.asarray(np.random.Philox(key=key).random_raw(count), dtype=np.uint64)


def uniforms(seed: int, stream: int, count: int) -> NDArray[np.float64]:
    """Return ``count`` numbers in [0, 1) with 53 random bits each, from :func:`random_bits`."""
    return np.asarray((random_bits(seed, stream, count) >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def batch_orders(order_seeds: Sequence[int], epoch: int, num_examples: int) -> NDArray[np.int64]:
    """Return the orders in which students visit their training examples in one epoch, (students, examples).

    A pure function of each student's own seed: the positions sorted by (word, position), where the words are those of
    stream ``epoch`` (see ``counter``). Students with equal seeds have equal orders, which are computed once.

    Args:
        order_seeds: one a student.
        epoch: from 0.
        num_examples: training examples.
    """
    different = {seed: row for row, seed in enumerate(dict.fromkeys(order_seeds))}
    orders = philox_orders(as_seeds(different), epoch, num_examples)
    return orders if len(different) == len(order_seeds) else orders[[different[seed] for seed in order_seeds]]
