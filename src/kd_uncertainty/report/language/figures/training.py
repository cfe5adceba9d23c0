"""Training curves: whether students learned what they were taught."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.figures.series import Series, ribbon
from kd_uncertainty.report.figures.style import MUTED, colour, finish, nothing_to_show, panels
from kd_uncertainty.report.frames import missing
from kd_uncertainty.report.language.wording import COLOURS, METHOD_NAMES, METHODS
from kd_uncertainty.report.wording import listing, ordered, value_text

TITLE = "Training curves of the students"
STEPS = ("step", "epoch")
QUANTILES = (0.1, 0.5, 0.9)


def training_figure(curves: pd.DataFrame, plan: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """The training loss against the step by method: medians over students, bands hold the middle four fifths.

    Args:
        curves: The table ``student_curves``.
        plan: The table ``plan``, which names each student's method; students are one group without it.
        narrow: For narrow screens.
    """
    step = next((name for name in STEPS if name in curves), STEPS[0])
    if missing(curves, ("student", step, "train_loss")):
        return nothing_to_show(TITLE, "No training curves were kept.")
    known = not missing(plan, ("student", "method"))
    own = curves.merge(plan[["student", "method"]], on="student") if known else curves.assign(method="")
    figure = panels(["training loss, nats a token"], columns=1, heights=210 if narrow else 240, gap=0)
    told = []
    for rank, method in enumerate(ordered(own["method"].astype(str), METHODS)):
        name = METHOD_NAMES.get(method, method.replace("_", " ")) or "students"
        frame = own[own["method"] == method].groupby(step)["train_loss"].quantile(np.array(QUANTILES)).unstack()  # noqa: PD010
        low, middle, high = (frame[share].to_numpy() for share in QUANTILES)
        values = [Estimate(*ends) for ends in zip(middle, low, high, strict=True)]
        shade = colour(COLOURS, method, rank) if method else MUTED
        ribbon(figure, (1, 1), Series(name, shade, [float(at) for at in frame.index], values), first=True)
        told.append(f"from {value_text(float(middle[0]), 2)} to {value_text(float(middle[-1]), 2)} ({name})")
    figure.update_xaxes(title=step, showgrid=False)
    figure.update_yaxes(rangemode="tozero", nticks=6)
    text = (
        f"Lines are medians over {own['student'].nunique()} students, bands hold the middle four fifths. The loss goes "
        f"{listing(told)}; several answers to a prompt leave a loss that no student can go below."
    )
    return finish(figure, TITLE, text, head=130 if narrow else 84)
