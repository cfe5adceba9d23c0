"""Section 5, model-driven: how far apart students start, and how far apart they end."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.figures.series import Place, band, draw, least, left_out, log_axis, series_of
from kd_uncertainty.report.figures.style import MUTED, finish, names_axis, nothing_to_show, panels, place
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.regression.figures.colours import LABEL_COLOURS
from kd_uncertainty.report.regression.wording import LABEL_NAMES
from kd_uncertainty.report.wording import ordered

TITLE = "Initialisation: dispersion of the parameters and variance of the students"
PANELS = (
    ("parameter_dispersion", "parameters at the start"),
    ("trained_dispersion", "parameters after training"),
    ("inter_variance", "inter-student variance, test"),
)


def initialisation_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """Dispersion of the parameters and inter-student variance against sigma, teacher labels against ground truth.

    Args:
        table: The table ``initialisation``; rows with ``initialisation = independent`` give the dashed references.
        narrow: One panel below the other, for narrow screens.
    """
    if missing(table, ("targets", "initialisation", "sigma", "parameter_dispersion", "inter_variance")):
        return nothing_to_show(TITLE, "The model-driven part of section 5 was not run.")
    targets = ordered(table["targets"].astype(str).tolist(), tuple(LABEL_NAMES))
    shown = [(column, name) for column, name in PANELS if column in table]
    columns = 1 if narrow else len(shown)
    figure = panels([name for _, name in shown], columns=columns, heights=210 if narrow else 260, gap=64, side=0.08)
    dropped = 0
    for index, (column, _) in enumerate(shown):
        at = place(index, columns)
        values = [estimate_of(row, column) for row in table.to_dict("records")]
        for rank, target in enumerate(targets):
            if column == "parameter_dispersion" and rank:  # the same starts for every kind of target
                continue
            dropped += _target(
                figure, at, choose(table, targets=target), column, target, least(values), first=index == 1
            )
        log_axis(figure, at, values, None)
        sigmas = sorted({float(value) for value in table["sigma"].dropna() if value > 0.0})
        figure.update_xaxes(
            type="log",
            tickvals=sigmas,
            ticktext=[f"{value:g}" for value in sigmas],
            tickangle=0,
            title="perturbation σ" if names_axis(index, columns, len(shown)) else None,
            row=at[0],
            col=at[1],
        )
    return finish(
        figure,
        TITLE,
        "Log-log curves against the perturbation σ of a shared start, W ← W(1 + σε). Left: mean over the parameters of "
        "their variance over students before training, the same for both kinds of labels, in grey; middle: after "
        "training; right: mean over the test examples of the variance between students. Dashed with a band: students "
        "that each have an independent start.",
        head=96 if narrow else 70,
        notes=left_out(dropped),
    )


def _target(
    figure: go.Figure, at: Place, own: pd.DataFrame, column: str, target: str, floor: float, *, first: bool
) -> int:
    start = column == "parameter_dispersion"
    shade = MUTED if start else LABEL_COLOURS.get(target, MUTED)
    name = "before training" if start else LABEL_NAMES.get(target, target)
    perturbed, independent = (choose(own, initialisation=kind) for kind in ("perturbed", "independent"))
    series = series_of(perturbed, "sigma", column, name, shade)
    dropped = draw(figure, at, series, first=first or start, floor=floor)
    for row in independent.to_dict("records"):
        reference: Estimate = estimate_of(row, column)
        positive = [x for x in series.x if x > 0.0]
        band(figure, at, positive, reference, f"independent starts, {name}", shade, first=first or start)
    return dropped
