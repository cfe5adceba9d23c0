"""Seeds and numbers are stable, independent and pure."""

import subprocess
import sys

import numpy as np
from scipy import stats

from kd_uncertainty.population.seeds import batch_order, derive_seed, random_bits, uniforms


def test_derived_seeds_are_the_same_in_another_process_and_for_ever():
    assert derive_seed(3, "order", 0) == 840164267124236097
    code = "from kd_uncertainty.population.seeds import derive_seed; print(derive_seed(3, 'order', 0))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(out) == derive_seed(3, "order", 0)


def test_derived_seeds_fit_63_bits_and_never_collide():
    seeds = {derive_seed(base, name, i) for base in range(10) for name in ("a", "b", "ab") for i in range(200)}
    assert len(seeds) == 10 * 3 * 200
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_keys_are_told_apart_by_type_and_boundary():
    paths = [("a", "b"), ("ab",), ("ab", ""), ("b", "a"), ("1",), (1,), (1, 1), (11,), (-1,), ("i1",)]
    assert len({derive_seed(0, *path) for path in paths}) == len(paths)


def test_numpy_integers_are_integers():
    assert derive_seed(np.int64(3), "a", np.int64(2)) == derive_seed(3, "a", 2)


def test_bits_of_seeds_are_fair():
    seeds = np.array([derive_seed(0, "x", i) for i in range(4000)])
    ones = np.array([((seeds >> bit) & 1).mean() for bit in range(63)])
    assert np.abs(ones - 0.5).max() < 5 * 0.5 / np.sqrt(4000)


def test_random_bits_are_philox_nested_and_keyed():
    expected = np.random.Generator(np.random.Philox(key=np.array([5, 7], dtype=np.uint64))).bit_generator.random_raw(9)
    assert np.array_equal(random_bits(5, 7, 9), expected)
    assert np.array_equal(random_bits(5, 7, 4), random_bits(5, 7, 9)[:4])
    assert not np.array_equal(random_bits(5, 8, 9), random_bits(5, 7, 9))


def test_uniforms_are_uniform_and_streams_uncorrelated():
    numbers = np.stack([uniforms(11, stream, 20_000) for stream in range(3)])
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert stats.kstest(numbers.ravel(), "uniform").pvalue > 1e-3
    correlations = np.corrcoef(numbers)[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 4 / np.sqrt(20_000)


def test_batch_order_is_a_pure_permutation():
    order = batch_order(1, 0, 100)
    assert np.array_equal(np.sort(order), np.arange(100))
    again = order.copy()
    batch_order.cache_clear()
    assert np.array_equal(batch_order(1, 0, 100), again)
    assert not np.array_equal(batch_order(1, 1, 100), again)
    assert not np.array_equal(batch_order(2, 0, 100), again)
    assert not order.flags.writeable


def test_batch_order_is_uniform_over_permutations():
    counts = np.unique([batch_order(9, epoch, 4) for epoch in range(4800)], axis=0, return_counts=True)[1]
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-3
