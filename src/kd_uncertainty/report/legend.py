"""A figure's legend as small drawings for the page: it wraps like text and is never in a panel's way."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go
from markupsafe import Markup

DASHES = {"dash": "5 3", "dot": "1.5 3", "solid": "none"}
MARKS = {
    "circle": '<circle cx="13" cy="6" r="4" fill="{0}"/>',
    "circle-open": '<circle cx="13" cy="6" r="3.4" fill="none" stroke="{0}" stroke-width="1.5"/>',
    "square": '<rect x="8" y="1" width="10" height="10" fill="{0}"/>',
    "diamond": '<path d="M13 0.5 18.5 6 13 11.5 7.5 6Z" fill="{0}"/>',
    "line-ns": '<path d="M4 6H22M12 1V11M13 1V11M14 1V11" stroke="{0}" stroke-width="1.2"/>',
}


@dataclass(frozen=True)
class Key:
    """One entry: its drawing (SVG) and its name."""

    drawing: Markup
    name: str


def legend_keys(figure: go.Figure) -> list[Key]:
    """The entries of a figure's legend in the order of its traces; none where all is labelled directly."""
    shown = [trace for trace in figure.data if trace.showlegend is not False and trace.name]
    return [Key(_drawing(trace), Markup(trace.name).unescape()) for trace in shown]


def _drawing(trace: go.Scatter | go.Bar) -> Markup:
    parts = []
    shade = "currentColor" if trace.meta == "ink" else None
    narrow = trace.type == "bar" or (trace.mode == "markers" and trace.marker.symbol != "line-ns")
    if trace.type == "bar":
        parts.append(MARKS["square"].format(trace.marker.color))
    else:
        mode = trace.mode or "lines"
        if "lines" in mode:
            dash, weight = DASHES.get(trace.line.dash or "solid", "none"), min(trace.line.width or 2, 2)
            ink = shade or trace.line.color
            parts.append(f'<path d="M1 6H25" stroke="{ink}" stroke-width="{weight}" stroke-dasharray="{dash}"/>')
        if "markers" in mode:
            parts.append(MARKS.get(str(trace.marker.symbol), MARKS["circle"]).format(shade or trace.marker.color))
    left, width = (7, 12) if narrow else (0, 26)
    box = f'width="{width}" height="12" viewBox="{left} 0 {width} 12"'
    return Markup(f'<svg {box} aria-hidden="true">{"".join(parts)}</svg>')
