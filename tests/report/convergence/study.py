"""A synthetic convergence study with known laws, so that every verdict is known beforehand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from ..regression.study import scale

SIGMA = 2.0
"""Gradient noise of one-hot labels."""
UNIT = 0.5
"""1/L."""
BREAK_EVEN = 0.04
ADDITIVE = (0.01, 0.1)
DIRICHLET = (0.5, 5.0)
RATES = (UNIT / 32, UNIT / 16, UNIT / 8)
SWEEP = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 8.0, 16.0)
LIMIT = 4.0
"""The largest stable step of the sweep, in 1/L."""
MIXING = tuple(np.linspace(0.0, 1.0, 9))
NOISES = ("noise_accuracy_std", "noise_accuracy_step", "noise_nll_std", "noise_nll_step", "gradient_variance")
TEACHERS = {"deterministic": 0.30, "dropout": 0.20, "ensemble": 0.10, "laplace": 0.25, "variational": 0.05}
"""Squared error to the Bayes probabilities on the training points."""
ECE = {"deterministic": 0.03, "dropout": 0.08, "ensemble": 0.04, "laplace": 0.02, "variational": 0.09}
Tables = dict[str, pd.DataFrame]

__all__ = ["make_tables", "scale"]


def spread(row: dict[str, Any], share: float = 0.05, **figures: float) -> dict[str, Any]:
    """The row with each figure and bounds a share of it away; NaN figures have NaN bounds."""
    for name, value in figures.items():
        room = abs(value) * share
        row = row | {name: value, f"{name}_lower": value - room, f"{name}_upper": value + room}
    return row


def noise_of(arm: str, level: float = math.nan) -> float:
    """The closed form."""
    if arm == "additive":
        return SIGMA * level / BREAK_EVEN
    return {"one_hot": SIGMA, "exact": 0.0, "dirichlet": SIGMA / (1.0 + level)}[arm]


def best_mixing(arm: str, level: float) -> float:
    return SIGMA / (SIGMA + noise_of(arm, level))


def teachers() -> list[tuple[str, float]]:
    return [*(("additive", nu) for nu in ADDITIVE), *(("dirichlet", a) for a in DIRICHLET)]


def arms() -> list[dict[str, Any]]:
    keys = [{"arm": "one_hot", "level": math.nan, "mixing": 1.0}, {"arm": "exact", "level": math.nan, "mixing": 1.0}]
    return [*keys, *({"arm": arm, "level": level, "mixing": 1.0} for arm, level in teachers())]


def gradient_noise() -> pd.DataFrame:
    rows = []
    mixtures = [{"arm": "mixture", "level": a, "mixing": 0.5} for a in DIRICHLET]
    for keys in [*arms(), *mixtures]:
        mixed = 0.25 * (SIGMA + noise_of("dirichlet", keys["level"]))
        closed = mixed if keys["arm"] == "mixture" else noise_of(keys["arm"], keys["level"])
        exact = keys["arm"] == "exact"
        row = spread(keys | {"closed_form": closed}, 0.01, monte_carlo=1.002 * closed)
        row = spread(row, 0.01, ratio=math.nan if exact else 1.002)
        row |= {"largest_gradient": 3e-16 if exact else math.nan, "num_draws": 800}
        rows.append(row | {"break_even": BREAK_EVEN if keys["arm"] == "additive" else math.nan})
    return pd.DataFrame(rows)


def descent() -> pd.DataFrame:
    rows = []
    for keys in arms():
        for rate in RATES:
            for step in [0, *np.unique(np.geomspace(1, 20_000, 20).round()).astype(int)]:
                away = 0.7 * math.exp(-0.05 * rate * step) + rate * noise_of(keys["arm"], keys["level"]) / 4.0
                row = {**keys, "learning_rate": rate, "step": int(step), "num_seeds": 24}
                rows.append(spread(row, 0.1, excess_risk=away, distance=4.0 * away))
    return pd.DataFrame(rows)


def plateau() -> pd.DataFrame:
    rows = []
    for keys in arms():
        exact = keys["arm"] == "exact"
        for rate in RATES:
            law = rate * noise_of(keys["arm"], keys["level"]) / 4.0
            row = {**keys, "learning_rate": rate, "predicted_plateau": law, "num_seeds": 24}
            row = spread(row, plateau=1e-28 if exact else 1.02 * law, ratio=math.nan if exact else 1.02)
            row = spread(row, 1e-4, rate=1.0 - rate / 10 if exact else math.nan)
            row = spread(row, 0.03, slope=math.nan if exact else 1.01)
            row["transient"] = math.nan if exact else 0.001
            rows.append(row | {"floor_reached": exact and rate == RATES[-1]})
    return pd.DataFrame(rows)


def step_sweep() -> pd.DataFrame:
    rows = []
    for arm, guarantee in (("one_hot", UNIT / 2), ("exact", UNIT)):
        for multiple in SWEEP:
            rate, stable = multiple * UNIT, multiple <= LIMIT
            left = 1e-10 / multiple if arm == "exact" and stable else 0.02 * multiple
            row = {"arm": arm, "learning_rate": rate, "guarantee": guarantee, "within_guarantee": rate <= guarantee}
            row = spread(row, contraction=left, final_distance=4.0 * left)
            row = spread(row, growth=-0.01 * multiple if stable else 0.01, memory=0.1)
            row |= {"bound": 8.0 * left, "bound_holds": stable, "strong_convexity": 0.1}
            rows.append(row | {"diverged_share": 0.0 if stable else 0.5, "num_seeds": 24})
    return pd.DataFrame(rows)


def mixture() -> pd.DataFrame:
    rows = []
    for arm, level in teachers():
        best = best_mixing(arm, level)
        for mixing in MIXING:
            noise = (1.0 - mixing) ** 2 * SIGMA + mixing**2 * noise_of(arm, level)
            row = {"arm": arm, "level": level, "mixing": float(mixing), "lambda_star": best, "num_seeds": 24}
            row |= {"predicted_noise": noise, "predicted_plateau": RATES[0] * noise / 4.0}
            row = spread(row, 0.01, measured_noise=1.001 * noise)
            rows.append(spread(row, 0.05, plateau=1.01 * RATES[0] * noise / 4.0, lambda_hat=best + 0.005))
    return pd.DataFrame(rows)


def network_arms() -> list[dict[str, Any]]:
    known = [keys | {"teacher": "none"} for keys in arms() if keys["arm"] != "additive"]
    known.append({"arm": "dirichlet", "level": 0.5, "mixing": 0.6, "teacher": "none"})
    return [*known, *({"arm": "teacher", "teacher": name, "level": math.nan, "mixing": 1.0} for name in TEACHERS)]


def error_of(keys: dict[str, Any]) -> float:
    """Squared error of the labels; the lower, the better the students."""
    if keys["arm"] == "teacher":
        return TEACHERS[keys["teacher"]]
    teacher, mixing = noise_of(keys["arm"], keys["level"]), keys["mixing"]
    return 0.6 * ((1.0 - mixing) ** 2 + mixing**2 * teacher / SIGMA)


def stability() -> pd.DataFrame:
    rows = []
    for keys in network_arms():
        error = error_of(keys)
        quality = {"accuracy": 0.8 - 0.2 * error, "nll": 0.5 + error, "ece": 0.02}
        base = {"accuracy": 0.8 - 0.2 * 0.6, "nll": 0.5 + 0.6, "ece": 0.02}
        for split in ("validation", "test"):
            for metric, value in quality.items():
                row = {**keys, "split": split, "metric": metric, "num_seeds": 8}
                row = spread(row, 0.01, estimate=value) | {"lower": 0.99 * value, "upper": 1.01 * value}
                rows.append(spread(row, 0.01, ratio=value / base[metric]))
        calm = 0.4 + error  # 1 for one-hot labels, the deterministic teacher 0.7
        for metric in (*NOISES, "target_error"):
            split = "train" if metric in ("gradient_variance", "target_error") else "validation"
            value, ratio = (error, error / 0.6) if metric == "target_error" else (0.01 * calm, calm)
            row = {**keys, "split": split, "metric": metric, "num_seeds": 8}
            row |= {"estimate": value, "lower": 0.95 * value, "upper": 1.05 * value}
            rows.append(spread(row, 0.0 if keys["arm"] == "one_hot" else 0.05, ratio=ratio))
    return pd.DataFrame(rows).drop(columns=["estimate_lower", "estimate_upper"])


def stability_curves() -> pd.DataFrame:
    rows = []
    for keys in network_arms():
        for step in range(1, 11):
            fall = math.exp(-step / 3)
            for metric, value in (
                ("accuracy", 0.8 - 0.2 * error_of(keys) - 0.3 * fall),
                ("nll", 0.5 + error_of(keys) + fall),
            ):
                row = {**keys, "step": 100 * step, "epoch": step / 5, "metric": metric, "num_seeds": 8}
                rows.append(row | {"estimate": value, "lower": 0.98 * value, "upper": 1.02 * value})
    return pd.DataFrame(rows)


def teacher_error() -> pd.DataFrame:
    rows = []
    for teacher, error in TEACHERS.items():
        figures = {"squared_error_to_bayes": error, "accuracy": 0.75, "nll": 0.6, "ece": ECE[teacher]}
        for split in ("train", "validation", "test"):
            for metric, value in figures.items():
                row = {"teacher": teacher, "split": split, "metric": metric}
                rows.append(row | {"estimate": value, "lower": 0.9 * value, "upper": 1.1 * value})
    return pd.DataFrame(rows)


def make_tables() -> Tables:
    """All tables of the study, as the stages write them."""
    made = (gradient_noise, descent, plateau, step_sweep, mixture, stability_curves, stability, teacher_error)
    return {make.__name__: make() for make in made}
