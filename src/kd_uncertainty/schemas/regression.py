"""Tables of the regression study: the advice, and the experiments of arXiv 2601.18909."""

from __future__ import annotations

from typing import Any

from kd_uncertainty.schemas.columns import check, with_interval

_ADVISED = {"num_responses": "int", "num_students": "int", **with_interval("variance"), "same_choice_share": "float"}
_SPENT = dict.fromkeys(("cost_per_response", "cost_per_student", "budget"), "float")


def advice(data: Any) -> None:
    """One row a curve, way of deployment and budget: what to spend it on."""
    check("advice", data, {"deployment": "text", "responses": "text", **_SPENT, **_ADVISED})


def teacher_output(data: Any) -> None:
    """One row a model and noise of the teacher's output."""
    keys = {"model": "text", "noise": "float", "noise_variance": "float", "num_students": "int"}
    figures = dict.fromkeys(("closed_form_variance", "closed_form_mse", "teacher_mse"), "float")
    check("teacher_output", data, {**keys, **with_interval("inter_variance", "test_mse"), **figures})


def initialisation(data: Any) -> None:
    """One row a kind of targets, kind of start and size of the perturbation."""
    keys = {"targets": "text", "initialisation": "text", "sigma": "float", "num_students": "int"}
    figures = ("parameter_dispersion", "trained_dispersion", "inter_variance", "test_mse")
    check("initialisation", data, {**keys, **with_interval(*figures), "teacher_mse": "float"})


def bootstrap(data: Any) -> None:
    """One row a model, kind of targets and size of the resamples."""
    keys = {"model": "text", "targets": "text", "fraction": "float", "size": "int", "num_students": "int"}
    check("bootstrap", data, {**keys, **with_interval("inter_variance", "test_mse"), "teacher_mse": "float"})


def student_output(data: Any) -> None:
    """One row a source, model, target and subset of the test points."""
    keys = dict.fromkeys(("source", "role", "model", "target", "subset"), "text")
    figures = ("entropy", "intra_variance", "accuracy", "entropy_ratio", "soft_ratio")
    check("student_output", data, {**keys, "num_students": "int", **with_interval(*figures)})


def remedies(data: Any) -> None:
    """One row a model, noise, number of responses and method of combining them."""
    keys = {"model": "text", "noise": "float", "num_responses": "int", "method": "text"}
    counts = {"responses_used": "any", "num_students": "int"}
    figures = ("inter_variance", "test_mse", "variance_ratio", "equal_budget_ratio")
    theory = dict.fromkeys(("predicted_ratio", "closed_form_variance", "response_weight"), "float")
    check("remedies", data, {**keys, **counts, **with_interval(*figures), **theory})
