"""Linear regression: least squares, and the normal posterior of its coefficients (regression tasks only).

``b ~ N(b_OLS, s^2 (X'X)^-1)`` with ``s^2 = RSS / (n - p)``: the posterior under a flat prior, with the noise variance
at its unbiased estimate. Of the networks' options it uses none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.linear.design import make_design, predict
from kd_uncertainty.population.linear.noise import standard_normals
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.teachers.contract import Fitted, Problem, Teacher, TeacherOptions


class Options(TeacherOptions):
    """What the posterior is: normal, or the least-squares point alone."""

    kind: Literal["linear_regression"] = "linear_regression"
    posterior: Literal["normal", "point"] = "normal"

    @property
    def distinct_draws(self) -> int | None:
        """One for a point, no end of them for a normal posterior."""
        return 1 if self.posterior == "point" else None


def fit(problem: Problem, options: Options, seed: int) -> Fitted:
    """Fit by least squares, in float64.

    Returns:
        ``mean`` (1, parameters) and ``root`` (1, rank, parameters) with ``root' root`` the posterior covariance;
        coefficients in order of features, then the intercept.

    Raises:
        UserError: for a classification task.
    """
    if problem.loss != "mse":
        raise UserError("teachers: kind: linear_regression predicts numbers, not classes; use it in a regression study")
    inputs, targets = problem.inputs.double().numpy(), problem.labels.double().numpy()[:, 0]
    design = make_design(inputs)
    mean = targets @ design.pseudo_inverse
    residuals = targets - predict(mean[None], inputs)[0]
    freedom = design.num_examples - design.rank
    # (X'X)^-1 = back' back, since the basis is orthonormal where there is no ridge
    std = float(np.sqrt(residuals @ residuals / freedom)) if freedom > 0 else 0.0
    parameters = {"mean": torch.from_numpy(mean[None]), "root": torch.from_numpy(std * design.back[None])}
    return Fitted(parameters, _curve(problem, mean, residuals))


def posterior_logits(teacher: Teacher, inputs: Tensor, draws: Sequence[int], seed: int) -> Tensor:
    """Draw coefficients; draw ``j`` depends on ``(seed, j)`` alone. Returns (draws, examples, 1) float64."""
    assert isinstance(teacher.options, Options)
    mean, root = (teacher.parameters[name][0].double().cpu().numpy() for name in ("mean", "root"))
    parameters = np.tile(mean, (len(draws), 1))
    if teacher.options.posterior == "normal":
        seeds = np.array([derive_seed(seed, "coefficients", draw) for draw in draws], dtype=np.uint64)
        parameters += standard_normals(seeds, 0, len(root)) @ root
    return torch.from_numpy(predict(parameters, inputs.double().cpu().numpy()))[..., None]


def posterior_mean(teacher: Teacher, inputs: Tensor) -> Tensor:
    """Return the posterior mean of the prediction, (examples, 1) float64."""
    mean = teacher.parameters["mean"].double().cpu().numpy()
    return torch.from_numpy(predict(mean, inputs.double().cpu().numpy()))[0, :, None]


def _curve(problem: Problem, mean: np.ndarray, residuals: np.ndarray) -> pd.DataFrame:
    """One row: there is nothing to iterate."""
    validation = predict(mean[None], problem.validation_inputs.double().numpy())[0]
    errors = validation - problem.validation_labels.double().numpy()[:, 0]
    mse = {"train_loss": float(np.mean(residuals**2)), "validation_mse": float(np.mean(errors**2))}
    return pd.DataFrame([{"member": 0, "epoch": 1, **mse}])
