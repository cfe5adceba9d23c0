"""The small table that ends a run of the deviations study on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from kd_uncertainty.report.comparison import as_estimate
from kd_uncertainty.report.terminal import verdict_table
from kd_uncertainty.report.wording import metric_with_interval, with_bounds

NAMES = {
    "train_slope": "train slope, least sure quarter",
    "train_all": "train slope, all points",
    "train_share": "train share below the teacher",
    "test_slope": "test slope, least sure quarter",
    "test_control": "test slope of the control",
    "temperature": "train slope, hot − cold",
    "early_stopped": "train slope, early-stopped",
    "accuracy": "accuracy over labels alone",
    "pays": "deviation and gain, ranks",
    "pays_within": "the same within a teacher",
    "late": "labels → teacher, of the gain",
    "reverse": "teacher → labels, difference",
    "equal_progress": "stopping early, of the gain",
    "filters": "progress / closed form",
    "linear_squared": "linear, squared loss",
    "linear_cross_entropy": "linear, cross-entropy",
    "random_features": "random features",
    "mlp": "network, first layer",
    "mlp_control": "network − control",
    "momentum": "linear with momentum",
    "recording": "coarse record, at worst",
    "similarity": "destructive, by similarity",
    "selective": "flips of the earliest teacher",
    "flip_falls": "flips, latest − earliest",
    "memory": "flips of the latest teacher",
    "top_weights": "weights, signal at the top",
    "spread_weights": "weights, signal spread",
    "top_gradient": "gradient, signal at the top",
    "spread_gradient": "gradient, signal spread",
}
"""What the figure of each claim is, by key, in a few words."""


def summary_table(summary: Mapping[str, Any]) -> Table:
    """One row a claim with our figure and the verdict; what to do stands below.

    Args:
        summary: From ``make_summary`` of the deviations study.
    """
    return verdict_table(
        summary["claims"],
        lambda _, key: NAMES.get(key, key),
        title="Claims on student-teacher deviations, and ours (*)",
        caption=_caption(summary),
    )


def _caption(summary: Mapping[str, Any]) -> Text:
    lines, split = [], summary["split"]
    if summary["choice"] is not None:
        chosen = summary["choice"]
        metrics = chosen["metrics"].get(split, {})
        accuracy, nll = (as_estimate(metrics.get(name, {})) for name in ("accuracy", "nll"))
        lines.append(f"schedule: {chosen['label']} (by validation NLL)")
        lines.append(f"{split} accuracy {metric_with_interval('accuracy', accuracy)}, NLL {with_bounds(nll)}")
    if summary["teacher"] is not None:
        chosen = summary["teacher"]
        lines.append(f"teacher and temperature: {chosen['label']} (by validation accuracy)")
    return Text("\n".join(lines))
