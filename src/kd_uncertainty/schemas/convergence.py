"""Tables on Bayesian teachers (arXiv 2601.01484): the comparison of teachers, and the convergence study."""

from __future__ import annotations

from typing import Any

from kd_uncertainty.schemas.columns import INTERVAL, check, with_interval

_DIALS = ("fraction", "mixing", "temperature")


def teacher_comparison(data: Any) -> None:
    """One row a teacher, cell of its students, split and metric."""
    cell = {"teacher": "text", "kind": "text", "num_draws": "int", **dict.fromkeys(_DIALS, "float")}
    check("teacher_comparison", data, {**cell, "split": "text", "metric": "text", **INTERVAL, "num_students": "int"})


_LABELS = {"arm": "text", "level": "float", "mixing": "float"}
"""What students of the convergence study are trained on."""


def gradient_noise(data: Any) -> None:
    """One row a kind of labels: the noise of its gradients at the optimum, in closed form and measured."""
    figures = {**with_interval("monte_carlo", "ratio"), **dict.fromkeys(("closed_form", "largest_gradient"), "float")}
    check("gradient_noise", data, {**_LABELS, **figures, "break_even": "float", "num_draws": "int"})


def descent(data: Any) -> None:
    """One row a kind of labels, learning rate and step."""
    keys = {**_LABELS, "learning_rate": "float", "step": "int", "num_seeds": "int"}
    check("descent", data, {**keys, **with_interval("excess_risk", "distance")})


def plateau(data: Any) -> None:
    """One row a kind of labels and learning rate: where stochastic gradient descent stays."""
    keys = {**_LABELS, "learning_rate": "float", "predicted_plateau": "float", "num_seeds": "int"}
    check("plateau", data, {**keys, **with_interval("plateau", "ratio", "slope", "rate"), "floor_reached": "bool"})


def step_sweep(data: Any) -> None:
    """One row a kind of labels and learning rate: what the theorem promises, and what is measured."""
    keys = {"arm": "text", "learning_rate": "float", "guarantee": "float", "within_guarantee": "bool"}
    figures = dict.fromkeys(("strong_convexity", "bound", "linear_limit", "diverged_share"), "float")
    measured = with_interval("final_distance", "contraction", "memory", "growth")
    check("step_sweep", data, {**keys, **measured, **figures, "bound_holds": "bool", "num_seeds": "int"})


def mixture(data: Any) -> None:
    """One row a teacher and weight of its targets beside one-hot labels."""
    predicted = dict.fromkeys(("learning_rate", "predicted_noise", "predicted_plateau", "lambda_star"), "float")
    figures = {**with_interval("measured_noise", "plateau", "lambda_hat"), **predicted}
    check("mixture", data, {**_LABELS, **figures, "num_seeds": "int"})


_STUDENTS_OF = {**_LABELS, "teacher": "text", "metric": "text", **INTERVAL, "num_seeds": "int"}


def stability_curves(data: Any) -> None:
    """One row a kind of labels, evaluation and metric."""
    check("stability_curves", data, {**_STUDENTS_OF, "step": "int", "epoch": "float"})


def stability(data: Any) -> None:
    """One row a kind of labels, split and metric, with its ratio to one-hot labels."""
    check("stability", data, {**_STUDENTS_OF, "split": "text", **with_interval("ratio")})


def teacher_error(data: Any) -> None:
    """One row a teacher, split and metric: how far its probabilities are from the Bayes probabilities, and how good."""
    check("teacher_error", data, {"teacher": "text", "split": "text", "metric": "text", **INTERVAL})
