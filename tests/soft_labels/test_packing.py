import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import log_softmax

from kd_uncertainty.soft_labels.packing import CLIPPED_CODE, DEPTH, FLOOR, decode, encode, vector_dtype

from ..project import ROOT


def divergence(exact, decoded, temperature=1.0):
    """KL(exact || decoded) at a temperature, in float64."""
    p = log_softmax(np.asarray(exact, np.float64) / temperature, axis=-1)
    q = log_softmax(np.asarray(decoded, np.float64) / temperature, axis=-1)
    p_log_p = np.where(np.isneginf(p), 0.0, np.exp(p) * (np.where(np.isneginf(p), 0.0, p) - q))
    return p_log_p.sum(axis=-1)


def logits(spread, classes, examples=2000, seed=0):
    return (np.random.default_rng(seed).normal(0, spread, (examples, classes))).astype(np.float32)


def test_a_vector_by_hand():
    packed = encode(np.array([[3.0, 2.0, -1.0]], np.float32))  # gaps 0, 1, 4: roots 0, 1, 2
    assert packed["scale"] == pytest.approx(2 / 65534)
    assert packed["codes"].tolist() == [[0, 32767, 65534]]
    np.testing.assert_allclose(decode(packed), [[0.0, -1.0, -4.0]], rtol=1e-6)


def test_the_bytes_are_those_of_the_documentation():
    packed = encode(np.array([0.0, -4.0], np.float32))
    assert vector_dtype(100).itemsize == 4 + 2 * 100
    assert packed.tobytes() == np.float32(2 / 65534).astype("<f4").tobytes() + b"\x00\x00\xfe\xff"


@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("spread", [0.01, 1.0, 3.0, 10.0])
def test_the_divergence_is_below_a_billionth_for_flat_and_peaked_distributions(spread, temperature, classes):
    exact = logits(spread, classes)
    found = divergence(exact, decode(encode(exact)), temperature)
    assert -1e-15 < found.mean() < 1e-9


def test_the_divergence_at_a_hundred_classes_is_the_documented_one():
    exact = logits(3.0, 100)
    assert divergence(exact, decode(encode(exact))).mean() == pytest.approx(6e-10, rel=0.1)


@settings(max_examples=200, deadline=None)
@given(
    hnp.arrays(
        np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.floats(-60, 60, width=32)
    ),
    st.sampled_from([1.0, 2.0, 4.0, 10.0]),
)
def test_the_divergence_never_exceeds_its_bound(exact, temperature):
    gaps = exact.max(axis=-1, keepdims=True) - exact
    error = np.max(gaps, axis=-1, where=gaps <= DEPTH, initial=0.0) / 65534 + 1e-5  # and the rounding of float32
    bound = (error / temperature) ** 2 / 2 + (gaps > DEPTH).sum(axis=-1) * 8 * np.exp(-DEPTH / temperature)
    assert (divergence(exact, decode(encode(exact)), temperature) <= bound + 1e-14).all()


def test_each_gap_is_off_by_at_most_its_share():
    exact = logits(8.0, 50).astype(np.float64)
    gaps = exact.max(axis=-1, keepdims=True) - exact
    depth = gaps.max(axis=-1, keepdims=True)
    assert (np.abs(-decode(encode(exact)) - gaps) <= depth / 65534 * 1.001 + 1e-6).all()


@pytest.mark.parametrize("shift", [-1e4, 0.0, 1e4])
def test_a_shift_of_the_logits_changes_nothing(shift):
    exact = np.round(logits(3.0, 10) * 64) / 64  # so that the shifted ones are exact in float32
    np.testing.assert_array_equal(encode(exact + np.float32(shift)), encode(exact))


def test_a_certain_class_stays_certain_and_zeros_become_the_floor():
    with np.errstate(divide="ignore"):
        certain = np.log(np.eye(4, dtype=np.float32))
    packed = encode(certain)
    np.testing.assert_array_equal(packed["codes"], np.where(np.eye(4, dtype=bool), 0, CLIPPED_CODE))
    np.testing.assert_array_equal(decode(packed), np.where(np.eye(4, dtype=bool), 0.0, np.float32(FLOOR)))
    assert divergence(certain, decode(packed)).max() < 1e-15


def test_zeros_do_not_coarsen_the_other_classes():
    exact = logits(1.0, 100)
    exact[:, ::3] = -np.inf
    assert divergence(exact, decode(encode(exact))).mean() < 1e-9
    assert divergence(exact, decode(encode(exact)), 4.0).mean() < 34 * 8 * np.exp(-DEPTH / 4)


def test_equal_logits_are_exact():
    for exact in (np.zeros((3, 5), np.float32), np.full((3, 1), 7.0, np.float32)):
        np.testing.assert_array_equal(decode(encode(exact)), np.zeros_like(exact))


def test_encoding_what_was_decoded_changes_nothing_more():
    once = decode(encode(logits(5.0, 30)))
    np.testing.assert_allclose(decode(encode(once)), once, rtol=3e-7, atol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_distribution_are_refused(bad):
    for position in range(3):
        exact = logits(1.0, 3)
        exact[7, position] = bad
        with pytest.raises(ValueError, match="NaN"):
            encode(exact)
    with pytest.raises(ValueError, match="-infinity alone"):
        encode(np.full((2, 3), -np.inf))


def test_the_divergences_of_the_documentation_are_measured():
    text = (ROOT / "docs/own-soft-labels.md").read_text()
    rows = [[float(cell) for cell in re.findall(r"[\d.e-]+", line)] for line in re.findall(r"^\| \d+ \|.*", text, re.M)]
    assert [row[0] for row in rows] == [1, 3, 16, 40, 100]
    for spread, *documented in rows:
        exact = logits(spread, 100)
        decoded = decode(encode(exact))
        found = [divergence(exact, decoded, temperature).mean() for temperature in (1, 4, 20)]
        assert found == pytest.approx(documented, rel=0.05)
        if spread <= 3:  # no gap is clipped
            assert max(found) < 1e-9


def test_clipped_codes_become_the_floor_that_is_asked_for():
    packed = encode(np.array([0.0, -1.0, -500.0], np.float32))
    np.testing.assert_allclose(decode(packed, -200.0), [0.0, -1.0, -200.0], rtol=1e-6)
