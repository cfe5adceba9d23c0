"""Linear-Gaussian worlds for tests, and their laws written down without any of the library's algebra."""

from functools import cache

import numpy as np

from kd_uncertainty.bounds.linear_audit import audit_table
from kd_uncertainty.bounds.linear_gaussian import linear_gaussian


@cache
def audit():
    """Every test that reads it shares one table."""
    return audit_table(400)


def world(seed=0, outputs=3, size=4, count=9, rank=None, noise=0.7, prior=0.8, beta=1.7):
    generator = np.random.default_rng(seed)
    inputs = generator.standard_normal((size, count))
    if rank is not None:
        inputs = generator.standard_normal((size, rank)) @ generator.standard_normal((rank, count))
    weights = generator.standard_normal((outputs, size))
    return linear_gaussian(inputs, weights, label_noise=noise, prior_precision=prior, inverse_temperature=beta)


SHAPES = {
    "n above d": {},
    "n below d": {"count": 3},
    "one example": {"count": 1, "size": 3},
    "rank-deficient": {"rank": 2},
    "one input": {"size": 1},
    "one output": {"outputs": 1},
}


def covariance(size, seed=0):
    """Some symmetric and positive definite matrix."""
    root = np.random.default_rng(seed + 100).standard_normal((size, size))
    return root @ root.T / size + 0.1 * np.eye(size)


def sigma_t(one):
    precision = one.prior_precision * np.eye(len(one.inputs))
    precision += one.inverse_temperature / one.label_noise**2 * one.inputs @ one.inputs.T
    return np.linalg.inv(precision)


def gain(one):
    """B of W_T = Y B."""
    return one.inverse_temperature / one.label_noise**2 * one.inputs.T @ sigma_t(one)


def stacked_laws(one, linear_map, student):
    """Mean and covariance of (vec Y, vec W) and (vec Y^, vec W_S), as affine maps of standard normals.

    Rows are stacked: vec(A B) = (I (x) B') vec(A).
    """
    k, (d, n) = len(one.weights), one.inputs.shape

    def right(matrix):
        return np.kron(np.eye(k), matrix.T)

    noise, root = one.label_noise * np.eye(k * n), right(np.linalg.cholesky(sigma_t(one)).T)
    spread, zero = right(np.linalg.cholesky(student).T), np.zeros
    clean = (one.weights @ one.inputs).ravel()
    fitted = right(gain(one))  # vec W_T of vec Y
    # teacher: standard normals (Z, E)
    teacher = np.block([[noise, zero((k * n, k * d))], [fitted @ noise, root]])
    teacher_mean = np.concatenate([clean, fitted @ clean])
    # student: standard normals (Z, E, Z', E')
    drawn = np.hstack([fitted @ noise, root])
    pseudo = np.hstack([right(one.inputs) @ drawn, noise, zero((k * n, k * d))])
    mapped = np.hstack([right(linear_map) @ drawn, zero((k * d, k * n)), spread])
    student_law = np.vstack([pseudo, mapped])
    student_mean = np.concatenate([right(one.inputs) @ fitted @ clean, right(linear_map) @ fitted @ clean])
    return (teacher_mean, teacher @ teacher.T), (student_mean, student_law @ student_law.T)


def gaussian_kl(mean, first, other_mean, other):
    """KL(N(mean, first) || N(other_mean, other)) by the textbook."""
    shift = other_mean - mean
    ratio = np.linalg.slogdet(other)[1] - np.linalg.slogdet(first)[1]
    trace = np.trace(np.linalg.solve(other, first))
    return 0.5 * (trace - len(shift) + shift @ np.linalg.solve(other, shift) + ratio)


def brute_force(one, linear_map, student):
    """K_n from the covariance matrices of all k (n + d) numbers, and the dataset shift from those of the k n labels."""
    (mean_t, cov_t), (mean_s, cov_s) = stacked_laws(one, linear_map, student)
    labels = slice(0, len(one.weights) * one.inputs.shape[1])
    shift = gaussian_kl(mean_s[labels], cov_s[labels, labels], mean_t[labels], cov_t[labels, labels])
    return gaussian_kl(mean_s, cov_s, mean_t, cov_t), shift


def within(values, expected, errors=4.0):
    """Whether the mean of independent values is consistent with what is expected."""
    return abs(values.mean() - expected) < errors * values.std(ddof=1) / np.sqrt(len(values))
