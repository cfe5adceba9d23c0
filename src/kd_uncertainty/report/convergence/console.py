"""The small table that ends a run of the convergence study on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from kd_uncertainty.report.comparison import as_estimate
from kd_uncertainty.report.terminal import verdict_table
from kd_uncertainty.report.wording import metric_with_interval, number, with_bounds

NAMES = {
    "one_hot_closed_form": "one-hot / closed form",
    "additive_closed_form": "additive / closed form",
    "dirichlet_closed_form": "Dirichlet / closed form",
    "mixture_closed_form": "mixed / closed form",
    "interpolation": "exact, largest gradient",
    "break_even": "break-even ν*",
    "geometric": "exact, factor a step",
    "proportional": "one-hot, power of the step",
    "level": "plateau / (α σ*/4)",
    "noise_ratio": "plateaus / noise ratios",
    "bound": "steps within the bound",
    "doubled": "largest step, exact / one-hot",
    "law": "mixed noise / law",
    "minimum": "best λ",
    "inverse_variance": "best λ, inverse variance",
    "gain": "plateau at λ* / teacher alone",
    "accuracy_order": "accuracy, exact / one-hot",
    "noise_accuracy_std_order": "accuracy std, exact / one-hot",
    "noise_accuracy_step_order": "accuracy steps, exact / one-hot",
    "noise_nll_std_order": "NLL std, exact / one-hot",
    "noise_nll_step_order": "NLL steps, exact / one-hot",
    "gradient_variance_order": "gradients, exact / one-hot",
    "mixed": "accuracy std, mixed / Dirichlet",
    "error_tracks": "teacher's error, students' NLL",
    "ece_tracks_not": "teacher's ECE, students' NLL",
}
"""What the figure of each claim is, by key, in a few words; teachers' claims are named by their key."""


def name_of(key: str) -> str:
    """The name of a claim's figure: ``ensemble / one-hot`` for those of a teacher."""
    for other, text in (("_over_one_hot", "one-hot"), ("_over_deterministic", "deterministic")):
        if key.endswith(other):
            return f"{key.removesuffix(other)} / {text}"
    return NAMES.get(key, key)


def summary_table(summary: Mapping[str, Any]) -> Table:
    """One row a claim with our figure and the verdict; labels and mixing to choose stand below.

    Args:
        summary: From ``make_summary`` of the convergence study.
    """
    return verdict_table(
        summary["claims"],
        lambda _, key: name_of(key),
        title="Claims on SGD distillation with Bayesian teachers, and ours (*)",
        caption=_caption(summary),
    )


def _caption(summary: Mapping[str, Any]) -> Text:
    lines, split = [], summary["split"]
    if summary["choice"] is not None:
        chosen = summary["choice"]
        metrics = chosen["metrics"].get(split, {})
        accuracy, nll = (as_estimate(metrics.get(name, {})) for name in ("accuracy", "nll"))
        lines.append(f"labels to train on: {chosen['label']} (by validation NLL)")
        lines.append(f"{split} accuracy {metric_with_interval('accuracy', accuracy)}, NLL {with_bounds(nll)}")
    for one in summary["mixtures"]:
        minimum = as_estimate(one["minimum"])
        lines.append(f"weight of {one['teacher']}: λ* = {number(one['lambda_star'])}, least {with_bounds(minimum, 3)}")
    return Text("\n".join(lines))
