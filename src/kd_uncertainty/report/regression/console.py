"""The small table that ends a run of the regression study on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from kd_uncertainty.report.comparison import as_estimate
from kd_uncertainty.report.regression.arms import curve_label
from kd_uncertainty.report.regression.wording import with_bounds

WORD_STYLES = {"holds": "green", "holds in part": "yellow", "does not hold": "red", "not measured": "dim"}


def summary_table(summary: Mapping[str, Any]) -> Table:
    """One row a claim with our figure and the verdict; the responses to buy stand below.

    Args:
        summary: From ``make_summary`` of the regression study.
    """
    table = Table(
        title="Claims of the paper on regression students",
        caption=_caption(summary),
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("section", no_wrap=True)
    table.add_column("claim (* ours)", ratio=3)
    table.add_column("our figure", ratio=2)
    table.add_column("verdict", no_wrap=True)
    previous = ""
    for claim in summary["claims"]:
        section, word = str(claim["section"]), str(claim["verdict"])
        # Text, not markup: brackets are intervals.
        table.add_row(
            Text(section if section != previous else ""),
            Text(f"{claim['claim']}{' *' if claim['ours'] else ''}"),
            Text(str(claim["measured"])),
            Text(word, style=WORD_STYLES.get(word, "")),
        )
        previous = section
    return table


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
