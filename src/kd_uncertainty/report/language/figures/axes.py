"""Axes that the figures of the language study share: numbers of responses, and room between methods."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from kd_uncertainty.report.figures.series import Place

APART = 1.035
"""Factor between neighbouring methods on the logarithmic axis of k, so that intervals do not cover each other."""


def aside(x: Sequence[float], rank: int, count: int) -> list[float]:
    """The numbers of responses, moved a little by the method's rank among ``count``."""
    return [value * APART ** (rank - (count - 1) / 2.0) for value in x]


def responses_axis(figure: go.Figure, at: Place, counts: Sequence[float], *, titled: bool) -> None:
    """A logarithmic axis with a tick at every number of responses."""
    shown = sorted(set(counts))
    figure.update_xaxes(
        type="log",
        tickvals=shown,
        ticktext=[f"{count:g}" for count in shown],
        tickangle=0,
        title="responses k" if titled else None,
        row=at[0],
        col=at[1],
    )
