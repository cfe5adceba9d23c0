"""Designs: the pseudo-inverse, rank, ridge, and what is refused."""

import numpy as np
import pytest

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.linear.design import make_design, predict
from tests.population.linear.worlds import regression, relative_error, scikit_learn


def extended(inputs):
    return np.column_stack([inputs, np.ones(len(inputs))])


@pytest.mark.parametrize("intercept", [True, False])
def test_pseudo_inverse_of_full_rank(intercept):
    inputs, _ = regression(offset=3.0)
    design = make_design(inputs, intercept=intercept)
    expected = np.linalg.pinv(extended(inputs) if intercept else inputs).T
    np.testing.assert_allclose(design.pseudo_inverse, expected, rtol=0, atol=1e-14)
    assert design.rank == design.num_parameters == 5 + intercept
    np.testing.assert_allclose(design.basis.T @ design.basis, np.eye(design.rank), atol=1e-14)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("ridge", [0.0, 0.3, 40.0])
def test_parameters_are_those_of_scikit_learn(intercept, ridge):
    inputs, targets = regression(offset=1.0)
    targets = targets + np.random.default_rng(3).standard_normal(len(targets))
    design = make_design(inputs, intercept=intercept, ridge=ridge)
    expected = scikit_learn(inputs, targets, intercept=intercept, ridge=ridge)
    assert relative_error(targets @ design.pseudo_inverse, expected) < 1e-13
    normal = design.basis.T @ design.basis + np.diag(design.penalty)  # identity in these coordinates
    np.testing.assert_allclose(normal, np.eye(design.rank), atol=1e-13)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda inputs: np.column_stack([inputs, inputs[:, 0] - 2 * inputs[:, 1]]),  # collinear
        lambda inputs: np.column_stack([inputs, np.full(len(inputs), 1e6)]),  # constant, large
        lambda inputs: inputs[:4],  # fewer examples than features
        lambda inputs: inputs[:1],
    ],
)
def test_undetermined_coefficients_have_least_norm(spoil, intercept):
    inputs = spoil(regression()[0])
    targets = np.random.default_rng(1).standard_normal(len(inputs))
    design = make_design(inputs, intercept=intercept)
    if intercept or inputs.shape != (60, 6) or inputs[0, -1] != 1e6:  # a constant is of use without an intercept
        assert design.rank < design.num_parameters
    found = targets @ design.pseudo_inverse
    np.testing.assert_allclose(found, scikit_learn(inputs, targets, intercept=intercept), rtol=0, atol=1e-12)
    if design.rank < design.num_parameters:
        with pytest.raises(UserError, match=r"have rank \d over \d+ examples.*minimum_norm"):
            make_design(inputs, intercept=intercept, rank_deficient="error")


def test_full_rank_is_not_refused():
    assert make_design(regression()[0], rank_deficient="error").rank == 6


def test_inputs_far_from_zero_keep_their_rank_and_digits():
    inputs, targets = regression()
    near = targets @ make_design(inputs).pseudo_inverse
    shifted = inputs + 2.0**30  # rounds the inputs to 2^-23
    far = make_design(shifted)
    assert far.rank == 6
    exact = targets @ make_design(shifted - 2.0**30).pseudo_inverse  # the rounded inputs, shifted back exactly
    np.testing.assert_allclose((targets @ far.pseudo_inverse)[:5], exact[:5], rtol=1e-12)
    np.testing.assert_allclose(exact, near, atol=1e-5)
    collinear = np.column_stack([shifted, 2 * shifted[:, 0]])
    assert make_design(collinear).rank == 6


def test_features_of_very_different_size_are_kept():
    inputs, targets = regression()
    scale = np.array([1e-6, 1.0, 1e6, 1e3, 1e-3])
    design = make_design(inputs * scale)
    assert design.rank == 6
    expected = (targets @ make_design(inputs).pseudo_inverse)[:5] / scale
    np.testing.assert_allclose((targets @ design.pseudo_inverse)[:5], expected, rtol=1e-9)


def test_inputs_without_information_leave_the_mean():
    design = make_design(np.zeros((4, 2)))
    np.testing.assert_allclose(np.array([1.0, 2, 3, 6]) @ design.pseudo_inverse, [0, 0, 3], atol=1e-15)
    design = make_design(np.zeros((4, 2)), intercept=False)
    assert design.rank == 0
    np.testing.assert_array_equal(np.ones(4) @ design.pseudo_inverse, [0, 0])


@pytest.mark.parametrize("intercept", [True, False])
def test_predictions(intercept):
    inputs, _ = regression()
    parameters = np.random.default_rng(0).standard_normal((7, 5 + intercept))
    expected = parameters @ (extended(inputs) if intercept else inputs).T
    np.testing.assert_allclose(predict(parameters, inputs), expected, atol=1e-14)


@pytest.mark.parametrize("inputs", [np.zeros(3), np.zeros((0, 2)), np.zeros((2, 0)), np.array([[1.0], [np.nan]])])
def test_inputs_that_are_no_table_are_refused(inputs):
    with pytest.raises(UserError, match="must be a table of finite numbers"):
        make_design(inputs)


@pytest.mark.parametrize("ridge", [-1.0, np.nan, np.inf])
def test_a_penalty_that_is_none_is_refused(ridge):
    with pytest.raises(UserError, match="set it to 0 or a positive number"):
        make_design(np.eye(3), ridge=ridge)


SCALES = [1e-200, 1e-160, 1e-30, 1e30, 1e160, 1e200]


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("scale", SCALES)
def test_coefficients_are_in_inverse_proportion_to_the_scale_of_the_inputs(scale, intercept):
    inputs, targets = regression(offset=1.0)
    back = np.append(np.full(5, scale), 1.0)[: 5 + intercept]
    found = targets @ make_design(inputs * scale, intercept=intercept).pseudo_inverse
    assert relative_error(found * back, targets @ make_design(inputs, intercept=intercept).pseudo_inverse) < 1e-12


@pytest.mark.parametrize("scale", [1e-200, 1e-150, 1e150, 1e160, 1e200])
@pytest.mark.parametrize("intercept", [True, False])
def test_ridge_at_extreme_scales(scale, intercept):
    """Ridge c^2 r for inputs c X is ridge r for X; where c^2 leaves float64, ridge 1 is all there is, or nothing."""
    inputs, targets = regression(offset=1.0)
    back = np.append(np.full(5, scale), 1.0)[: 5 + intercept]
    if scale in (1e-150, 1e150):
        design = make_design(inputs * scale, intercept=intercept, ridge=7.0 * scale * scale)
        expected = scikit_learn(inputs, targets, intercept=intercept, ridge=7.0)
        assert relative_error(targets @ design.pseudo_inverse * back, expected) < 1e-12
        return
    found = targets @ make_design(inputs * scale, intercept=intercept, ridge=1.0).pseudo_inverse
    if scale > 1:
        assert relative_error(found * back, scikit_learn(inputs, targets, intercept=intercept)) < 1e-12
    else:
        centred = inputs - inputs.mean(0) if intercept else inputs
        np.testing.assert_allclose(found[:5] / scale, targets @ centred, rtol=1e-12)
