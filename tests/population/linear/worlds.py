"""Regression problems that the tests of linear students share."""

import numpy as np
from sklearn.linear_model import LinearRegression, Ridge


def regression(examples=60, features=5, seed=0, offset=0.0):
    """Inputs (examples, features) and noise-free targets (examples,) with an intercept."""
    generator = np.random.default_rng(seed)
    inputs = generator.standard_normal((examples, features)) + offset
    return inputs, inputs @ generator.standard_normal(features) + 2.0


def seeds_of(count, base=0):
    """Seeds over the whole 64-bit range."""
    return np.random.default_rng(base).integers(0, 2**64, size=count, dtype=np.uint64)


def scikit_learn(inputs, targets, *, intercept=True, ridge=0.0, weights=None):
    """One student's parameters as scikit-learn fits them, in our order."""
    # by default LinearRegression takes singular values below 1e-6 of the largest for 0, which we do not
    plain = LinearRegression(fit_intercept=intercept, tol=1e-13)
    model = Ridge(alpha=ridge, fit_intercept=intercept) if ridge else plain
    model.fit(inputs, targets, sample_weight=weights)
    return np.append(model.coef_, model.intercept_) if intercept else model.coef_


def relative_error(found, expected):
    """Largest error of any parameter, relative to the student's largest parameter."""
    return (np.abs(found - expected).max(-1) / np.abs(expected).max(-1)).max()
