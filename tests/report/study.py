"""A synthetic study with known laws: Var(k) = a/k + b for every teacher and target, quality that follows from it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from .deviations.study import deviation_bins, deviations
from .teaching import teacher_comparison

ARM_KEYS = ["teacher", "target", "num_responses", "weighting", "mixing", "temperature", "schedule"]
FLOOR = 0.0022
FLOOR_PARTS = {"initialisation": 0.70, "order": 0.24, "residual": 0.06}
RESPONSE_VARIANCE = {
    ("deterministic", "label"): 0.0260,
    ("ensemble", "label"): 0.0247,
    ("dropout", "label"): 0.0281,
    ("ensemble", "posterior"): 0.0048,
    ("dropout", "posterior"): 0.0074,
}
TEACHER_NLL = {"deterministic": 0.342, "ensemble": 0.275, "dropout": 0.318}
STUDENT_NLL = {"deterministic": 0.235, "ensemble": 0.205, "dropout": 0.232}
GRID = {"label": (1, 2, 4, 8, 16, 32), "posterior": (1, 2, 4, 8)}
SEEDS = (8, 3, 3)
Tables = dict[str, pd.DataFrame]


def arms_frame() -> pd.DataFrame:
    rows: list[tuple[str, str, int]] = [("none", "one_hot", 1)]
    for teacher in TEACHER_NLL:
        for target in ("label", "posterior"):
            if (teacher, target) in RESPONSE_VARIANCE:
                rows += [(teacher, target, k) for k in GRID[target]]
        rows.append((teacher, "exact", 1))
    frame = pd.DataFrame(rows, columns=["teacher", "target", "num_responses"])
    usual = {"weighting": "average", "mixing": 1.0, "temperature": 1.0, "schedule": "constant"}
    return frame.assign(arm=range(len(frame)), **usual)[["arm", *ARM_KEYS]]


def response_part(teacher: str, target: str, k: int) -> float:
    return RESPONSE_VARIANCE.get((teacher, target), 0.0) / k


def quality(teacher: str, target: str, k: int, split: str) -> dict[str, float]:
    """NLL rises and accuracy falls with the variance that responses cause; test is a little worse than validation."""
    shift = 0.012 if split == "test" else -0.03 if split == "train" else 0.0
    if target == "one_hot":
        nll, accuracy = 0.421, 0.902
    else:
        noise = response_part(teacher, target, k)
        nll = STUDENT_NLL[teacher] + 8.0 * noise + (0.004 if target == "posterior" else 0.0)
        accuracy = 0.955 - 1.7 * noise - (0.0 if teacher == "ensemble" else 0.004)
    return {
        "accuracy": accuracy - shift / 4,
        "nll": nll + shift,
        "brier": (nll + shift) / 3,
        "ece": 0.03 + (nll - 0.2) / 8,
        "agreement": accuracy - 0.01,
        "kl_to_teacher": math.nan if target == "one_hot" else 0.08 + (nll - 0.2) / 2,
    }


def arm_metrics(arms: pd.DataFrame) -> pd.DataFrame:
    half = {"accuracy": 0.004, "nll": 0.009, "brier": 0.004, "ece": 0.004, "agreement": 0.005, "kl_to_teacher": 0.006}
    rows = []
    for arm in arms.to_dict("records"):
        for split in ("validation", "test"):
            for metric, value in quality(arm["teacher"], arm["target"], arm["num_responses"], split).items():
                rows.append(
                    {**arm, "split": split, "metric": metric, "estimate": value, "lower": value - half[metric],
                     "upper": value + half[metric]}
                )  # fmt: skip
    return pd.DataFrame(rows)


def variance_components(arms: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for arm in arms.to_dict("records"):
        for split in ("validation", "test"):
            response = response_part(arm["teacher"], arm["target"], arm["num_responses"])
            if arm["target"] in ("exact", "one_hot"):
                response = -0.00002  # an unbiased estimate of zero, as often below as above
            parts = {"response": response, **{name: FLOOR * share for name, share in FLOOR_PARTS.items()}}
            whole = sum(parts.values())
            inter = 0.985 * whole
            intra = 0.105 if arm["target"] != "one_hot" else 0.146
            values = {
                "total": intra + inter, "intra": intra, "inter": inter,
                "total_entropy": 0.26 + 3 * inter, "intra_entropy": 0.26, "inter_entropy": 3 * inter,
                "inter_unbiased": whole, **parts,
            }  # fmt: skip
            for component, value in values.items():
                half = abs(value) * 0.12 + 0.00004
                rows.append(
                    {**arm, "split": split, "component": component, "estimate": value, "lower": value - half,
                     "upper": value + half}
                )  # fmt: skip
    return pd.DataFrame(rows)


def budget_row(teacher: str, target: str, a: float, **changes: Any) -> dict[str, Any]:
    threshold = 0.25
    exact = a * (1 - threshold) / (threshold * FLOOR)
    largest = GRID[target][-1]
    row = {
        "teacher": teacher, "target": target, "weighting": "average", "mixing": 1.0, "temperature": 1.0,
        "schedule": "constant", "split": "validation",
        "response_variance": a, "response_variance_lower": 0.88 * a, "response_variance_upper": 1.13 * a,
        "floor": FLOOR, "floor_lower": 0.84 * FLOOR, "floor_upper": 1.17 * FLOOR,
        "slope": -1.02, "slope_lower": -1.09, "slope_upper": -0.94,
        "recommended_num_responses": math.ceil(exact), "recommended_num_responses_lower": math.ceil(0.8 * exact),
        "recommended_num_responses_upper": math.ceil(1.3 * exact),
        "threshold": threshold, "largest_measured": largest, "extrapolated": math.ceil(exact) > largest,
        "num_response_seeds": SEEDS[0],
    }  # fmt: skip
    return {**row, **changes}


def teacher_metrics() -> pd.DataFrame:
    rows = []
    for index, (teacher, nll) in enumerate(TEACHER_NLL.items()):
        for split in ("validation", "test"):
            values = {
                "accuracy": 0.925 + 0.007 * (index == 1),
                "nll": nll,
                "brier": nll / 3,
                "ece": 0.05 - 0.01 * index,
            }
            for metric, value in values.items():
                rows.append((teacher, split, metric, value, value - 0.012, value + 0.012))
    return pd.DataFrame(rows, columns=["teacher", "split", "metric", "estimate", "lower", "upper"])


def reliability(arms: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    edges = np.linspace(0.0, 1.0, 11)
    groups = [("teacher", name, "", 0, math.nan, "") for name in TEACHER_NLL]
    groups += [
        ("students", a["teacher"], a["target"], a["num_responses"], 1.0, a["schedule"]) for a in arms.to_dict("records")
    ]
    rows = []
    for role, teacher, target, k, keys, schedule in groups:
        counts = np.array([0, 0, 2, 6, 13, 19, 24, 31, 52, 213]) * (1 if role == "teacher" else 72)
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
            confidence = (low + high) / 2 if count else math.nan
            accuracy = float(np.clip(confidence + 0.05 + rng.normal(0, 0.02), 0, 1)) if count else math.nan
            bins = (low, high, confidence, accuracy, int(count))
            rows.append((role, teacher, target, k, keys, keys, schedule, "test", *bins))
    columns = ["role", "teacher", "target", "num_responses", "mixing", "temperature", "schedule", "split"]
    return pd.DataFrame(rows, columns=[*columns, "bin_lower", "bin_upper", "confidence", "accuracy", "count"])


def population(arms: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Plan, student metrics and student curves; three students an arm keep the tests fast."""
    rng = np.random.default_rng(6)
    plan, metrics, curves = [], [], []
    for arm in arms.to_dict("records"):
        for index in range(9):
            student = len(plan)
            seeds = {"response_seed": index % 8, "initialisation_seed": index % 3, "order_seed": index // 3}
            plan.append({"student": student, **arm, **seeds})
            luck = float(rng.normal(0, 0.004))
            for split in ("train", "validation", "test"):
                values = quality(arm["teacher"], arm["target"], arm["num_responses"], split)
                values["nll"] += luck if split == "validation" else -luck
                metrics.append({"student": student, **arm, "split": split, **values})
            if index < 3:
                for epoch in range(1, 21):
                    loss = 0.3 + 2.0 * math.exp(-epoch / 4) * (1 + 0.1 * float(rng.random())) + arm["arm"] / 200
                    curves.append((student, epoch, loss))
    return pd.DataFrame(plan), pd.DataFrame(metrics), pd.DataFrame(curves, columns=["student", "epoch", "train_loss"])


def teacher_curves() -> pd.DataFrame:
    rows = [
        (
            teacher,
            member,
            epoch,
            nll + 1.8 * math.exp(-epoch / 3) + 0.01 * member,
            nll + 1.5 * math.exp(-epoch / 3),
            0.9,
        )
        for teacher, nll in TEACHER_NLL.items()
        for member in range(8 if teacher == "ensemble" else 1)
        for epoch in range(1, 11)
    ]
    columns = ["teacher", "member", "epoch", "train_loss", "validation_nll", "validation_accuracy"]
    return pd.DataFrame(rows, columns=columns)


def make_tables() -> Tables:
    """All tables of the study."""
    arms = arms_frame()
    plan, student_metrics, student_curves = population(arms)
    return {
        "plan": plan,
        "student_metrics": student_metrics,
        "student_curves": student_curves,
        "teacher_curves": teacher_curves(),
        "teacher_metrics": teacher_metrics(),
        "arm_metrics": arm_metrics(arms),
        "variance_components": variance_components(arms),
        "reliability": reliability(arms),
        "response_budget": pd.DataFrame([budget_row(*key, a) for key, a in RESPONSE_VARIANCE.items()]),
        "teacher_comparison": teacher_comparison(),
        "deviation_bins": deviation_bins(),
        "deviations": deviations(),
    }


def rows_of(frame: pd.DataFrame, **keys: object) -> pd.Series:
    """A mask of the rows whose columns have the given values."""
    mask = pd.Series(data=True, index=frame.index)
    for name, value in keys.items():
        mask &= frame[name] == value
    return mask


def put(frame: pd.DataFrame, estimate: float, half: float, **keys: object) -> None:
    """Set a figure and its interval in place."""
    mask = rows_of(frame, **keys)
    assert mask.any(), keys
    frame.loc[mask, ["estimate", "lower", "upper"]] = [estimate, estimate - half, estimate + half]


def figure_of(frame: pd.DataFrame, **keys: object) -> float:
    """The one figure that the keys name."""
    found = frame.loc[rows_of(frame, **keys), "estimate"]
    assert len(found) == 1, keys
    return float(found.iloc[0])
