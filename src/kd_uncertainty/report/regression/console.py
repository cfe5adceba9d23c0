"""The small table that ends a run of the regression study on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from kd_uncertainty.report.comparison import as_estimate
from kd_uncertainty.report.regression.arms import curve_label
from kd_uncertainty.report.terminal import verdict_table
from kd_uncertainty.report.wording import with_bounds

NAMES = {
    "4 teacher output": {
        "linear_closed_form": "linear variance / closed form",
        "linear_growth": "linear, most / least noise",
        "network_growth": "network, most / least noise",
        "linear_mse": "linear MSE / law",
        "network_mse": "network MSE / law",
    },
    "5 initialisation": {
        "teacher_dispersion": "largest / least σ, teacher labels",
        "ground_truth_dispersion": "largest / least σ, ground truth",
        "perturbed_over_independent": "perturbed / independent starts",
    },
    "5 bootstrap": {
        "linear_teacher_size": "linear, full / least, teacher",
        "linear_ground_truth_size": "linear, full / least, truth",
        "linear_labels": "linear, teacher's labels / truth",
        "network_teacher_size": "network, full / least, teacher",
        "network_ground_truth_size": "network, full / least, truth",
        "network_labels": "network, teacher's labels / truth",
    },
    "6 student output": {
        "argmax": "entropy, argmax / teacher",
        "soft": "entropy, soft labels / teacher",
        "label": "entropy, sampled labels / teacher",
        "argmax_over_soft": "entropy, argmax / soft labels",
    },
    "7 remedies": {
        "linear_slope": "linear, slope in k",
        "linear_closed_form": "linear variance / closed form",
        "network_slope": "network, slope in k",
        "linear_mse": "linear MSE, most / fewest k",
        "network_mse": "network MSE, most / fewest k",
        "oracle_prediction": "linear, oracle / its prediction",
        "linear_inverse_variance_oracle_same_k": "linear, oracle / average",
        "linear_inverse_variance_estimated_same_k": "linear, estimated / average",
        "linear_inverse_variance_estimated_equal_budget": "linear, estimated, same cost",
        "linear_blue_same_k": "linear, BLUE / average",
        "linear_pilot_same_k": "linear, pilot alone / average",
        "linear_blue_over_pilot": "linear, BLUE / pilot alone",
        "network_inverse_variance_oracle_same_k": "network, oracle / average",
        "network_inverse_variance_estimated_same_k": "network, estimated / average",
        "network_inverse_variance_estimated_equal_budget": "network, estimated, same cost",
        "network_blue_same_k": "network, BLUE / average",
        "network_pilot_same_k": "network, pilot alone / average",
        "network_blue_over_pilot": "network, BLUE / pilot alone",
    },
    "floor": {
        "positive": "b of networks",
        "equals_components": "b, beside start and order alone",
        "equals_exact": "b, beside the exact arm",
    },
}
"""What the figure of each claim is, by section and key, in a few words."""


def summary_table(summary: Mapping[str, Any]) -> Table:
    """One row a claim with our figure and the verdict; the responses to buy stand below.

    Args:
        summary: From ``make_summary`` of the regression study.
    """
    return verdict_table(
        summary["claims"],
        lambda section, key: NAMES.get(section, {}).get(key, key),
        title="The paper's claims on regression students, and ours (*)",
        caption=_caption(summary),
    )


def _caption(summary: Mapping[str, Any]) -> Text:
    lines = []
    for row in summary["response_budget"]:
        curve = f"{row['model']} students, {row['teacher']} teacher, {curve_label(row['target'], row['noise'])}"
        mark = "*" if row["extrapolated"] and not row["unbounded"] else ""
        lines.append(f"responses enough, {curve}: {row['recommended_text']}{mark}")
    for row in summary["models"]:
        arm = row["best_arm"]
        if arm is not None:
            mse = as_estimate(arm["metrics"].get(summary["split"], {}).get("mse", {}))
            lines.append(f"{summary['split']} MSE, best {row['model']} students ({arm['label']}): {with_bounds(mse)}")
    return Text("\n".join(lines))
