import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kd_uncertainty.errors import UserError
from kd_uncertainty.uncertainty.decomposition import entropy_decomposition, entropy_terms, variance_decomposition

PROBABILITIES = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 5)),
    elements=st.one_of(st.just(0.0), st.floats(1e-6, 1.0)),
).map(
    lambda values: (
        (values + (values.sum(-1, keepdims=True) == 0))
        / (values + (values.sum(-1, keepdims=True) == 0)).sum(-1, keepdims=True)
    )
)


def entropy(p):
    return -sum(q * math.log(q) for q in p if q > 0)


@settings(max_examples=200, deadline=None)
@given(PROBABILITIES)
def test_total_is_intra_plus_inter_to_twelve_digits(p):
    for parts in (variance_decomposition(p), entropy_decomposition(p)):
        np.testing.assert_allclose(parts.total, parts.intra + parts.inter, rtol=0, atol=1e-12)
        assert (parts.inter >= -1e-12).all()


@settings(max_examples=100, deadline=None)
@given(PROBABILITIES)
def test_matches_loops_over_students_and_classes(p):
    students, examples, classes = p.shape
    variance, in_nats = variance_decomposition(p), entropy_decomposition(p)
    for e in range(examples):
        mean = [sum(p[s, e, c] for s in range(students)) / students for c in range(classes)]
        inter = sum((p[s, e, c] - mean[c]) ** 2 for s in range(students) for c in range(classes)) / students
        intra = sum(1 - sum(q**2 for q in p[s, e]) for s in range(students)) / students
        assert variance.inter[e] == pytest.approx(inter, abs=1e-12)
        assert variance.intra[e] == pytest.approx(intra, abs=1e-12)
        assert variance.total[e] == pytest.approx(1 - sum(m**2 for m in mean), abs=1e-12)
        assert in_nats.total[e] == pytest.approx(entropy(mean), abs=1e-12)
        assert in_nats.intra[e] == pytest.approx(sum(map(entropy, p[:, e])) / students, abs=1e-12)


def test_law_of_total_variance_by_enumeration():
    """Enumerate (student, class) pairs: the trace of the one-hot class's covariance is the total."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), size=(4, 1))
    one_hot = np.eye(3)
    outcomes = [(one_hot[c], p[s, 0, c] / 4) for s, c in itertools.product(range(4), range(3))]
    mean = sum(weight * y for y, weight in outcomes)
    total = sum(weight * ((y - mean) ** 2).sum() for y, weight in outcomes)
    assert variance_decomposition(p).total[0] == pytest.approx(total, abs=1e-14)


def test_mutual_information_by_enumeration():
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(4), size=(3, 1))
    joint = p[:, 0] / 3
    marginal = joint.sum(axis=0)
    information = sum(joint[s, c] * math.log(joint[s, c] / (marginal[c] / 3)) for s in range(3) for c in range(4))
    assert entropy_decomposition(p).inter[0] == pytest.approx(information, abs=1e-14)


def test_one_hot_students_hold_all_uncertainty_between_them():
    p = np.eye(2)[[0, 1, 0, 1]][:, None, :]
    variance, in_nats = variance_decomposition(p), entropy_decomposition(p)
    assert (variance.total[0], variance.intra[0], variance.inter[0]) == (0.5, 0.0, 0.5)
    assert (in_nats.intra[0], in_nats.inter[0]) == (0.0, pytest.approx(math.log(2)))


def test_equal_students_do_not_disagree():
    p = np.full((5, 2, 4), 0.25)
    assert variance_decomposition(p).inter.tolist() == [0.0, 0.0]
    np.testing.assert_allclose(entropy_decomposition(p).inter, 0.0, atol=1e-15)
    np.testing.assert_allclose(entropy_decomposition(p).intra, math.log(4))


def test_float32_is_computed_in_float64():
    p = np.random.default_rng(2).dirichlet(np.ones(10), size=(30, 50)).astype(np.float32)
    for decompose in (variance_decomposition, entropy_decomposition):
        parts = decompose(p)
        assert parts.total.dtype == np.float64
        np.testing.assert_allclose(parts.total, parts.intra + parts.inter, rtol=0, atol=1e-12)
        np.testing.assert_array_equal(parts.inter, decompose(p.astype(np.float64)).inter)


def test_entropy_terms_are_cross_entropies():
    p = np.random.default_rng(3).dirichlet(np.ones(3), size=(4, 2))
    own, cross = entropy_terms(p)
    kl = (p * np.log(p / p.mean(axis=0))).sum(axis=2)
    np.testing.assert_allclose(cross - own, kl, atol=1e-14)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((2, 3)) / 3, "shape"),
        (np.ones((0, 3, 2)) / 2, "shape"),
        (np.ones((2, 3, 2)), "sum to 1"),
        (np.array([[[1.5, -0.5]]]), "non-negative"),
        (np.array([[[np.nan, 1.0]]]), "finite"),
    ],
)
def test_what_is_no_probability_is_refused(values, message):
    for decompose in (variance_decomposition, entropy_decomposition):
        with pytest.raises(UserError, match=message):
            decompose(values)
