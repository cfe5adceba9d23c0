"""Few-shot subsets: nested, stratified, of the asked size, different from seed to seed."""

from itertools import pairwise

import numpy as np
import pytest

from kd_uncertainty.comparison.subsets import nested_rows, subset_size

LABELS = np.random.default_rng(0).choice(4, 400, p=[0.5, 0.3, 0.15, 0.05])
FRACTIONS = (0.05, 0.1, 0.2, 0.5, 1.0)


@pytest.mark.parametrize(("fraction", "size"), [(0.05, 20), (0.5, 200), (1.0, 400), (0.001, 1)])
def test_a_subset_has_its_share_of_the_examples(fraction, size):
    rows = nested_rows(LABELS, fraction, [1, 2])
    assert rows.shape == (2, size)
    assert size == subset_size(400, fraction)
    assert all(len(set(own)) == size for own in rows)


def test_smaller_subsets_are_inside_larger_ones():
    for seed in range(5):
        chain = [set(nested_rows(LABELS, fraction, [seed])[0]) for fraction in FRACTIONS]
        assert all(small < large for small, large in pairwise(chain))


def test_classes_keep_their_shares_to_within_two_examples():
    counts = np.bincount(LABELS)
    for fraction in FRACTIONS:
        for own in nested_rows(LABELS, fraction, range(20)):
            found = np.bincount(LABELS[own], minlength=4)
            assert np.abs(found - counts * len(own) / 400).max() < 2.0


def test_no_example_is_preferred():
    """Each is in a tenth of the subsets: over 2,000 seeds the standard error of a share is .0067."""
    rows = nested_rows(LABELS, 0.1, range(2000))
    shares = np.bincount(rows.ravel(), minlength=400) / 2000
    assert np.abs(shares - 0.1).max() < 5 * 0.0067


def test_seeds_differ_and_repeat():
    first, second, again = nested_rows(LABELS, 0.2, [3, 4, 3])
    assert set(first) != set(second)
    assert np.array_equal(first, again)
