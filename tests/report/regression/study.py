"""A synthetic regression study with known laws, so that every verdict is known beforehand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

VAR_Y = 5900.0
LAW = 160.0
"""Closed-form variance of linear students at noise Var(y) and k = 1."""
FLOOR = 60.0
TEACHER_MSE = 2900.0
NOISES = (0.0, 0.1, 0.5, 1.0)
COUNTS = (1, 2, 4, 8, 16)
FLOOR_PARTS = {"initialisation": 48.0, "order": 10.0, "residual": 2.0}
COSTS = {"cost_per_response": 1.0, "cost_per_student": 10.0}
Tables = dict[str, pd.DataFrame]


def spread(row: dict[str, Any], share: float = 0.06, **figures: float) -> dict[str, Any]:
    """The row with each figure and bounds a share of it away; NaN figures have NaN bounds."""
    for name, value in figures.items():
        row |= {name: value, f"{name}_lower": value * (1 - share), f"{name}_upper": value * (1 + share)}
    return row


def network_variance(noise: float, k: int = 1) -> float:
    return FLOOR + 0.8 * LAW * noise / k


def teacher_output() -> pd.DataFrame:
    rows = []
    for noise in NOISES:
        keys = {"noise": noise, "noise_variance": noise * VAR_Y, "num_students": 1000, "teacher_mse": TEACHER_MSE}
        law = LAW * noise
        linear = {"model": "linear", **keys, "closed_form_variance": law, "closed_form_mse": TEACHER_MSE + law}
        rows.append(spread(linear, inter_variance=1.01 * law, test_mse=TEACHER_MSE + 1.01 * law))
        network = {"model": "network", **keys, "closed_form_variance": math.nan, "closed_form_mse": math.nan}
        rows.append(spread(network, inter_variance=network_variance(noise), test_mse=1.3 * TEACHER_MSE))
    return pd.DataFrame(rows)


def initialisation() -> pd.DataFrame:
    rows = []
    for targets, scale in (("teacher", 1.0), ("ground_truth", 2.0)):
        for sigma in (0.0, 0.05, 0.1, 0.2, 0.4, math.nan):
            kind = "independent" if math.isnan(sigma) else "perturbed"
            size = 1.0 if kind == "independent" else sigma**2
            keys = {"targets": targets, "initialisation": kind, "sigma": sigma, "num_students": 500}
            row = spread({**keys, "teacher_mse": TEACHER_MSE}, parameter_dispersion=0.1 * size)
            row = spread(row, trained_dispersion=0.12 * size * scale, inter_variance=300.0 * size * scale)
            rows.append(spread(row, test_mse=TEACHER_MSE + 300.0 * size))
    return pd.DataFrame(rows)


def bootstrap() -> pd.DataFrame:
    rows = []
    for model in ("linear", "network"):
        for targets in ("teacher", "ground_truth"):
            for fraction in (0.1, 0.25, 0.5, 1.0):
                value = 100.0 / fraction
                if targets == "teacher":
                    value *= 0.0 if model == "linear" else 0.4
                keys = {"model": model, "targets": targets, "fraction": fraction, "size": int(353 * fraction)}
                row = {**keys, "num_students": 1000, "teacher_mse": TEACHER_MSE}
                rows.append(spread(row, inter_variance=value, test_mse=TEACHER_MSE + value))
    return pd.DataFrame(rows)


def student_output() -> pd.DataFrame:
    ratios = {"argmax": 0.3, "soft": 0.98, "label": 0.8}
    rows = []
    for source in ("digits", "wine"):
        for subset, size in (("all", 1.0), ("correct", 0.8), ("incorrect", 2.5)):
            keys = {"source": source, "subset": subset, "num_points": 360.0}
            own = {**keys, "role": "teacher", "model": "network", "target": "ground_truth", "num_students": 1}
            own |= {"entropy_ratio": math.nan, "entropy_ratio_lower": math.nan, "entropy_ratio_upper": math.nan}
            rows.append(spread(own, 0.0, entropy=0.2 * size, intra_variance=0.1 * size, accuracy=0.95))
            for model in ("network", "logistic"):
                for target, share in ratios.items():
                    row = {**keys, "role": "student", "model": model, "target": target, "num_students": 20}
                    row = spread(row, entropy=0.2 * size * share, intra_variance=0.1 * size * share, accuracy=0.94)
                    rows.append(spread(row, 0.01, entropy_ratio=share))
    return pd.DataFrame(rows)


def remedies() -> pd.DataFrame:
    gain = {
        "average": 1.0,
        "inverse_variance_oracle": 0.5,
        "inverse_variance_estimated": 0.9,
        "blue": 1.0,
        "pilot": 0.8,
    }
    rows = []
    for model in ("linear", "network"):
        for noise in (0.1, 0.5, 1.0):
            for k in COUNTS:
                average = LAW * noise / k if model == "linear" else network_variance(noise, k)
                for method, gained in gain.items():
                    first = method == "average" or (method == "inverse_variance_oracle" and k == 1)
                    share = 1.0 if first else gained
                    keys = {"model": model, "noise": noise, "num_responses": k, "method": method}
                    row = {**keys, "responses_used": k if first else 2 * k, "num_students": 1000}
                    row["closed_form_variance"] = average if model == "linear" and method == "average" else math.nan
                    row["predicted_ratio"] = share if "oracle" in method or method == "average" else math.nan
                    row = spread(row, inter_variance=average * share, test_mse=TEACHER_MSE + 10 * average * share)
                    row = spread(row, 0.0 if first else 0.05, variance_ratio=share)
                    equal = 1.0 if first else math.nan if "oracle" in method else 2.0 * share
                    rows.append(spread(row, 0.0 if first else 0.05, equal_budget_ratio=equal))
    return pd.DataFrame(rows)


def arms() -> pd.DataFrame:
    rows = []
    for model in ("linear", "network"):
        for noise in (0.1, 1.0):
            rows += [(model, "linear_regression", "noise", noise, k) for k in COUNTS]
        rows += [(model, "linear_regression", "exact", 0.0, 1), (model, "none", "ground_truth", 0.0, 1)]
    frame = pd.DataFrame(rows, columns=["model", "teacher", "target", "noise", "num_responses"])
    return frame.assign(arm=range(len(frame)), weighting="average", mixing=1.0)


def response_part(arm: dict[str, Any]) -> float:
    scale = 1.0 if arm["model"] == "linear" else 0.8
    return scale * LAW * arm["noise"] / arm["num_responses"] if arm["target"] == "noise" else 0.0


def crossed(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Components and metrics of every arm on both splits."""
    components, metrics = [], []
    for arm in frame.to_dict("records"):
        for split in ("validation", "test"):
            network = arm["model"] == "network"
            parts = {
                "response": response_part(arm),
                **(FLOOR_PARTS if network else dict.fromkeys(FLOOR_PARTS, math.nan)),
            }
            whole = response_part(arm) + (FLOOR if network else 0.0)
            shown = {"total": 3000.0 + whole, "intra": 3000.0, "inter": 0.98 * whole, "inter_unbiased": whole, **parts}
            bounds = ((name, value, 0.9 * value, 1.1 * value) for name, value in shown.items())
            names = ("component", "estimate", "lower", "upper")
            components += [{**arm, "split": split, **dict(zip(names, row, strict=True))} for row in bounds]
            mse = TEACHER_MSE + whole + (80.0 if arm["target"] == "ground_truth" else 0.0)
            for metric, value in {"mse": mse, "mae": 44.0, "r2": 0.5}.items():
                row = {"metric": metric, "estimate": value, "lower": 0.99 * value, "upper": 1.01 * value}
                metrics.append({**arm, "split": split, **row})
    return pd.DataFrame(components), pd.DataFrame(metrics)


def response_budget() -> pd.DataFrame:
    rows = []
    for model in ("linear", "network"):
        for noise in (0.1, 1.0):
            a = (1.0 if model == "linear" else 0.8) * LAW * noise
            b = FLOOR if model == "network" else 0.0
            best = math.ceil(3.0 * a / b) if b else pd.NA
            row = {"model": model, "teacher": "linear_regression", "target": "noise", "noise": noise}
            row |= {"weighting": "average", "mixing": 1.0, "split": "validation", "threshold": 0.25}
            row = spread(row, response_variance=a, floor=b)
            row |= {"slope": -1.0, "slope_lower": -1.05, "slope_upper": -0.95}
            row |= {"recommended_num_responses": best, "recommended_num_responses_lower": best}
            row |= {"recommended_num_responses_upper": best, "largest_measured": 16, "extrapolated": False}
            rows.append({**row, "num_response_seeds": 8, "num_slope_points": 5})
    return pd.DataFrame(rows)


def advice() -> pd.DataFrame:
    rows = []
    for curve in response_budget().to_dict("records"):
        for budget in (30.0, 100.0, 300.0):
            for deployment, responses in (("student", "own"), ("ensemble", "own"), ("ensemble", "shared")):
                k = min(int(budget) - 10, 16)
                students = 1 if deployment == "student" else max(int(budget) // (10 + k), 1)
                names = ("model", "teacher", "target", "noise", "weighting", "mixing", "split")
                row = {**{name: curve[name] for name in names}, "deployment": deployment, "responses": responses}
                row |= {**COSTS, "budget": budget, "num_responses": k, "num_responses_lower": k - 1}
                row |= {
                    "num_responses_upper": k + 1,
                    "same_choice_share": 0.8,
                    "num_students": students,
                    "cost": budget,
                }
                row |= {"limit": 0.0, "largest_measured": 16, "extrapolated": False}
                rows.append(spread(row, variance=(curve["response_variance"] / k + curve["floor"]) / students))
    return pd.DataFrame(rows)


def population(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    plan, metrics = [], []
    for arm in frame.to_dict("records"):
        for index in range(4):
            student = len(plan)
            plan.append({"student": student, **arm, "response_seed": index % 2, "initialisation_seed": index // 2,
                         "order_seed": index % 3})  # fmt: skip
            metrics.append({"student": student, **arm, "split": "test", "mse": 3000.0, "mae": 44.0, "r2": 0.5})
    return pd.DataFrame(plan), pd.DataFrame(metrics)


def make_tables() -> Tables:
    """All tables of the study."""
    frame = arms()
    components, metrics = crossed(frame)
    plan, student_metrics = population(frame)
    teacher = [
        {"teacher": "linear_regression", "split": split, "metric": metric, "estimate": value, "lower": 0.9 * value,
         "upper": 1.1 * value}
        for split in ("validation", "test")
        for metric, value in {"mse": TEACHER_MSE, "mae": 43.0, "r2": 0.5}.items()
    ]  # fmt: skip
    return {
        "teacher_output": teacher_output(),
        "initialisation": initialisation(),
        "bootstrap": bootstrap(),
        "student_output": student_output(),
        "remedies": remedies(),
        "variance_components": components,
        "arm_metrics": metrics,
        "response_budget": response_budget(),
        "advice": advice(),
        "teacher_metrics": pd.DataFrame(teacher),
        "plan": plan,
        "student_metrics": student_metrics,
    }


def scale(frame: pd.DataFrame, column: str, factor: Any, mask: Any) -> None:
    """Multiply a figure and its bounds in place."""
    columns = [column, f"{column}_lower", f"{column}_upper"]
    frame.loc[mask, columns] = frame.loc[mask, columns].to_numpy() * np.asarray(factor)
