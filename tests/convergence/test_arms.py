"""Arms: which there are, and that their targets have the moments that they state."""

import logging
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kd_uncertainty.convergence.arms import (
    Arm,
    ArmBlock,
    additive_targets,
    dirichlet_targets,
    make_arms,
    target_tables,
)
from kd_uncertainty.errors import UserError

P = np.array([[0.6, 0.3, 0.1], [0.98, 0.01, 0.01], [0.0, 0.5, 0.5]])
DRAWS = 40_000


def many(probabilities):
    """Each example many times, so that one call draws often."""
    return np.repeat(probabilities, DRAWS, axis=0)


def by_example(draws):
    return draws.reshape(len(P), DRAWS, -1)


def assert_mean(draws, expected, errors=4.0):
    """The mean over draws (examples, draws, ...) is within so many of its standard errors."""
    error = draws.std(axis=1, ddof=1) / math.sqrt(draws.shape[1])
    np.testing.assert_array_less(np.abs(draws.mean(axis=1) - expected), errors * error + 1e-12)


@pytest.mark.parametrize("concentration", [0.1, 0.5, 5.0, 100.0])
def test_dirichlet_targets_have_the_mean_and_covariance_of_dirichlet_a_p(concentration):
    draws = by_example(dirichlet_targets(many(P), concentration, seed=3))
    np.testing.assert_allclose(draws.sum(axis=-1), 1.0, atol=1e-12)
    assert draws.min() >= 0.0
    assert_mean(draws, P)
    expected = (np.einsum("ij,jk->ijk", P, np.eye(3)) - np.einsum("ij,ik->ijk", P, P)) / (1.0 + concentration)
    deviations = draws - P[:, None]
    products = np.einsum("edi,edj->edij", deviations, deviations)
    assert_mean(products.reshape(len(P), DRAWS, -1), expected.reshape(len(P), -1))


def test_classes_of_probability_0_stay_there_and_small_concentrations_do_not_underflow():
    draws = dirichlet_targets(np.repeat(P, 500, axis=0), 1e-3, seed=1)
    assert np.isfinite(draws).all()
    np.testing.assert_allclose(draws.sum(axis=1), 1.0)
    assert (draws[1000:, 0] == 0.0).all()
    certain = dirichlet_targets(np.array([[0.0, 1.0]]), 2.0, seed=1)
    np.testing.assert_array_equal(certain, [[0.0, 1.0]])


@pytest.mark.parametrize("variance", [1e-4, 0.3])
def test_additive_targets_sum_to_1_and_have_the_variance_in_every_component(variance):
    noise = by_example(additive_targets(many(P), variance, seed=5)) - P[:, None]
    np.testing.assert_allclose(noise.sum(axis=-1), 0.0, atol=1e-12)
    assert_mean(noise, np.zeros_like(P))
    products = np.einsum("edi,edj->edij", noise, noise).reshape(len(P), DRAWS, -1)
    covariance = variance * (1.5 * np.eye(3) - 0.5)  # of deviations from their mean, scaled to a unit diagonal
    assert_mean(products, np.broadcast_to(covariance.ravel(), (len(P), 9)))


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-6, 10.0), st.integers(0, 2**63 - 1))
def test_additive_noise_of_one_seed_is_the_same_up_to_its_size(variance, seed):
    small, large = (additive_targets(P, level, seed) - P for level in (variance, 4.0 * variance))
    np.testing.assert_allclose(large, 2.0 * small, rtol=1e-9, atol=1e-9)


def test_arms_are_a_product_each_once_with_one_hot_first():
    blocks = [
        ArmBlock(target="exact"),
        ArmBlock(target="dirichlet", levels=(0.5, 5.0), mixing=(1.0, 0.6)),
        ArmBlock(target="dirichlet", levels=(0.5,)),
        ArmBlock(target="teacher"),
    ]
    assert make_arms(blocks, ("a", "b"), bayes_known=True) == [
        Arm("one_hot"),
        Arm("exact"),
        Arm("dirichlet", level=0.5),
        Arm("dirichlet", level=0.5, mixing=0.6),
        Arm("dirichlet", level=5.0),
        Arm("dirichlet", level=5.0, mixing=0.6),
        Arm("teacher", "a"),
        Arm("teacher", "b"),
    ]
    assert Arm("one_hot").weight == 0.0
    level = pytest.approx(math.nan, nan_ok=True)
    assert Arm("one_hot").keys == {"arm": "one_hot", "teacher": "none", "level": level, "mixing": 1.0}


def test_without_bayes_probabilities_the_arms_that_need_them_are_left_out_with_one_warning(caplog):
    blocks = [ArmBlock(target="exact"), ArmBlock(target="additive", levels=(0.1, 0.2)), ArmBlock(target="teacher")]
    with caplog.at_level(logging.WARNING):
        arms = make_arms(blocks, ("a",), bayes_known=False)
    assert arms == [Arm("one_hot"), Arm("teacher", "a")]
    (record,) = caplog.records
    assert "exact, additive are left out" in record.message
    with pytest.raises(UserError, match="nothing is left to compare"):
        make_arms(blocks, (), bayes_known=False)


def test_a_teacher_that_is_not_there_is_named():
    with pytest.raises(UserError, match="no soft labels of teacher 'c'; known: a, b"):
        make_arms([ArmBlock(target="teacher", teachers=("a", "c"))], ("a", "b"), bayes_known=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": "dirichlet"}, "needs levels, its concentrations a"),
        ({"target": "additive"}, "needs levels, its variances nu"),
        ({"target": "exact", "levels": [1.0]}, "leave levels out"),
        ({"target": "exact", "teachers": ["a"]}, "leave teachers out"),
        ({"target": "dirichlet", "levels": [0.0]}, "greater than 0"),
        ({"target": "teacher", "mixing": [0.0]}, "greater than 0"),
        ({"target": "one_hot"}, "Input should be"),
    ],
)
def test_blocks_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ArmBlock.model_validate(settings)


def tables(arms, num_seeds=3):
    return target_tables(arms, P, {"a": P[:, ::-1].copy()}, num_seeds, seed=9)


def test_targets_are_shared_where_they_are_the_same():
    arms = [
        Arm("one_hot"),
        Arm("exact"),
        Arm("exact", mixing=0.5),
        Arm("teacher", "a"),
        Arm("dirichlet", level=1.0),
        Arm("dirichlet", level=1.0, mixing=0.5),
    ]
    found = tables(arms)
    assert len(found.tables) == 1 + 1 + 3
    np.testing.assert_array_equal(found.table_of[1], found.table_of[2])
    np.testing.assert_array_equal(found.table_of[4], found.table_of[5])
    assert len(set(found.table_of[4].tolist())) == 3
    np.testing.assert_allclose(found.tables[found.table_of[1, 0]], P, rtol=1e-6)
    np.testing.assert_allclose(found.tables[found.table_of[3, 2]], P[:, ::-1], rtol=1e-6)
    one_hot = torch.eye(3).double()
    mixed = found.target(arms[5], (5, 1), one_hot)
    np.testing.assert_allclose(mixed, 0.5 * one_hot + 0.5 * found.tables[found.table_of[5, 1]].double())
    np.testing.assert_array_equal(found.target(arms[0], (0, 1), one_hot), one_hot)


def test_a_students_targets_depend_on_its_own_number_and_supervision_alone():
    arms = [Arm("one_hot"), Arm("dirichlet", level=1.0), Arm("additive", level=0.1)]
    few, more = tables(arms, 2), tables([arms[0], Arm("exact"), *arms[:0:-1], Arm("dirichlet", level=2.0)], 4)
    for name, row in (("dirichlet", 3), ("additive", 2)):
        first = [arm.arm for arm in arms].index(name)
        for number in range(2):
            np.testing.assert_array_equal(
                few.tables[few.table_of[first, number]], more.tables[more.table_of[row, number]]
            )
    assert not torch.equal(more.tables[more.table_of[3, 0]], more.tables[more.table_of[4, 0]])
