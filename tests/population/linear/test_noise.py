"""Normal numbers: the bits of the contract, the distribution, and purity."""

import math

import numpy as np
import pytest
from scipy import stats

from kd_uncertainty.population.counter import NOISE, philox_words
from kd_uncertainty.population.linear import noise
from kd_uncertainty.population.linear.noise import numpy_normals, standard_normals, use_normals
from kd_uncertainty.population.native import library
from tests.population.linear.worlds import seeds_of

FROZEN = {  # seeds 0, 1 and 0xFEDCBA9876543210: the first five normals of a stream, for ever
    0: (
        "-0x1.fa31271c66432p+0 0x1.60daf53140766p-1 -0x1.3c5fe8986073ap+0 -0x1.5e00f072d81bbp-6 -0x1.7642faba96312p-1",
        "-0x1.835d8902e5b98p+0 0x1.9f31d6e5da778p-3 -0x1.35051d6b0f895p+0 0x1.da5aa31593539p-2 0x1.c21f7b9922207p+0",
        "-0x1.f7d163feb6050p-5 0x1.51a9b6a7c761ep+0 0x1.3cfde72d8f8d4p-1 0x1.d1e0f3994b529p-4 0x1.e393de78352ecp-3",
    ),
    (3 << 32) | 5: (
        "-0x1.d8b22a4361198p+0 -0x1.41df5dfa3503bp-2 -0x1.0c3ad890fb434p+0 -0x1.cc58e8f28293cp+0 0x1.6ae56e59459fep-4",
        "0x1.2001d0b7564b4p-2 0x1.bc683b9804e88p-1 0x1.53966c1a15f1ap-1 -0x1.0ba59dc4e563dp-2 -0x1.861d02c8ad10ap+0",
        "-0x1.c6b59084c5aa8p-4 0x1.92d335662f3ffp+0 0x1.4427f60249d7fp+0 0x1.4274fb1ef6c63p+0 0x1.a382b5d835da0p-2",
    ),
}


@pytest.mark.parametrize("stream", FROZEN)
def test_bits_stay_for_ever(stream):
    seeds = np.array([0, 1, 0xFEDCBA9876543210], dtype=np.uint64)
    expected = [[float.fromhex(number) for number in row.split()] for row in FROZEN[stream]]
    np.testing.assert_array_equal(standard_normals(seeds, stream, 5), expected)


def test_normals_are_box_muller_of_the_words():
    seeds = seeds_of(300)
    words = philox_words(seeds, 7, NOISE, 50)
    radius = np.sqrt(-2 * np.log((words[:, 0::2] + 0.5) / 2**32))
    angle = np.pi * ((words[:, 1::2] - 2.0**31) / 2**31)
    normals = standard_normals(seeds, 7, 50)
    np.testing.assert_allclose(normals[:, 0::2], radius * np.cos(angle), rtol=0, atol=5e-15)
    np.testing.assert_allclose(normals[:, 1::2], radius * np.sin(angle), rtol=0, atol=5e-15)


def test_arithmetic_of_extreme_words():
    words = [0, 1, 2, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1]
    # where the logarithm changes its exponent: u just below and above sqrt(1/2) 2^-k
    words += [int(2**32 * math.sqrt(0.5) * 2.0**-shift) + step for shift in range(31) for step in (-1, 0, 1)]
    found = noise._radius(np.array([words], dtype=np.uint64))
    expected = [math.sqrt(-2 * math.log1p((word + 0.5 - 2**32) / 2**32)) for word in words]
    np.testing.assert_allclose(found[0], expected, rtol=1e-15)


@pytest.mark.parametrize("word", [0, 1, 2**30, 2**31 - 1, 2**31, 2**31 + 2**30, 2**32 - 1])
def test_arithmetic_of_extreme_angles(word):
    found = np.empty((1, 1, 2))
    noise._project(np.array([[word]], dtype=np.uint64), np.ones((1, 1)), found)
    angle = math.pi * (word - 2**31) / 2**31
    np.testing.assert_allclose(found[0, 0], [math.cos(angle), math.sin(angle)], rtol=0, atol=1e-15)


def test_variance_of_all_words_is_one_within_1e_10():
    words = 2.0**32
    # half the mean of radius^2 over all words, by log gamma: 1 - log(2) / 2^33
    log_of_product = math.lgamma(words + 0.5) - math.lgamma(0.5)
    assert math.log(words) - log_of_product / words == pytest.approx(1, abs=1e-10)


def test_a_normal_depends_on_seed_stream_and_position_alone():
    seeds = seeds_of(500)
    normals = standard_normals(seeds, 2, 203)
    np.testing.assert_array_equal(standard_normals(seeds, 2, 100), normals[:, :100])  # a prefix
    np.testing.assert_array_equal(standard_normals(seeds, 2, 1), normals[:, :1])
    np.testing.assert_array_equal(standard_normals(seeds[[7]], 2, 203), normals[[7]])  # alone
    np.testing.assert_array_equal(standard_normals(seeds[::-2], 2, 203), normals[::-2])  # other neighbours
    assert standard_normals(seeds[:0], 2, 5).shape == (0, 5)


def test_memory_is_used_again():
    seeds, memory = seeds_of(10), np.full((10, 6), np.nan)
    assert standard_normals(seeds, 1, 6, out=memory) is memory
    np.testing.assert_array_equal(memory, standard_normals(seeds, 1, 6))


def test_distribution_is_normal():
    normals = standard_normals(seeds_of(5000), 0, 200).ravel()
    count = normals.size
    assert abs(normals.mean()) < 4 / math.sqrt(count)
    assert abs(normals.var() - 1) < 4 * math.sqrt(2 / count)
    assert abs((normals**3).mean()) < 4 * math.sqrt(15 / count)
    assert abs((normals**4).mean() - 3) < 4 * math.sqrt(96 / count)
    assert stats.kstest(normals, "norm").pvalue > 1e-3
    for limit in (2.0, 3.0, 4.0):
        share = 2 * stats.norm.sf(limit)
        assert abs((np.abs(normals) > limit).mean() - share) < 4 * math.sqrt(share / count)


def test_normals_of_pairs_positions_streams_and_seeds_are_uncorrelated():
    first, second = (standard_normals(np.arange(4000, dtype=np.uint64), stream, 8) for stream in (0, 1))
    both = np.concatenate([first, second, np.roll(first, 1, axis=0)], axis=1)  # neighbours have consecutive seeds
    for transformed in (both, both**2):
        correlations = np.corrcoef(transformed.T)[np.triu_indices(24, 1)]
        assert np.abs(correlations).max() < 4.5 / math.sqrt(4000)


def test_another_implementation_can_take_over():
    seen = []

    def implementation(seeds, stream, out):
        seen.append((len(seeds), stream, out.shape))
        numpy_normals(seeds, stream, out)

    expected, before = standard_normals(seeds_of(3), 4, 7), noise._normals
    try:
        use_normals(implementation)
        np.testing.assert_array_equal(standard_normals(seeds_of(3), 4, 7), expected)
        assert seen == [(3, 4, (3, 7))]
        use_normals()
        assert noise._normals is numpy_normals
    finally:
        use_normals(before)


def test_the_compiled_generator_gives_the_same_bits():
    if obstacle := library.obstacle():
        pytest.skip(obstacle)
    for count in (1, 2, 3, 4, 5, 31, 200, 333):
        for stream in (0, 1, (3 << 32) | 5, 1 << 63):
            seeds, expected = seeds_of(100, base=count), np.empty((100, count))
            numpy_normals(seeds, stream, expected)
            np.testing.assert_array_equal(standard_normals(seeds, stream, count), expected)
