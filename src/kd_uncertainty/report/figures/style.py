"""The look that all figures share: palette, templates for light and dark, panels, and text that never collides."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from kd_uncertainty.report.comparison import Estimate

INK, MUTED = "#2b3138", "#7b848f"
"""Ink follows the theme (traces with ``meta="ink"`` are recoloured in the dark); muted reads on both."""

# Okabe and Ito's palette, darkened where a thin line has to hold against white.
SOURCE_COLOURS = {"response": "#D55E00", "initialisation": "#0072B2", "order": "#56B4E9", "residual": "#A3A9B0"}
TARGET_COLOURS = {"label": "#C07A00", "posterior": "#009E73", "exact": "#A65698", "one_hot": MUTED}
TEACHER_COLOURS = {"deterministic": "#8A6D3B", "ensemble": "#0072B2", "dropout": "#C4548B"}
KIND_COLOURS = {"intra": "#8FA9C2", "inter": "#C44E52"}
SPARE_COLOURS = ("#009E73", "#D55E00", "#56B4E9", "#A65698", "#C07A00", "#4C566A")

FONT = "Inter, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif"
NEUTRAL_LINE = "rgba(128,128,128,0.3)"
"""Seen on light and on dark backgrounds."""
TITLE_HEIGHT = 44
"""Pixels that a standalone figure spends on its title; a page that has its own caption takes them away."""


def colour(names: Mapping[str, str], name: str, index: int = 0) -> str:
    """The colour of a source, target or teacher; unknown names take spare colours by their index."""
    return names.get(name, SPARE_COLOURS[index % len(SPARE_COLOURS)])


def translucent(hexadecimal: str, alpha: float) -> str:
    """``#rrggbb`` as ``rgba(r,g,b,alpha)``."""
    red, green, blue = (int(hexadecimal[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


def template(dark: bool = False) -> go.layout.Template:
    """The plotly template: transparent paper, hairline grid, no boxes; only the inks differ in the dark."""
    ink, faint, line = ("#d9dde2", "#30363d", "#59616b") if dark else (INK, "#e8eaed", "#b3b9c0")
    hover = "#1c2128" if dark else "#ffffff"
    axis = {
        "gridcolor": faint,
        "linecolor": line,
        "tickcolor": line,
        "zerolinecolor": line,
        "zerolinewidth": 1,
        "showline": False,
        "ticks": "",
        "automargin": True,
        "ticklabelstandoff": 4,
        "fixedrange": True,
        "title": {"standoff": 8, "font": {"size": 12}},
        "tickfont": {"size": 11.5},
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 12.5, "color": ink},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {"bgcolor": hover, "bordercolor": line, "font": {"color": ink, "size": 12}},
            "legend": {"font": {"size": 12}, "bgcolor": "rgba(0,0,0,0)"},
            "title": {"font": {"size": 16}, "x": 0, "xref": "container", "xanchor": "left"},
            "bargap": 0.25,
        }
    )


def panels(
    titles: Sequence[str], *, columns: int, heights: float | Sequence[float], gap: float, side: float = 0.05
) -> go.Figure:
    """Empty panels in a grid, titled at their upper left corners.

    Args:
        titles: One a panel, row by row; ``<br>`` makes a second line.
        columns: Panels in a row.
        heights: Pixels of a panel's height, one for all or one a row.
        gap: Pixels between rows, titles and tick labels included.
        side: Gap between columns as a share of the width.
    """
    rows = max(math.ceil(len(titles) / columns), 1)
    pixels = [float(heights)] * rows if isinstance(heights, int | float) else [float(height) for height in heights]
    total = sum(pixels) + gap * (rows - 1)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        row_heights=pixels,
        vertical_spacing=gap / total if rows > 1 else 0.0,
        horizontal_spacing=side if columns > 1 else 0.0,
    )
    figure.update_layout(template=template(), meta={"plot_height": total}, dragmode=False)
    for index, title in enumerate(titles):
        axes = figure.get_subplot(*place(index, columns))
        figure.add_annotation(
            text=f"<b>{safe(title)}</b>" if "<br>" not in title else _two_lines(title),
            x=axes.xaxis.domain[0],
            y=axes.yaxis.domain[1],
            xref="paper",
            yref="paper",
            xanchor="left",
            yanchor="bottom",
            align="left",
            yshift=5,
            showarrow=False,
            font={"size": 12.5},
        )
    for index in range(len(titles), rows * columns):
        row, column = place(index, columns)
        figure.update_xaxes(visible=False, row=row, col=column)
        figure.update_yaxes(visible=False, row=row, col=column)
    return figure


def place(index: int, columns: int) -> tuple[int, int]:
    """Row and column (from 1) of the panel with a number."""
    return index // columns + 1, index % columns + 1


def names_axis(index: int, columns: int, count: int) -> bool:
    """Whether a panel carries the axis title: at the foot, both of two columns do and the middle one of three."""
    return index + columns >= count and (columns < 3 or index % columns == (min(columns, count) - 1) // 2)


def finish(
    figure: go.Figure, title: str, description: str, *, head: float = 62, foot: float = 48, notes: Sequence[str] = ()
) -> go.Figure:
    """Set title, margins and height, and keep what a caption and a screen reader need in ``layout.meta``.

    Args:
        figure: From `panels`.
        title: What the figure shows, in a few words.
        description: What is to be seen, for captions and readers that cannot see it.
        head: Pixels above the panels for legend and panel titles.
        foot: Pixels below the panels for tick labels and the axis title.
        notes: What is not drawn and why.
    """
    plot_height = float(figure.layout.meta["plot_height"])
    figure.update_layout(
        title={"text": safe(title), "y": 1.0, "yref": "container", "yanchor": "top", "pad": {"t": 12}},
        height=plot_height + head + foot + TITLE_HEIGHT,
        margin={"l": 8, "r": 12, "t": head + TITLE_HEIGHT, "b": foot},
        legend={
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.0 + (head - 24) / plot_height,
            "yanchor": "middle",
        },
        meta={
            "title": title,
            "description": description,
            "notes": list(notes),
            "plot_height": plot_height,
            "head": head,
        },
    )
    return figure


def bare(figure: go.Figure) -> dict[str, Any]:
    """The figure as JSON without title and legend, for a page that sets both beside it as text."""
    spec: dict[str, Any] = _pruned(json.loads(figure.to_json()))
    layout = spec["layout"]
    meta = layout.get("meta")
    if not meta or "head" not in meta:
        return spec
    # What remains above the panels are their own titles, of one line or two.
    head = 42 if any("<br>" in str(note.get("text")) for note in layout.get("annotations", ())) else 26
    layout.pop("title", None)
    layout["showlegend"] = False
    layout["height"] += head - TITLE_HEIGHT - meta["head"]
    layout["margin"] = {**layout.get("margin", {}), "t": head}
    return spec


def _pruned(value: Any) -> Any:
    """Without the empty objects that plotly writes for what was looked at and not set."""
    if not isinstance(value, dict):
        return value
    return {name: pruned for name, inner in value.items() if (pruned := _pruned(inner)) != {}}


def bars_of(estimates: Sequence[Estimate], **looks: Any) -> dict[str, Any]:
    """Plotly's error bars for estimates with intervals."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [e.upper - e.estimate for e in estimates],
        "arrayminus": [e.estimate - e.lower for e in estimates],
        "thickness": 1.2,
        "width": 0,
        **looks,
    }


def safe(text: str) -> str:
    """Text for plotly, which understands a little HTML: what a user named must not be read as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _two_lines(title: str) -> str:
    first, second = title.split("<br>", 1)
    return f"<b>{safe(first)}</b><br>{safe(second)}"


def nothing_to_show(title: str, reason: str) -> go.Figure:
    """A figure that says why it is empty."""
    figure = panels([""], columns=1, heights=60, gap=0)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.add_annotation(text=safe(reason), x=0, y=0.5, xref="paper", yref="paper", xanchor="left", showarrow=False)
    return finish(figure, title, reason, head=20, foot=10)


def portable(figure: go.Figure) -> go.Figure:
    """A copy for viewers with a theme of their own, such as Kedro-Viz, which style the first axes and title only.

    Lines are a translucent grey on every axis, legible on light and dark; the title, which such viewers would lay over
    the first panel, stays in ``layout.meta``.
    """
    copy = go.Figure(figure)
    copy.update_xaxes(gridcolor=NEUTRAL_LINE, linecolor=NEUTRAL_LINE, zerolinecolor=NEUTRAL_LINE)
    copy.update_yaxes(gridcolor=NEUTRAL_LINE, linecolor=NEUTRAL_LINE, zerolinecolor=NEUTRAL_LINE)
    copy.update_layout(title={"text": ""})
    return copy
