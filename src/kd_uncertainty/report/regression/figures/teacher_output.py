"""Section 4: what the teacher's noise does to the students' variance and error, over the closed form."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.figures.series import draw, line, series_of
from kd_uncertainty.report.figures.style import INK, MUTED, finish, names_axis, nothing_to_show, panels, place
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.regression.arms import MODELS
from kd_uncertainty.report.regression.figures.colours import MODEL_COLOURS
from kd_uncertainty.report.regression.wording import MODEL_NAMES
from kd_uncertainty.report.wording import ordered

TITLE = "Teacher output: variance and error of the students against the teacher's noise"
QUANTITIES = (
    ("inter_variance", "closed_form_variance", "inter-student variance"),
    ("test_mse", "closed_form_mse", "test MSE"),
)


def teacher_output_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """Inter-student variance and test MSE against the noise variance; a column a model, the closed form as a line.

    Args:
        table: The table ``teacher_output``.
        narrow: One panel below the other, for narrow screens.
    """
    if missing(table, ("model", "noise", "inter_variance", "test_mse")):
        return nothing_to_show(TITLE, "Section 4 was not run.")
    models = ordered(table["model"].astype(str).tolist(), MODELS)
    columns = 1 if narrow else len(models)
    cells = [(model, *quantity) for quantity in QUANTITIES for model in models]
    titles = [f"{MODEL_NAMES.get(model, model)} students: {name}" for model, _, _, name in cells]
    figure = panels(titles, columns=columns, heights=190 if narrow else 210, gap=64, side=0.1)
    for index, (model, column, closed, _) in enumerate(cells):
        at, own, first = place(index, columns), choose(table, model=model), index == 0
        x = own.sort_values("noise")["noise"].tolist()
        if closed in own:
            line(
                figure, at, x, own.sort_values("noise")[closed].tolist(), "closed form", INK, first=first, dash="solid"
            )
        if column == "test_mse" and "teacher_mse" in own:
            line(
                figure,
                at,
                x,
                own["teacher_mse"].tolist(),
                "the teacher's MSE",
                MUTED,
                first=model == models[0],
                dash="dot",
            )
        shade = MODEL_COLOURS.get(model, MUTED)
        series = series_of(own, "noise", column, f"{MODEL_NAMES.get(model, model)} students", shade)
        draw(figure, at, series, first=column == "inter_variance", lines=model != "linear")
        figure.update_xaxes(
            title="variance of the teacher's noise, in Var(y)" if names_axis(index, columns, len(cells)) else None,
            row=at[0],
            col=at[1],
        )
        figure.update_yaxes(
            rangemode="tozero" if column == "inter_variance" else "normal",
            tickformat="~s",
            nticks=6,
            row=at[0],
            col=at[1],
        )
    return finish(
        figure,
        TITLE,
        "Above: mean over the test examples of the variance between students, in squared units of the target. Below: "
        "their mean test MSE. Points carry intervals; the solid line is the closed form of linear students, "
        "σ² x'(X'X)⁻¹x and the teacher's MSE plus that; the dotted line is the teacher's own MSE.",
        head=96 if narrow else 70,
    )
