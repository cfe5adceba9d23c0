"""Seeds and numbers are stable, independent and pure."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from kd_uncertainty.population.seeds import batch_orders, derive_seed, random_bits, uniforms


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


def test_batch_orders_are_pure_permutations_of_every_students_own():
    orders = batch_orders([1, 2, 1, 5], 3, 100)
    assert orders.dtype == np.int64
    assert np.array_equal(np.sort(orders), np.tile(np.arange(100), (4, 1)))
    assert np.array_equal(orders[0], orders[2])
    for seed, order in zip([1, 2, 1, 5], orders, strict=True):
        assert np.array_equal(order, batch_orders([seed], 3, 100)[0])
    orders[0, 0] = -1
    assert orders[2, 0] >= 0
    assert np.array_equal(batch_orders([1], 3, 100)[0, 1:], orders[0, 1:])


def test_batch_orders_are_the_same_for_ever():
    """Epoch 2 under seed 7, from an implementation in plain integers; see the tests of ``counter``."""
    assert batch_orders([7], 2, 8).tolist() == [[4, 0, 5, 3, 7, 6, 1, 2]]


@pytest.mark.parametrize("varied", ["epochs", "seeds"])
def test_batch_orders_are_uniform_over_permutations(varied):
    if varied == "epochs":
        orders = np.concatenate([batch_orders([9], epoch, 4) for epoch in range(4800)])
    else:
        orders = batch_orders(range(200_000), 0, 4)
    counts = np.unique(orders, axis=0, return_counts=True)[1]
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-3


def test_every_example_is_equally_likely_in_every_place():
    examples, students = 37, 6000
    orders = batch_orders(range(students), 1, examples)
    counts = np.zeros((examples, examples))
    np.add.at(counts, (np.broadcast_to(np.arange(examples), orders.shape), orders), 1)
    expected = students / examples
    # Rows and columns have fixed sums; of the squares' total, (examples - 1)^2 degrees of freedom remain, and each
    # square weighs examples / (examples - 1) too little.
    statistic = ((counts - expected) ** 2 / expected).sum() * (examples - 1) / examples
    assert 1e-3 < stats.chi2.sf(statistic, (examples - 1) ** 2) < 1 - 1e-3


def test_orders_of_different_epochs_and_seeds_are_uncorrelated():
    examples = 20_000
    orders = np.concatenate([batch_orders([4, 5, 6], epoch, examples) for epoch in range(3)])
    correlations = np.corrcoef(orders)[np.triu_indices(9, 1)]
    assert np.abs(correlations).max() < 4.5 / np.sqrt(examples)
