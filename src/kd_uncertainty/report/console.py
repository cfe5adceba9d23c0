"""The small table that ends a run on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.wording import NOT_MEASURED, SOURCES, count_with_interval, number, percent, with_interval

Figures = Mapping[str, Any]


def summary_table(summary: Figures) -> Table:
    """One row a teacher: its accuracy, its best students' accuracy, intra, inter by source, responses to buy.

    The best arm of a teacher is the one with the lowest validation NLL; figures are those of the summary's split.

    Args:
        summary: From `make_summary`.
    """
    split = summary["split"]
    table = Table(
        title=f"Teachers and their best students on the {split} split (best arm by validation NLL)",
        caption="inter: variance between students, times 1000, by source; * beyond the largest measured k",
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("teacher\nbest arm", overflow="fold", max_width=20)
    table.add_column("teacher\naccuracy", justify="right", no_wrap=True)
    table.add_column("students'\naccuracy", justify="right", no_wrap=True)
    table.add_column("\nintra", justify="right", no_wrap=True)
    for name in ("inter\nresp.", "\ninit.", "\norder", "\nresid."):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("responses\nto buy", justify="right", overflow="fold", max_width=20)
    for row in summary["teachers"]:
        table.add_row(*_row(row, summary))
    control = summary["control"]
    if control is not None:
        table.add_row("no teacher\none-hot", "", _accuracy(control, split), *_variances(control), "")
    return table


def _row(row: Figures, summary: Figures) -> list[str | Text]:
    split, arm = summary["split"], row["best_arm"]
    own = row["metrics"].get(split, {}).get("accuracy")
    teacher = percent(None if own is None else own["estimate"])
    if arm is None:
        return [Text(row["teacher"]), teacher, *[NOT_MEASURED] * 5, NOT_MEASURED]
    budgets = [
        f"{budget['target']} {_count(budget)}"
        for budget in summary["response_budget"]
        if budget["teacher"] == row["teacher"]
    ]
    # Text, not markup: a teacher may be called "[red]".
    name = Text(f"{row['teacher']}\n{arm['label']}")
    return [name, teacher, _accuracy(arm, split), *_variances(arm), Text("\n".join(budgets) or NOT_MEASURED)]


def _accuracy(arm: Figures, split: str) -> str:
    """The mean, and its interval on the line below, so that the table stays narrow."""
    figure = arm["metrics"][split]["accuracy"]
    text = with_interval(Estimate(*(_or_nan(figure[end]) for end in figure)), percentage=True)
    return text.replace("% [", "%\n\\[")


def _variances(arm: Figures) -> list[str]:
    components = arm["components"]
    values = [components.get(name, {}).get("estimate") for name in SOURCES]
    scaled = [None if value is None else 1000.0 * value for value in values]
    return [number(components.get("intra", {}).get("estimate"), 3), *(number(value, 2) for value in scaled)]


def _count(budget: Figures) -> str:
    if budget["unbounded"]:
        return "none suffices"
    figure = budget["recommended_num_responses"]
    text = count_with_interval(Estimate(*(float("inf") if value is None else value for value in figure.values())))
    head, _, interval = text.partition(" ")
    return f"{head}{'*' if budget['extrapolated'] else ''}\n{interval}"


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
