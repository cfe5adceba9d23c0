"""The small table that ends a run of the language study on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from kd_uncertainty.report.comparison import as_estimate
from kd_uncertainty.report.language.wording import METRIC_NAMES, metric_text, share_text
from kd_uncertainty.report.terminal import verdict_table

NAMES = {
    "surrogate_intra": "intra / law",
    "surrogate_inter": "inter / law",
    "surrogate_exact": "simulated / enumerated",
    "surrogate_nothing_within": "averaging, intra / V",
    "surrogate_slower": "averaging, inter / (V / k)",
    "surrogate_weighting": "weighting / averaging, inter",
    "surrogate_bias": "weighting − averaging, bias / V",
    "single_suppressed": "one response, intra / V",
    "single_substantial": "one response, inter / V",
    "single_nothing": "one response, nothing within",
    "law_intra": "all answers, intra / law",
    "law_inter": "all answers, inter / law",
    "intra_rises": "intra / V, last k − first",
    "inter_falls": "inter, last k over first",
    "rate": "inter, power of k",
    "single_surer": "entropy, student − teacher",
    "entropy_rises": "entropy, last k over first",
    "averaging_lowers": "averaging / one response",
    "averaging_slower": "averaging, inter / (V / k)",
    "averaging_removes": "averaging / all, intra",
    "variance_paper": "published / averaging, inter",
    "variance_honest": "honest / averaging, inter",
    "token_keeps": "tokens − one answer, intra / V",
    "token_lowers": "tokens / answers, inter",
    "keeps_modal": "keeps modal, last over first",
    "repeats": "accuracy − teacher’s, at most",
    "systematic_noise": "systematic noise, last − one",
    "hallucination": "hallucination, last − one",
}
"""What the figure of each claim is, by key, in a few words."""


def summary_table(summary: Mapping[str, Any]) -> Table:
    """One row a claim with our figure and the verdict; what to do stands below.

    Args:
        summary: From ``make_summary`` of the language study.
    """
    return verdict_table(
        summary["claims"],
        lambda _, key: NAMES.get(key, key),
        title="Claims on sequence distillation, and ours (*)",
        caption=_caption(summary),
    )


def _caption(summary: Mapping[str, Any]) -> Text:
    choice = summary["choice"]
    if choice is None:
        return Text("")
    lines = [f"students: {choice['label']} (by inter-student variance)"]
    for split, name in (("train", "trained"), (summary["split"], "held-out")):
        parts = []
        share = as_estimate(choice["shares"].get(split, {}).get(summary["space"], {}).get("inter", {}))
        if share.known:
            parts.append(f"inter {share_text(share)} of V")
        guard = summary["guard"]
        figure = as_estimate(choice["metrics"].get(split, {}).get(guard, {}))
        if guard is not None and figure.known:
            short = guard if guard == "accuracy" else METRIC_NAMES[guard]
            parts.append(f"{short} {metric_text(guard, figure)}")
        if parts:
            lines.append(f"{name}: {', '.join(parts)}")
    return Text("\n".join(lines))
