"""The inputs of linear students, prepared once: rank, an orthonormal basis, and the way back to coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.linear.blas import row_products
from kd_uncertainty.population.linear.contract import Floats


@dataclass(frozen=True)
class Design:
    """Training inputs in coordinates in which least squares is well conditioned.

    With the centred inputs ``X - mean = U diag(s) V'`` (not centred without an intercept) and penalty ``r``, the basis
    is ``[1 / sqrt(n), U diag(s / sqrt(s^2 + r))]``. Fitted with unit weights, a student's coordinates are
    ``basis' y``, and its parameters ``coordinates @ back``. With other weights the normal equations in these
    coordinates are as well conditioned as the weights allow, however ill conditioned the inputs: digits are lost by
    the condition number of X, as in a QR solution, and not by its square.

    Attributes:
        inputs: (examples, features).
        basis: (examples, coordinates).
        back: (coordinates, parameters), parameters in order of features, then the intercept if there is one.
        penalty: (coordinates,), what ridge adds to the diagonal of the normal equations in these coordinates.
        intercept: whether the last parameter is one.
        ridge: the penalty on the sum of squared coefficients, the intercept excepted.
    """

    inputs: Floats
    basis: Floats
    back: Floats
    penalty: Floats
    intercept: bool
    ridge: float

    @property
    def num_examples(self) -> int:
        """Training examples."""
        return int(self.inputs.shape[0])

    @property
    def num_features(self) -> int:
        """Features, without the intercept."""
        return int(self.inputs.shape[1])

    @property
    def num_parameters(self) -> int:
        """Coefficients and intercept."""
        return int(self.back.shape[1])

    @property
    def rank(self) -> int:
        """Independent coefficients and intercept; below ``num_parameters`` the solution of least norm is taken."""
        return int(self.back.shape[0])

    @cached_property
    def pseudo_inverse(self) -> Floats:
        """(examples, parameters); ``targets @ pseudo_inverse`` are the parameters fitted with unit weights."""
        return self.basis @ self.back


def make_design(
    inputs: Floats,
    *,
    intercept: bool = True,
    ridge: float = 0.0,
    rank_deficient: Literal["minimum_norm", "error"] = "minimum_norm",
) -> Design:
    """Prepare inputs for any number of students, by a rank-revealing singular value decomposition.

    Singular values below ``max(examples, features) * eps`` times the largest count as zero, as in
    ``numpy.linalg.matrix_rank``. Where the data leave coefficients undetermined (collinear features, or more features
    than examples) those of least Euclidean norm are taken, the intercept not counted, as scikit-learn does; its
    ``LinearRegression`` from 1.9 on, however, takes singular values below 1e-6 of the largest for 0 (its ``tol``).

    Args:
        inputs: (examples, features).
        intercept: whether students fit one.
        ridge: penalty on the sum of squared coefficients, in the units of the sum of squared residuals.
        rank_deficient: "error" refuses inputs that leave coefficients undetermined.

    Raises:
        UserError: if the inputs are no finite matrix, the penalty is negative, or they are refused as above.
    """
    inputs = np.ascontiguousarray(inputs, dtype=np.float64)
    if inputs.ndim != 2 or 0 in inputs.shape or not np.isfinite(inputs).all():
        raise UserError(
            f"linear students: the inputs must be a table of finite numbers with at least one row and one column, not "
            f"of shape {inputs.shape}; fill or drop missing values first"
        )
    if not (np.isfinite(ridge) and ridge >= 0):
        raise UserError(f"linear students: ridge is {ridge}; set it to 0 or a positive number")
    centre, centred = np.zeros(inputs.shape[1]), inputs
    if intercept:
        centre = inputs.mean(0)
        centred = inputs - centre
        remainder = centred.mean(0)  # the rounding of the mean, which would look like rank
        centre, centred = centre + remainder, centred - remainder
    left, singular, right = np.linalg.svd(centred, full_matrices=False)
    kept = singular > max(inputs.shape) * np.finfo(np.float64).eps * singular[0]
    if rank_deficient == "error" and kept.sum() < inputs.shape[1]:
        raise UserError(
            f"linear students: the {inputs.shape[1]} features have rank {kept.sum()} over {len(inputs)} examples, so "
            f"their coefficients are not determined; drop collinear features, or use rank_deficient: minimum_norm"
        )
    left, singular, right = left[:, kept], singular[kept], right[kept]
    # without squares, which leave the range of float64 beyond 1e154 and below 1e-154
    root_ridge = np.sqrt(ridge)
    length = np.hypot(singular, root_ridge)
    basis, back, penalty = left * (singular / length), right / length[:, None], np.square(root_ridge / length)
    if intercept:
        root = np.sqrt(len(inputs))
        basis = np.column_stack([np.full(len(inputs), 1 / root), basis])
        back = np.block([[np.zeros(inputs.shape[1]), 1 / root], [back, -(back @ centre)[:, None]]])
        penalty = np.concatenate([[0.0], penalty])
    return Design(inputs, basis, back, penalty, intercept, float(ridge))


def predict(parameters: Floats, points: Floats) -> Floats:
    """Return the students' predictions, (students, points).

    Args:
        parameters: (students, parameters).
        points: (points, features).
    """
    features = points.shape[1]
    predictions = row_products(parameters[:, :features], points.T)
    if parameters.shape[1] > features:
        predictions += parameters[:, features:]
    return predictions
