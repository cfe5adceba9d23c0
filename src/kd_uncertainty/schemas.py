"""The tables' contracts: one function a table, used as catalog validators and in tests.

Each takes the table and raises ``UserError`` that says which column is wrong; extra columns are allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from kd_uncertainty.errors import UserError

ARM_KEYS = ("teacher", "target", "num_responses", "weighting", "mixing", "temperature")
"""What makes two students belong to the same arm."""
VALUE_ARM_KEYS = ("model", "teacher", "target", "noise", "num_responses", "weighting", "mixing")
"""The same for students that predict real values."""
NO_TEACHER = "none"
"""The teacher of students that are trained on the data's own labels."""
FACTORS = ("response", "initialisation", "order")
"""The three independent sources of randomness of a student."""
SEED_COLUMNS = tuple(f"{factor}_seed" for factor in FACTORS)

_INTERVAL = {"estimate": "float", "lower": "float", "upper": "float"}
VALUE_METRICS = ("mse", "mae", "r2", "mse_to_teacher", "residual_variance")
"""Of students that predict numbers."""

_ARM = {"arm": "int", "teacher": "text", "target": "text", "num_responses": "int", "weighting": "text"} | {
    "mixing": "float",
    "temperature": "float",
}
_VALUE_ARM = {"arm": "int", "model": "text", "teacher": "text", "target": "text", "noise": "float"} | {
    "num_responses": "int",
    "weighting": "text",
    "mixing": "float",
}

_CHECKS: dict[str, Callable[[Any], bool]] = {
    "int": pd.api.types.is_integer_dtype,
    "float": pd.api.types.is_float_dtype,
    "bool": pd.api.types.is_bool_dtype,
    "text": pd.api.types.is_string_dtype,
    "any": lambda _: True,
}


def _check(table: str, data: Any, columns: Mapping[str, str]) -> None:
    if not isinstance(data, pd.DataFrame):
        raise UserError(f"table {table}: a data frame is needed, got {type(data).__name__}")
    missing = [column for column in columns if column not in data.columns]
    if missing:
        raise UserError(
            f"table {table}: column '{missing[0]}' is missing (columns: {', '.join(map(str, data.columns))})"
        )
    for column, kind in columns.items():
        if not _CHECKS[kind](data[column].dtype) and len(data):
            raise UserError(f"table {table}: column '{column}' must hold {kind}, holds {data[column].dtype}")


def _arm(data: Any) -> dict[str, str]:
    """The columns that name an arm; only students that predict real values are of several models."""
    return _VALUE_ARM if "model" in getattr(data, "columns", ()) else _ARM


def examples(data: Any) -> None:
    """One row an example: inputs, target and split; classes also before label noise, and their known probabilities."""
    columns = {"example_id": "int", "split": "text", "inputs": "any"}
    if "label_flipped" in getattr(data, "columns", ()):
        columns |= {"target": "int", "source_target": "int", "label_flipped": "bool"}
    else:
        columns |= {"target": "float"}
    _check("examples", data, columns)
    if data["example_id"].duplicated().any():
        raise UserError("table examples: an example_id is there twice")
    if "bayes_probabilities" in data and not _are_distributions(data["bayes_probabilities"]):
        raise UserError("table examples: a row of column 'bayes_probabilities' is no distribution over all classes")


def _are_distributions(rows: pd.Series[Any]) -> bool:
    """Whether rows are lists of one length, without negative numbers, and of sum 1."""
    lists = [np.asarray(row, dtype=np.float64) for row in rows]
    if not lists or len({values.shape for values in lists}) > 1:
        return not lists
    values = np.stack(lists)
    return bool((values >= 0.0).all() and np.allclose(values.sum(-1), 1.0, rtol=0.0, atol=1e-9))


def teacher_curves(data: Any) -> None:
    """One row a teacher, member and epoch."""
    of_classes = ("validation_nll", "validation_accuracy")
    curves = ("validation_mse",) if "validation_mse" in getattr(data, "columns", ()) else of_classes
    losses = dict.fromkeys(("train_loss", *curves), "float")
    _check("teacher_curves", data, {"teacher": "text", "member": "int", "epoch": "int"} | losses)


def plan(data: Any) -> None:
    """One row a student: its arm and its three seeds."""
    _check("plan", data, {"student": "int", **_arm(data), **dict.fromkeys(SEED_COLUMNS, "int")})


def student_curves(data: Any) -> None:
    """One row a student and epoch."""
    _check("student_curves", data, {"student": "int", "epoch": "int", "train_loss": "float"})


def predictions(data: Any) -> None:
    """One row a student and example."""
    answer = {"prediction": "float"} if "prediction" in getattr(data, "columns", ()) else {"logits": "any"}
    _check("predictions", data, {"student": "int", "example_id": "int", "split": "text", **answer})


def linear_students(data: Any) -> None:
    """One row a student in closed form: coefficients in order of features, then the intercept."""
    _check("linear_students", data, {"student": "int", "parameters": "any"})


def teacher_metrics(data: Any) -> None:
    """One row a teacher, split and metric."""
    _check("teacher_metrics", data, {"teacher": "text", "split": "text", "metric": "text", **_INTERVAL})


def reliability(data: Any) -> None:
    """One row a model, split and confidence bin."""
    bins = {"bin_lower": "float", "bin_upper": "float", "confidence": "float", "accuracy": "float", "count": "int"}
    _check("reliability", data, {"role": "text", "teacher": "text", "split": "text", **bins})


def student_metrics(data: Any) -> None:
    """One row a student and split."""
    of_classes = ("accuracy", "nll", "brier", "ece", "agreement", "kl_to_teacher")
    arm = _arm(data)
    metrics = dict.fromkeys(of_classes if arm is _ARM else VALUE_METRICS, "float")
    _check("student_metrics", data, {"student": "int", **arm, "split": "text", **metrics})


def arm_metrics(data: Any) -> None:
    """One row an arm, split and metric."""
    _check("arm_metrics", data, {**_arm(data), "split": "text", "metric": "text", **_INTERVAL})


def variance_components(data: Any) -> None:
    """One row an arm, split and component."""
    _check("variance_components", data, {**_arm(data), "split": "text", "component": "text", **_INTERVAL})


def response_budget(data: Any) -> None:
    """One row a teacher and target that was measured at several numbers of responses."""
    figures = ("response_variance", "floor", "slope", "threshold")
    _check(
        "response_budget",
        data,
        {"teacher": "text", "target": "text", **dict.fromkeys(figures, "float"), "recommended_num_responses": "any"},
    )


def _with_interval(*names: str) -> dict[str, str]:
    """Columns of quantities with their bounds."""
    return {f"{name}{bound}": "float" for name in names for bound in ("", "_lower", "_upper")}


_ADVISED = {"num_responses": "int", "num_students": "int", **_with_interval("variance"), "same_choice_share": "float"}
_SPENT = dict.fromkeys(("cost_per_response", "cost_per_student", "budget"), "float")


def advice(data: Any) -> None:
    """One row a curve, way of deployment and budget: what to spend it on."""
    _check("advice", data, {"deployment": "text", "responses": "text", **_SPENT, **_ADVISED})


def teacher_output(data: Any) -> None:
    """One row a model and noise of the teacher's output."""
    keys = {"model": "text", "noise": "float", "noise_variance": "float", "num_students": "int"}
    figures = dict.fromkeys(("closed_form_variance", "closed_form_mse", "teacher_mse"), "float")
    _check("teacher_output", data, {**keys, **_with_interval("inter_variance", "test_mse"), **figures})


def initialisation(data: Any) -> None:
    """One row a kind of targets, kind of start and size of the perturbation."""
    keys = {"targets": "text", "initialisation": "text", "sigma": "float", "num_students": "int"}
    figures = ("parameter_dispersion", "trained_dispersion", "inter_variance", "test_mse")
    _check("initialisation", data, {**keys, **_with_interval(*figures), "teacher_mse": "float"})


def bootstrap(data: Any) -> None:
    """One row a model, kind of targets and size of the resamples."""
    keys = {"model": "text", "targets": "text", "fraction": "float", "size": "int", "num_students": "int"}
    _check("bootstrap", data, {**keys, **_with_interval("inter_variance", "test_mse"), "teacher_mse": "float"})


def student_output(data: Any) -> None:
    """One row a source, model, target and subset of the test points."""
    keys = dict.fromkeys(("source", "role", "model", "target", "subset"), "text")
    figures = ("entropy", "intra_variance", "accuracy", "entropy_ratio", "soft_ratio")
    _check("student_output", data, {**keys, "num_students": "int", **_with_interval(*figures)})


def remedies(data: Any) -> None:
    """One row a model, noise, number of responses and method of combining them."""
    keys = {"model": "text", "noise": "float", "num_responses": "int", "method": "text"}
    counts = {"responses_used": "any", "num_students": "int"}
    figures = ("inter_variance", "test_mse", "variance_ratio", "equal_budget_ratio")
    theory = dict.fromkeys(("predicted_ratio", "closed_form_variance", "response_weight"), "float")
    _check("remedies", data, {**keys, **counts, **_with_interval(*figures), **theory})


def teacher_comparison(data: Any) -> None:
    """One row a teacher, cell of its students, split and metric."""
    cell = {"teacher": "text", "kind": "text", "num_draws": "int", **dict.fromkeys(_DIALS, "float")}
    _check("teacher_comparison", data, {**cell, "split": "text", "metric": "text", **_INTERVAL, "num_students": "int"})


_DIALS = ("fraction", "mixing", "temperature")


_LABELS = {"arm": "text", "level": "float", "mixing": "float"}
"""What students of the convergence study are trained on."""


def gradient_noise(data: Any) -> None:
    """One row a kind of labels: the noise of its gradients at the optimum, in closed form and measured."""
    figures = {**_with_interval("monte_carlo", "ratio"), **dict.fromkeys(("closed_form", "largest_gradient"), "float")}
    _check("gradient_noise", data, {**_LABELS, **figures, "break_even": "float", "num_draws": "int"})


def descent(data: Any) -> None:
    """One row a kind of labels, learning rate and step."""
    keys = {**_LABELS, "learning_rate": "float", "step": "int", "num_seeds": "int"}
    _check("descent", data, {**keys, **_with_interval("excess_risk", "distance")})


def plateau(data: Any) -> None:
    """One row a kind of labels and learning rate: where stochastic gradient descent stays."""
    keys = {**_LABELS, "learning_rate": "float", "predicted_plateau": "float", "num_seeds": "int"}
    _check("plateau", data, {**keys, **_with_interval("plateau", "ratio", "slope", "rate"), "floor_reached": "bool"})


def step_sweep(data: Any) -> None:
    """One row a kind of labels and learning rate: what the theorem promises, and what is measured."""
    keys = {"arm": "text", "learning_rate": "float", "guarantee": "float", "within_guarantee": "bool"}
    figures = dict.fromkeys(("strong_convexity", "bound", "linear_limit", "diverged_share"), "float")
    measured = _with_interval("final_distance", "contraction", "memory", "growth")
    _check("step_sweep", data, {**keys, **measured, **figures, "bound_holds": "bool", "num_seeds": "int"})


def mixture(data: Any) -> None:
    """One row a teacher and weight of its targets beside one-hot labels."""
    predicted = dict.fromkeys(("learning_rate", "predicted_noise", "predicted_plateau", "lambda_star"), "float")
    figures = {**_with_interval("measured_noise", "plateau", "lambda_hat"), **predicted}
    _check("mixture", data, {**_LABELS, **figures, "num_seeds": "int"})


_STUDENTS_OF = {**_LABELS, "teacher": "text", "metric": "text", **_INTERVAL, "num_seeds": "int"}


def stability_curves(data: Any) -> None:
    """One row a kind of labels, evaluation and metric."""
    _check("stability_curves", data, {**_STUDENTS_OF, "step": "int", "epoch": "float"})


def stability(data: Any) -> None:
    """One row a kind of labels, split and metric, with its ratio to one-hot labels."""
    _check("stability", data, {**_STUDENTS_OF, "split": "text", **_with_interval("ratio")})


def teacher_error(data: Any) -> None:
    """One row a teacher, split and metric: how far its probabilities are from the Bayes probabilities, and how good."""
    _check("teacher_error", data, {"teacher": "text", "split": "text", "metric": "text", **_INTERVAL})


_DEVIATIONS = {"teacher": "text", "split": "text", "statistic": "text", "group": "text", **_INTERVAL}
_BINS = dict.fromkeys(("teacher_logit", "median", "lower_quartile", "upper_quartile"), "float")
_GAINS = {"split": "text", "statistic": "text", "group": "text", "correlation": "float", "num_arms": "int"}


def deviations(data: Any) -> None:
    """One row an arm, split, statistic and group: students, controls, and their difference."""
    _check("deviations", data, {**_DEVIATIONS, "standard_errors": "float", "num_students": "int"})


def deviation_bins(data: Any) -> None:
    """One row an arm, split, group and bin of the teacher's confidence."""
    _check("deviation_bins", data, {"teacher": "text", "split": "text", "group": "text", "bin": "int", **_BINS})


def gains(data: Any) -> None:
    """One row a split and statistic: its rank correlation with the gain in accuracy over arms."""
    _check("gains", data, {**_GAINS, "lower": "float", "upper": "float"})


def empty_deviations() -> tuple[pd.DataFrame, ...]:
    """The tables of deviations, bins and gains without a row, where there is nothing to compare with."""
    columns = ([*_DEVIATIONS, "standard_errors", "num_students"], ["teacher", "split", "group", "bin", *_BINS])
    return tuple(pd.DataFrame(columns=names) for names in (*columns, [*_GAINS, "lower", "upper"]))


def switching(data: Any) -> None:
    """One row a teacher, schedule, switch, split and metric."""
    keys = {"teacher": "text", "schedule": "text", "switch": "float", "split": "text", "metric": "text"}
    _check("switching", data, {**keys, **_INTERVAL, **_with_interval("gain", "recovered"), "num_students": "int"})


def switching_teachers(data: Any) -> None:
    """One row a teacher, split and metric."""
    keys = {"teacher": "text", "epochs": "int", "split": "text", "metric": "text"}
    _check("switching_teachers", data, {**keys, **_INTERVAL})


_MODEL = {**dict.fromkeys(("task", "model", "descent", "start", "role"), "text"), "num_seeds": "int"}


def eigenspace_trajectories(data: Any) -> None:
    """One row a model, role, step and direction: how far it has come."""
    keys = {**_MODEL, "step": "int", "direction": "int", "eigenvalue": "float"}
    _check("eigenspace_trajectories", data, {**keys, **_with_interval("progress")})


def eigenspace_pairs(data: Any) -> None:
    """One row a model, role and record: how often the student is behind in the lower of two directions."""
    keys = {**_MODEL, "record_every": "int", "coarse": "text", "num_pairs": "int"}
    _check("eigenspace_pairs", data, {**keys, **_with_interval("share", "gap")})


_WORLD = {"signal": "text", "similarity": "float", "student_step": "int", "teacher": "text", "num_seeds": "int"}


def denoising_entries(data: Any) -> None:
    """One row a kind of world, student and teacher: entries of gradients, and which of them the teacher turns."""
    _check("denoising_entries", data, {**_WORLD, **_with_interval("destructive", "flip", "false_flip")})


def denoising_alignment(data: Any) -> None:
    """One row a kind of world, quantity, student and teacher: the cosine with the truth."""
    _check("denoising_alignment", data, {**_WORLD, "quantity": "text", **_with_interval("cosine", "gain")})
