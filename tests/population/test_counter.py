"""Philox against its authors' known answers and a second implementation; words are nested, independent and portable."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch.func import vmap

from kd_uncertainty.population import counter
from kd_uncertainty.population.counter import (
    DROPOUT,
    INITIALISATION,
    ORDER,
    as_seeds,
    philox_orders,
    philox_words,
    philox_words_torch,
    use_implementation,
)

ONES = 0xFFFFFFFF
# Random123 1.14, examples/kat_vectors, philox4x32 10: counter, key, result
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
SEEDS = as_seeds([0, 1, 7, 2**32, 2**63 - 1, 2**64 - 1, 0x1234567890ABCDEF])


@pytest.fixture(autouse=True)
def by_numpy(monkeypatch):
    """Numpy's own words, whatever implementation other tests have loaded, which comes back afterwards."""
    monkeypatch.setattr(counter, "_implementation", counter._implementation)
    use_implementation()


def _philox(c, k):
    """One block in Python's unbounded integers, written from section 3.3 of the paper."""
    for i in range(10):
        key = [(k[0] + i * 0x9E3779B9) % 2**32, (k[1] + i * 0xBB67AE85) % 2**32]
        high0, low0 = divmod(0xD2511F53 * c[0], 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c[2], 2**32)
        c = (high1 ^ c[1] ^ key[0], low1, high0 ^ c[3] ^ key[1], low0)
    return c


def _expected(seed, stream, purpose, count):
    key = seed % 2**32, seed // 2**32
    return [_philox((word // 4, stream % 2**32, stream // 2**32, purpose), key)[word % 4] for word in range(count)]


@pytest.mark.parametrize(("block", "key", "expected"), KNOWN_ANSWERS)
def test_known_answers(block, key, expected):
    assert _philox(block, key) == expected
    arrays = [np.array([number], dtype=np.uint64) for number in (*block, *key)]
    assert tuple(int(word[0]) for word in counter._rounds(*arrays)) == expected
    tensors = [torch.tensor(number) for number in (*block, *key)]
    assert tuple(int(word) for word in counter._rounds(*tensors)) == expected


@pytest.mark.parametrize("stream", [0, 5, 2**32 + 3, 2**64 - 1])
@pytest.mark.parametrize("count", [0, 1, 4, 7, 101])
def test_words_are_philox_under_seed_stream_and_purpose(stream, count):
    words = philox_words(SEEDS, stream, INITIALISATION, count)
    assert words.dtype == np.uint32
    assert words.shape == (len(SEEDS), count)
    for row, seed in enumerate(SEEDS.tolist()):
        assert words[row].tolist() == _expected(seed, stream, INITIALISATION, count)


def test_every_row_may_have_its_own_stream():
    streams = np.array([3, 2**40, 0, 1, 2, 3, 4], dtype=np.uint64)
    words = philox_words(SEEDS, streams, DROPOUT, 6)
    for row, stream in enumerate(streams.tolist()):
        assert np.array_equal(words[row], philox_words(SEEDS, stream, DROPOUT, 6)[row])


def test_tiles_change_nothing(monkeypatch):
    expected = philox_words(SEEDS, 9, ORDER, 400)
    for tile in (1, 3, 100, 250):
        monkeypatch.setattr(counter, "_TILE", tile)
        assert np.array_equal(philox_words(SEEDS, 9, ORDER, 400), expected)
        assert np.array_equal(philox_words(SEEDS[2:4], 9, ORDER, 399), expected[2:4, :399])


def test_words_are_uniform_and_uncorrelated_across_seeds_streams_and_purposes():
    count = 40_000
    rows = np.concatenate(
        [philox_words(as_seeds([11, 12]), stream, purpose, count) for stream in (0, 1) for purpose in (1, 2)]
    )
    cells = np.apply_along_axis(np.bincount, 1, rows >> 24, minlength=256)  # upper bits
    low = np.apply_along_axis(np.bincount, 1, rows & 255, minlength=256)
    assert stats.chisquare(cells, axis=1).pvalue.min() > 1e-4
    assert stats.chisquare(low, axis=1).pvalue.min() > 1e-4
    correlations = np.corrcoef(rows / 2.0**32)[np.triu_indices(len(rows), 1)]
    assert np.abs(correlations).max() < 4.5 / np.sqrt(count)


def test_seeds_are_taken_modulo_two_to_the_64():
    assert as_seeds([-1, 2**64 + 5, np.int64(3)]).tolist() == [2**64 - 1, 5, 3]


@pytest.mark.parametrize("stream", [0, 2**32 + 3, 2**62 + 2**33 + 1])
def test_torch_gives_the_same_words_alone_and_under_vmap(stream):
    seeds, streams = torch.from_numpy(SEEDS.view(np.int64)), torch.tensor(stream)
    expected = torch.from_numpy(philox_words(SEEDS, stream, DROPOUT, 30).astype(np.int64))
    assert torch.equal(philox_words_torch(seeds, streams, DROPOUT, 30), expected)
    one_by_one = vmap(lambda seed: philox_words_torch(seed, streams, DROPOUT, 30))
    assert torch.equal(one_by_one(seeds), expected)
    assert torch.equal(philox_words_torch(seeds[3], streams, DROPOUT, 30), expected[3])


def test_torch_takes_a_stream_for_each_seed():
    seeds, streams = torch.tensor([5, 6]), torch.tensor([1, 2**33])
    expected = philox_words(as_seeds([5, 6]), np.array([1, 2**33], dtype=np.uint64), DROPOUT, 9)
    assert torch.equal(philox_words_torch(seeds, streams, DROPOUT, 9), torch.from_numpy(expected.astype(np.int64)))


def test_orders_sort_positions_by_their_words():
    orders = philox_orders(SEEDS, 4, 50)
    words = philox_words(SEEDS, 4, ORDER, 50)
    for order, own in zip(orders, words, strict=True):
        assert order.tolist() == sorted(range(50), key=lambda position, own=own: (own[position], position))


def test_equal_words_keep_the_order_of_positions():
    words = np.array([[5, 2, 5, ONES, 2, 0], [ONES, ONES, ONES, 0, 0, 0]], dtype=np.uint32)
    assert counter._sorted_positions(words).tolist() == [[5, 1, 4, 0, 2, 3], [3, 4, 5, 0, 1, 2]]


def test_another_implementation_takes_over_and_hands_back():
    asked = []

    def words(seeds, streams, purpose, count):
        asked.append((seeds.tolist(), streams.tolist(), purpose, count))
        return np.full((len(seeds), count), 8, dtype=np.uint32)

    def orders(seeds, epoch, count):
        return np.tile(np.arange(count)[::-1], (len(seeds), 1))

    use_implementation(words, orders)
    assert philox_words(SEEDS[:2], 3, DROPOUT, 2).tolist() == [[8, 8], [8, 8]]
    assert asked == [([0, 1], [3, 3], DROPOUT, 2)]
    assert philox_orders(SEEDS[:1], 0, 3).tolist() == [[2, 1, 0]]
    use_implementation()
    assert philox_words(SEEDS[:1], 3, DROPOUT, 5)[0].tolist() == _expected(0, 3, DROPOUT, 5)
