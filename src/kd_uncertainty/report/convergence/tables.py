"""Tables of the convergence report as rows of finished strings."""

from __future__ import annotations

from collections.abc import Sequence

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.columns import Column, columns_table
from kd_uncertainty.report.convergence.arms import NOISE_NAMES, NetworkArm
from kd_uncertainty.report.tables import TableView
from kd_uncertainty.report.wording import METRIC_NAMES, metric_with_interval, with_bounds

LABELS: tuple[Column, ...] = (("arm", "labels", "text"), ("level", "level", "value"), ("mixing", "λ", "value"))
COLUMNS: dict[str, tuple[str, tuple[Column, ...]]] = {
    "gradient_noise": (
        "Gradient noise at the optimum",
        (
            *LABELS,
            ("closed_form", "closed form", "value"),
            ("monte_carlo", "measured", "interval"),
            ("ratio", "measured / closed form", "interval"),
            ("break_even", "ν*", "value"),
        ),
    ),
    "plateau": (
        "Plateau of the excess risk by step size",
        (
            *LABELS,
            ("learning_rate", "α", "value"),
            ("plateau", "excess risk, nats", "interval"),
            ("predicted_plateau", "α σ*/4", "value"),
            ("ratio", "measured / law", "interval"),
            ("rate", "factor a step", "interval"),
            ("num_seeds", "seeds", "count"),
        ),
    ),
    "step_sweep": (
        "Step sweep",
        (
            ("arm", "labels", "text"),
            ("learning_rate", "α", "value"),
            ("guarantee", "guarantee", "value"),
            ("contraction", "distance left", "interval"),
            ("final_distance", "squared distance", "interval"),
            ("bound", "the theorem’s bound", "value"),
            ("growth", "memory, log factor a step", "interval"),
            ("diverged_share", "runs further away than at the start", "share"),
            ("num_seeds", "seeds", "count"),
        ),
    ),
    "mixture": (
        "Mixed labels by λ",
        (
            *LABELS,
            ("measured_noise", "gradient noise", "interval"),
            ("predicted_noise", "law", "value"),
            ("plateau", "excess risk, nats", "interval"),
            ("predicted_plateau", "law", "value"),
            ("lambda_star", "λ*", "value"),
            ("lambda_hat", "least measured", "interval"),
        ),
    ),
    "teacher_error": (
        "Teachers",
        (
            ("teacher", "teacher", "text"),
            ("split", "split", "text"),
            ("metric", "figure", "text"),
            ("estimate", "value", "estimate"),
        ),
    ),
}


def quality_table(arms: Sequence[NetworkArm], split: str) -> TableView:
    """Accuracy, NLL, calibration error and the squared error of the labels, by kind of labels."""
    metrics = ("accuracy", "nll", "ece")
    rows = tuple(
        (
            arm.key.label,
            *(metric_with_interval(name, arm.metric(name, split)) for name in metrics),
            with_bounds(arm.metric("target_error", "train")),
        )
        for arm in arms
    )
    header = ("labels", *(METRIC_NAMES[name] for name in metrics), "squared error of the labels, training points")
    return TableView(f"Networks by kind of labels, {split} split", header, rows)


def noise_table(arms: Sequence[NetworkArm]) -> TableView:
    """Every convergence noise over that of one-hot labels, paired over seeds."""
    rows = tuple(
        (arm.key.label, *(with_bounds(arm.noise_ratio(name)) for name in NOISE_NAMES))
        for arm in arms
        if arm.key.arm != "one_hot"
    )
    return TableView("Convergence noise over that of one-hot labels", ("labels", *NOISE_NAMES.values()), rows)


def report_tables(tables: Tables, arms: Sequence[NetworkArm], split: str) -> list[TableView]:
    """The tables at the end of the report; empty ones are left out."""
    views = [quality_table(arms, split), noise_table(arms)]
    views += [columns_table(caption, columns, table(tables, name)) for name, (caption, columns) in COLUMNS.items()]
    return [view for view in views if view.rows]
