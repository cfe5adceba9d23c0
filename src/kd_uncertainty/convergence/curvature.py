r"""Curvature of the linear softmax loss: the constants of the convergence theorem, and what they leave out.

With ``h_i = (diag p_i - p_i p_i') (x) x_i x_i'`` the Hessian of example i and ``H = E h_i``:

- ``L = max ||x_i||^2 / 2`` bounds every ``h_i``, as the largest eigenvalue of ``diag p - p p'`` is at most 1/2
  (Boehning 1992, "Multinomial logistic regression algorithm");
- ``mu = lambda_min(H(theta*))`` off the gauge. Softmax losses are not strongly convex everywhere, so that away from
  ``theta*`` the theorem's constant is the smallest ``2 (f(theta*) - f(theta) - <grad f(theta), theta* - theta>) /
  ||theta - theta*||^2`` that is met, which for softmax is ``2 mean KL(p(theta) || P) / ||theta - theta*||^2``; see
  :func:`~kd_uncertainty.convergence.divergence.quasi_convexity`.

Near the optimum a step of batch 1 is ``delta <- (1 - alpha h_i) delta - alpha (noise of its label)``. Its stationary
covariance exists iff ``S -> E[(1 - alpha h) S (1 - alpha h)]`` contracts, which does not depend on the labels' noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh

Floats = NDArray[np.float64]

_TOLERANCE = 1e-6


def smoothness(inputs: Floats) -> float:
    """L = max_i ||x_i||^2 / 2: each example's gradient is Lipschitz with it, for targets that sum to 1.

    Args:
        inputs: (n, d).
    """
    return float((inputs**2).sum(axis=1).max() / 2.0)


def contrasts(num_classes: int) -> Floats:
    """An orthonormal basis of the class vectors that sum to 0, (K, K - 1) (Helmert's)."""
    basis = np.zeros((num_classes, num_classes - 1))
    for column in range(num_classes - 1):
        basis[: column + 1, column] = 1.0
        basis[column + 1, column] = -(column + 1.0)
    return np.asarray(basis / np.linalg.norm(basis, axis=0))


def hessian(inputs: Floats, probabilities: Floats) -> Floats:
    """The Hessian off the gauge, ((K - 1) d, (K - 1) d), in the coordinates ``contrasts (x) inputs``.

    Args:
        inputs: (n, d).
        probabilities: (n, K) of the student; those of theta* give H(theta*).
    """
    return _mean_of_products(_class_curvatures(probabilities), inputs)


def strong_convexity(inputs: Floats, probabilities: Floats) -> float:
    """Mu, the smallest eigenvalue of the Hessian off the gauge; arguments as :func:`hessian`."""
    return float(np.linalg.eigvalsh(hessian(inputs, probabilities))[0])


def mean_square_limit(inputs: Floats, probabilities: Floats) -> float:
    """The step size from which on the linearised descent of batch 1 has no stationary covariance, whatever the labels.

    ``S -> E[(1 - alpha h) S (1 - alpha h)]`` contracts iff ``alpha E[h S h]`` stays below ``H S + S H`` for all
    positive S. So the limit is one over the largest eigenvalue of ``E[h . h]`` relative to ``H . + . H``, two symmetric
    maps of matrices of which the second is diagonal in the eigenbasis of H; found by Lanczos iterations.

    Args:
        inputs: (n, d).
        probabilities: (n, K) at theta*.
    """
    curvature, total = _class_curvatures(probabilities), hessian(inputs, probabilities)
    classes, size = curvature.shape[1], inputs.shape[1]
    values, vectors = np.linalg.eigh(total)
    roots = np.sqrt(values[:, None] + values)

    def relative(flat: Floats) -> Floats:
        moment = vectors @ (flat.reshape(roots.shape) / roots) @ vectors.T
        blocks = moment.reshape(classes, size, classes, size)
        # h S h = (C (x' S x) C) (x) x x', where x' S x is a matrix over classes
        inner = np.einsum("ni,aibj,nj->nab", inputs, blocks, inputs, optimize=True)
        image = _mean_of_products(curvature @ inner @ curvature, inputs)
        return np.asarray(vectors.T @ image @ vectors / roots).ravel()

    start = np.eye(len(total)).ravel()
    if len(start) == 1:
        return 1.0 / float(relative(start)[0])
    operator = LinearOperator((len(start), len(start)), matvec=relative, dtype=np.float64)
    largest = eigsh(operator, k=1, which="LA", v0=start, tol=_TOLERANCE, return_eigenvectors=False)
    return 1.0 / float(largest[0])


def _class_curvatures(probabilities: Floats) -> Floats:
    """``B' (diag p - p p') B`` of every example, (n, K - 1, K - 1), with the contrasts B."""
    basis = contrasts(probabilities.shape[1])
    projected = probabilities @ basis
    return np.asarray(
        np.einsum("ka,nk,kb->nab", basis, probabilities, basis, optimize=True)
        - projected[:, :, None] * projected[:, None, :]
    )


def _mean_of_products(matrices: Floats, inputs: Floats) -> Floats:
    """Mean over examples of ``matrices_i (x) x_i x_i'``."""
    count, classes, size = len(inputs), matrices.shape[1], inputs.shape[1]
    outer = (inputs[:, :, None] * inputs[:, None, :]).reshape(count, -1)
    product = matrices.reshape(count, -1).T @ outer / count
    return np.asarray(
        product.reshape(classes, classes, size, size).transpose(0, 2, 1, 3).reshape(classes * size, classes * size)
    )
