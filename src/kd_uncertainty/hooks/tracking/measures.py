"""Which columns of the experiments' tables become metrics, and what they are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from kd_uncertainty.hooks.tracking.flatten import metric_name


class Measure(NamedTuple):
    """A table's metrics: a value in each row, named by the values of other columns.

    Attributes:
        figures: columns that are logged.
        names: columns whose values name the row; those that the table lacks, or that are empty in the row, are left
            out of the name.
        only: the rows that are logged, by column: more would bury the charts.
        step: column that is a chart's horizontal axis.
    """

    figures: tuple[str, ...]
    names: tuple[str, ...]
    only: Mapping[str, tuple[Any, ...]] = {}
    step: str = ""


_LABELS = ("arm", "teacher", "level", "mixing")
_DEVIATION = ("statistic", "group", "teacher", "target", "student", "num_responses", "temperature")
_NOISE = ("noise_accuracy_std", "noise_accuracy_step", "noise_nll_std", "noise_nll_step", "gradient_variance")

MEASURES: dict[str, Measure] = {
    "teacher_output": Measure(("inter_variance", "test_mse"), ("model", "noise")),
    "initialisation": Measure(("inter_variance",), ("targets", "initialisation", "sigma")),
    "bootstrap": Measure(("inter_variance",), ("model", "targets", "fraction")),
    "student_output": Measure(("entropy_ratio",), ("source", "model", "target", "subset")),
    "remedies": Measure(("variance_ratio", "equal_budget_ratio"), ("model", "noise", "num_responses", "method")),
    "teacher_comparison": Measure(
        ("estimate",),
        ("metric", "teacher", "num_draws"),
        {"fraction": (1.0,), "mixing": (1.0,), "temperature": (1.0,), "split": ("test", "train")},
    ),
    "gradient_noise": Measure(("monte_carlo", "ratio"), _LABELS),
    "plateau": Measure(("plateau", "ratio"), (*_LABELS, "learning_rate")),
    "step_sweep": Measure(("contraction", "growth"), ("arm", "learning_rate")),
    "mixture": Measure(("plateau", "lambda_hat"), _LABELS),
    "stability_curves": Measure(("estimate",), ("metric", *_LABELS), step="step"),
    "stability": Measure(("estimate",), ("metric", *_LABELS), {"metric": ("accuracy", "nll", *_NOISE)}),
    "teacher_error": Measure(("estimate",), ("metric", "teacher", "split")),
    "deviations": Measure(
        ("estimate",),
        ("split", *_DEVIATION),
        {"statistic": ("slope_low_quartile", "low_decile_below"), "group": ("student", "control")},
    ),
    "gains": Measure(("correlation",), ("split", "statistic", "group", "gain_split", "arms")),
    "switching": Measure(("estimate", "recovered"), ("metric", "teacher", "schedule", "switch"), {"split": ("test",)}),
    "eigenspace_pairs": Measure(
        ("share",), ("task", "model", "descent", "start", "teacher_stop", "role"), {"record_every": (1,)}
    ),
    "denoising_entries": Measure(
        ("flip", "false_flip"), ("signal", "similarity", "student_step", "teacher"), step="teacher_step"
    ),
    "decomposition_sweeps": Measure(("divergence_exact", "corrected_bound"), ("dial", "value")),
    "decomposition_checklist": Measure(("share", "reduction"), ("term",)),
    "network_bounds": Measure(("estimate",), ("quantity", "label_noise"), step="num_examples"),
    "answer_variance": Measure(
        ("estimate",),
        ("split", "component", "method"),
        {"space": ("embedding",), "component": ("intra", "inter", "total", "teacher")},
        step="num_responses",
    ),
    "answer_metrics": Measure(
        ("estimate",),
        ("split", "metric", "method"),
        {"metric": ("accuracy", "systematic_noise", "hallucination", "entropy_answers")},
        step="num_responses",
    ),
    "langevin_bounds": Measure(("estimate",), ("quantity", "label_noise"), step="num_examples"),
}
"""By table."""


def measures(name: str, table: pd.DataFrame) -> Iterator[tuple[str, float, int]]:
    """Yield key, value and step of every metric of a table.

    Args:
        name: the table's short name.
        table: its rows.
    """
    measure = MEASURES[name]
    for column, kept in measure.only.items():
        table = table[table[column].isin(kept)] if column in table else table
    names = [column for column in measure.names if column in table]
    for row in table.to_dict("records"):
        label = ".".join(_text(row[column]) for column in names if pd.notna(row[column]))
        step = row.get(measure.step, 0) if measure.step else 0
        for value in measure.figures:
            if value in row and pd.notna(row[value]):
                yield metric_name(name, value, label), float(row[value]), int(step) if pd.notna(step) else 0


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
