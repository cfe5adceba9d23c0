"""The growth curves as a figure for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

UNITS = {"students": "students S", "examples": "examples n", "classes": "classes", "responses": "responses k"}
COLOURS = {"native": "#1b6ca8", "vmap": "#c8553d", "target": "#4d7c0f"}


def draw_growth(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw time (above) and peak memory (below) against each size, both axes logarithmic, as SVG."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    style: Any = {"svg.hashsalt": "growth", "svg.fonttype": "none", "font.size": 9}
    with mpl.rc_context({**style, "axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = pyplot.subplots(
            2, len(UNITS), figsize=(11, 4.6), sharex="col", sharey="row", layout="constrained"
        )
        for column, (sweep, label) in enumerate(UNITS.items()):
            for backend, colour in COLOURS.items():
                points = [row for row in rows if (row["sweep"], row["path"]) == (sweep, backend)]
                values = [point["value"] for point in points]
                for axis, field, scale in ((axes[0], "seconds", 1e3), (axes[1], "memory_bytes", 2.0**-20)):
                    known = [
                        (value, point[field] * scale)
                        for value, point in zip(values, points, strict=True)
                        if point[field]
                    ]
                    if known:
                        axis[column].loglog(*zip(*known, strict=True), "o-", color=colour, label=backend, markersize=4)
            axes[1][column].set_xlabel(label)
            if axes[0][column].lines:
                axes[0][column].legend(frameon=False)
        axes[0][0].set_ylabel("time, ms")
        axes[1][0].set_ylabel("memory at the peak, MiB")
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)
