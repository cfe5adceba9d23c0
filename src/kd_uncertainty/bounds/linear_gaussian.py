r"""The linear-Gaussian world: a Gibbs teacher whose posterior, pseudo-labels and divergence are known exactly.

``X`` is (d, n) and fixed; labels are ``Y = W* X + nu Z`` with Z (k, n) standard normal; the prior of weights (k, d) is
MN(0, I_k, I_d / lambda). The Gibbs teacher of inverse temperature beta is

    q_T(. | Y) = MN(W_T, I_k, Sigma_T),
    Sigma_T = (lambda I + (beta / nu^2) X X')^-1,  W_T = (beta / nu^2) Y X' Sigma_T,

and pseudo-labels are ``Y^ = W X + nu Z'`` with W drawn from it (Li & He, arXiv 2605.13143, linear-Gaussian case).

Everything is diagonal in the left singular vectors of X, in which this module works: no inverse is formed, and a
design without full rank (n < d, repeated inputs) or a badly conditioned one costs no digits. "Marginal" means averaged
over real labels Y, as laws of data sets are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.errors import UserError

Floats = NDArray[np.float64]

_ASYMMETRY = 1e-9
"""Of a covariance, relative to its largest entry: rounding."""


class LinearGaussian(NamedTuple):
    """A world and its teacher; make it with :func:`linear_gaussian`, which checks it.

    Attributes:
        inputs: X, (d, n).
        weights: W*, (k, d).
        label_noise: nu, the standard deviation of label noise; that of pseudo-labels too.
        prior_precision: lambda.
        inverse_temperature: beta; 1 is the Bayes posterior.
    """

    inputs: Floats
    weights: Floats
    label_noise: float
    prior_precision: float
    inverse_temperature: float


class Spectrum(NamedTuple):
    """The world in the basis ``left``: all but the first two are diagonals, (d,) each, and what is random is Gaussian.

    Attributes:
        left: (d, d), orthogonal; columns are left singular vectors of X.
        truth: W* left, (k, d).
        singular: s, singular values of X, 0 where X has none.
        teacher: t = 1 / (lambda + beta s^2 / nu^2), eigenvalues of Sigma_T.
        shrinkage: lambda t, the share of W* that the teacher does not see.
        fit: h = 1 - lambda t, eigenvalues of the hat matrix H; they sum to the effective dimension.
        marginal: v = t (1 + beta h), of the teacher's draws W over real labels too; their mean is ``truth * fit``.
        observed: nu^2 + s^2 v, of the pseudo-labels' coordinates.
        posterior: v nu^2 / (nu^2 + s^2 v), of W given pseudo-labels.
    """

    left: Floats
    truth: Floats
    singular: Floats
    teacher: Floats
    shrinkage: Floats
    fit: Floats
    marginal: Floats
    observed: Floats
    posterior: Floats

    @property
    def mean(self) -> Floats:
        """Mean of the teacher's draws over real labels, W* (I - lambda Sigma_T), (k, d)."""
        return np.asarray(self.truth * self.fit)

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Directions in which inputs vary, (d,)."""
        return np.asarray(self.singular > 0.0)


def linear_gaussian(
    inputs: Floats, weights: Floats, *, label_noise: float, prior_precision: float, inverse_temperature: float
) -> LinearGaussian:
    """Return the world after checks.

    Args:
        inputs: X, (d, n): one column an example, of any rank.
        weights: W*, (k, d).
        label_noise: nu.
        prior_precision: lambda.
        inverse_temperature: beta.

    Raises:
        UserError: shapes do not match, or a number is not finite, or a dial is not positive. Without a prior
            (lambda = 0) the teacher is improper wherever X lacks rank, and without noise no divergence is finite.
    """
    inputs, weights = np.asarray(inputs, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if inputs.ndim != 2 or weights.ndim != 2 or 0 in inputs.shape + weights.shape or weights.shape[1] != len(inputs):
        raise UserError(
            f"linear-Gaussian world: inputs {inputs.shape} and weights {weights.shape} do not match; give (d, n) and "
            "(k, d), none of them empty"
        )
    if not (np.isfinite(inputs).all() and np.isfinite(weights).all()):
        raise UserError("linear-Gaussian world: inputs and weights must be finite numbers")
    dials = {
        "label_noise": label_noise,
        "prior_precision": prior_precision,
        "inverse_temperature": inverse_temperature,
    }
    for name, value in dials.items():
        if not 0.0 < value < np.inf:
            raise UserError(f"linear-Gaussian world: {name} is {value}; divergences are finite only if it is positive")
    return LinearGaussian(inputs, weights, **dials)


def spectrum(world: LinearGaussian) -> Spectrum:
    """Return the world in the basis of the left singular vectors of its inputs.

    Singular values below rounding, eps max(d, n) times the largest, are 0.
    """
    size, noise = len(world.inputs), world.label_noise**2
    left, found, _ = np.linalg.svd(world.inputs, full_matrices=True)
    singular = np.zeros(size)
    singular[: len(found)] = np.where(found > np.finfo(float).eps * max(world.inputs.shape) * found[0], found, 0.0)
    signal = world.inverse_temperature * singular**2 / noise
    teacher = 1.0 / (world.prior_precision + signal)
    fit = signal * teacher
    marginal = teacher * (1.0 + world.inverse_temperature * fit)
    observed = noise + singular**2 * marginal
    return Spectrum(
        np.asarray(left),
        world.weights @ left,
        singular,
        teacher,
        world.prior_precision * teacher,
        fit,
        marginal,
        observed,
        marginal * noise / observed,
    )


def teacher_covariance(world: LinearGaussian) -> Floats:
    """Sigma_T, (d, d)."""
    basis = spectrum(world)
    return np.asarray((basis.left * basis.teacher) @ basis.left.T)


def teacher_mean(world: LinearGaussian, labels: Floats) -> Floats:
    """W_T = (beta / nu^2) Y X' Sigma_T.

    Args:
        world: whose inputs are used.
        labels: Y, (..., k, n), real or pseudo.

    Returns:
        (..., k, d).
    """
    basis = spectrum(world)
    seen = labels @ world.inputs.T @ basis.left
    return np.asarray(seen * (world.inverse_temperature / world.label_noise**2 * basis.teacher) @ basis.left.T)


def gibbs_covariance(world: LinearGaussian, sharpness: float = 1.0) -> Floats:
    """Covariance (d, d) of a Gibbs student with ``sharpness`` times the teacher's inverse temperature; Sigma_T at 1."""
    return teacher_covariance(world._replace(inverse_temperature=sharpness * world.inverse_temperature))


def gibbs_spectrum(world: LinearGaussian, sharpness: float = 1.0) -> Floats:
    """Eigenvalues (d,) of :func:`gibbs_covariance` in the basis of the spectrum, exact however it is conditioned."""
    return spectrum(world._replace(inverse_temperature=sharpness * world.inverse_temperature)).teacher


def draw_teachers(world: LinearGaussian, count: int, generator: np.random.Generator) -> Floats:
    """Draw W over real labels and the teacher, (count, k, d)."""
    basis = spectrum(world)
    normal = generator.standard_normal((count, *world.weights.shape))
    return np.asarray((basis.mean + normal * np.sqrt(basis.marginal)) @ basis.left.T)


def draw_pseudo_labels(world: LinearGaussian, teachers: Floats, generator: np.random.Generator) -> Floats:
    """Draw Y^ = W X + nu Z' of each teacher (count, k, d); (count, k, n)."""
    fitted = teachers @ world.inputs
    return np.asarray(fitted + world.label_noise * generator.standard_normal(fitted.shape))


def effective_dimension(world: LinearGaussian) -> float:
    """d_eff = tr H, H = (beta / nu^2) X' Sigma_T X; between 0 and the rank of X."""
    return float(spectrum(world).fit.sum())


def in_basis(basis: Spectrum, matrix: Floats) -> Floats:
    """A (d, d) matrix in the basis of the spectrum; a (d,) vector is the diagonal of one that is diagonal there."""
    matrix = np.asarray(matrix, dtype=np.float64)
    return np.asarray(np.diag(matrix) if matrix.ndim == 1 else basis.left.T @ matrix @ basis.left)


def checked_covariance(world: LinearGaussian, covariance: Floats) -> Floats:
    """The Cholesky factor of a student's covariance in the basis of the spectrum.

    Args:
        world: of the teacher.
        covariance: Sigma_S, (d, d), or the diagonal (d,) of one that is diagonal in the basis of the spectrum.

    Raises:
        UserError: it is not symmetric and positive definite; the divergence of such a student is not finite.
    """
    size = len(world.inputs)
    covariance = np.asarray(covariance, dtype=np.float64)
    if covariance.shape not in ((size, size), (size,)):
        raise UserError(f"linear-Gaussian student: its covariance must be a ({size}, {size}) matrix")
    largest = np.abs(covariance).max()
    if not (np.abs(covariance - covariance.T) <= _ASYMMETRY * largest).all() or not np.isfinite(largest):
        raise UserError("linear-Gaussian student: its covariance must be symmetric and of finite numbers")
    rotated = in_basis(spectrum(world), covariance)
    try:
        return np.asarray(np.linalg.cholesky(rotated))
    except np.linalg.LinAlgError:
        condition = np.linalg.cond(rotated)
        raise UserError(
            "linear-Gaussian student: its covariance is not positive definite in 64-bit floats (condition number "
            f"{condition:.1g}), so that its divergence from the teacher is not finite; give it some spread in every "
            "direction, or, if it is a Gibbs student's, give gibbs_spectrum"
        ) from None
