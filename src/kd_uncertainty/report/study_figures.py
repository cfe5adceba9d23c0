"""What the figures of all studies with claims say in their captions."""

from __future__ import annotations

import plotly.graph_objects as go


def with_level(figure: go.Figure, confidence: float, instead: str | None = None) -> go.Figure:
    """The figure with the level of its intervals in its notes, where there is something to see.

    Args:
        figure: From ``finish``.
        confidence: The level.
        instead: What to say of a figure without intervals; nothing if it is empty.
    """
    text = f"Intervals are at {confidence:.0%}." if instead is None else instead
    if figure.data and text:
        meta = figure.layout.meta
        figure.update_layout(meta={**meta, "notes": [*meta["notes"], text]})
    return figure
