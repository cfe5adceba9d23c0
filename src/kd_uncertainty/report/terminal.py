"""Claims and verdicts as a table for the terminal, shared by the studies that judge claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from kd_uncertainty.report.comparison import as_estimate
from kd_uncertainty.report.wording import NOT_MEASURED, with_bounds

WORD_STYLES = {"holds": "green", "holds in part": "yellow", "does not hold": "red", "not measured": "dim"}


def verdict_table(
    claims: Sequence[Mapping[str, Any]], name_of: Callable[[str, str], str], *, title: str, caption: Text
) -> Table:
    """One row a claim with our figure and the verdict, under the parts that they belong to.

    Args:
        claims: As JSON.
        name_of: What the figure of a claim is, in a few words, from its part and key.
        title: Above the table.
        caption: Below it.
    """
    table = Table(
        title=title,
        caption=caption,
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("section and figure", overflow="fold")
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("the claim", no_wrap=True)
    previous = ""
    for claim in claims:
        section, word = str(claim["section"]), str(claim["verdict"])
        if section != previous:
            table.add_row(Text(section, style="bold"))
        figure = as_estimate(claim["figure"])
        # Text, not markup: brackets are intervals.
        table.add_row(
            Text(f" {name_of(section, str(claim['key']))}{' *' if claim['ours'] else ''}"),
            Text(with_bounds(figure) if figure.known else NOT_MEASURED),
            Text(word, style=WORD_STYLES.get(word, "")),
        )
        previous = section
    return table
