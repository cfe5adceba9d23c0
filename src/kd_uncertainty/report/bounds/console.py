"""The small table that ends a run of the bounds study on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from kd_uncertainty.report.bounds.design import TERMS, TOTAL, dial_name
from kd_uncertainty.report.terminal import verdict_table
from kd_uncertainty.report.wording import percent, value_text

NAMES = {
    "direct": "chain rule, error (share)",
    "corrected": "corrected form, used",
    "tight": "tight form, used",
    "literal": "as printed, used",
    "twice": "corrected form / divergence",
    "variance_falls": "Var, last β / first",
    "spread_rises": "Spread, last β / first",
    "flat": "divergence, n doubled",
    "approximation_falls": "Apx at the largest rank",
    "same_best": "dials, same best setting",
    "chain_rule": "chain rule, error (nats)",
    "upper": "upper bound, used",
    "lower": "lower bound, used",
    "central": "central bound, used",
    "sharper": "central − sub-Gaussian",
    "sharpness": "sharpness-aware, used",
    "sharpness_gain": "sharpness-aware, sharper in",
    "std": "σ = std, used",
    "tightness": "width / distance of gaps",
    "inside_pseudo": "pseudo-labels, of half width",
    "inside_true": "true labels, of half width",
    "narrows": "width, power of n",
    "flat_networks": "divergence, power of n",
    "below": "lower estimate / divergence",
    "tightness_networks": "width / gap",
    "langevin_inside_pseudo": "Langevin, pseudo-labels",
    "langevin_inside_true": "Langevin, true labels",
}
"""What the figure of each claim is, by key, in a few words."""


def summary_table(summary: Mapping[str, Any]) -> Table:
    """One row a claim with our figure and the verdict; the design checklist stands below.

    Args:
        summary: From ``make_summary`` of the bounds study.
    """
    return verdict_table(
        summary["claims"],
        lambda _, key: NAMES.get(key, key),
        title="Claims on the generalisation of distilled students, and ours (*)",
        caption=_caption(summary),
    )


def _caption(summary: Mapping[str, Any]) -> Text:
    lines = []
    for item in summary["checklist"]:
        if item["dial"]:
            what = (
                "first"
                if item["term"] == TOTAL
                else f"{TERMS.get(item['term'], item['term'])} {percent(item['share'], 0)}"
            )
            turn = f"{dial_name(item['dial'])} {item['start']:.4g} → {item['end']:.4g}"
            lines.append(f"{what}: {turn}, bound {value_text(item['after'], 1)} nats ({item['advice']})")
    return Text("\n".join(lines))
