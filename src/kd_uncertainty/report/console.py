"""The small table that ends a run on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from kd_uncertainty.report.bounds.console import summary_table as bounds_table
from kd_uncertainty.report.comparison import Estimate, as_estimate
from kd_uncertainty.report.convergence.console import summary_table as convergence_table
from kd_uncertainty.report.deviations.console import summary_table as deviations_table
from kd_uncertainty.report.language.console import summary_table as language_table
from kd_uncertainty.report.regression.console import summary_table as regression_table
from kd_uncertainty.report.wording import NOT_MEASURED, SOURCES, count_with_interval, number, percent, with_interval

Figures = Mapping[str, Any]


def summary_table(summary: Figures) -> Table:
    """The table of the study that the summary belongs to."""
    tables = {
        "regression": regression_table,
        "convergence": convergence_table,
        "deviations": deviations_table,
        "bounds": bounds_table,
        "language": language_table,
    }
    return tables.get(str(summary.get("study")), classification_table)(summary)


def classification_table(summary: Figures) -> Table:
    """One row a teacher: its accuracy, its best students' accuracy, intra, inter by source, responses to buy.

    The best arm of a teacher is the one whose validation NLL is surely lowest (``arms.best``); figures are those of the
    summary's split.

    Args:
        summary: From `make_summary`.
    """
    split = summary["split"]
    table = Table(
        title=f"Teachers and their best students, {split} split (best arm by validation NLL)",
        caption=_caption(summary),
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
    )
    table.add_column("teacher\nbest arm", no_wrap=True)
    table.add_column("its accuracy\nstudents' accuracy", no_wrap=True)
    table.add_column("\nintra", justify="right", no_wrap=True)
    for name in ("inter\nresp.", "\ninit.", "\norder", "\nresid."):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("responses\nto buy", justify="right", no_wrap=True)
    for row in summary["teachers"]:
        table.add_row(*_row(row, summary))
    control = summary["control"]
    if control is not None:
        table.add_row("no teacher\none-hot", f"\n{_accuracy(control, split)}", *_variances(control), "")
    return table


def _caption(summary: Figures) -> Text:
    # Text, not markup: a teacher may be called "[red]".
    caption = "inter: variance between students x 1000, by source; * beyond the measured k"
    taught = summary.get("teacher_recommendation")
    return Text(caption if taught is None else f"{caption}\nteacher for new students: {taught['in_short']}")


def _row(row: Figures, summary: Figures) -> list[str | Text]:
    split, arm = summary["split"], row["best_arm"]
    own = row["metrics"].get(split, {}).get("accuracy")
    teacher = percent(None if own is None else own["estimate"])
    if arm is None:
        return [Text(row["teacher"]), teacher, *[NOT_MEASURED] * 6]
    budgets = [
        f"{budget['target']} {_count(budget)}"
        for budget in summary["response_budget"]
        if budget["teacher"] == row["teacher"]
    ]
    # Text, not markup: a teacher may be called "[red]".
    name = Text(f"{row['teacher']}\n{arm['label'].replace(', k = ', ' k=')}")
    return [name, f"{teacher}\n{_accuracy(arm, split)}", *_variances(arm), Text("\n".join(budgets) or NOT_MEASURED)]


def _accuracy(arm: Figures, split: str) -> str:
    # A bracket would open rich's markup.
    return with_interval(as_estimate(arm["metrics"][split]["accuracy"]), percentage=True).replace("[", "\\[")


def _variances(arm: Figures) -> list[str]:
    components = arm["components"]
    intra = components.get("intra", {}).get("estimate")
    values = [components.get(name, {}).get("estimate") for name in SOURCES]
    scaled = [None if value is None else 1000.0 * value for value in values]
    return [f"\n{cell}" for cell in (number(intra, 3), *(number(value, 2) for value in scaled))]


def _count(budget: Figures) -> str:
    if budget["unbounded"]:
        return "none suffices"
    figure = budget["recommended_num_responses"]
    text = count_with_interval(Estimate(*(float("inf") if value is None else value for value in figure.values())))
    head, _, interval = text.partition(" ")
    return f"{head}{'*' if budget['extrapolated'] else ''}\n{interval}"
