"""Section 5, data-driven: the students' variance and error against the size of the bootstrap sample."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import estimate_of
from kd_uncertainty.report.figures.series import draw, least, left_out, line, log_axis, series_of
from kd_uncertainty.report.figures.style import MUTED, finish, names_axis, nothing_to_show, panels, place
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.regression.arms import MODELS
from kd_uncertainty.report.regression.figures.colours import LABEL_COLOURS
from kd_uncertainty.report.regression.wording import LABEL_NAMES, MODEL_NAMES
from kd_uncertainty.report.wording import ordered

TITLE = "Bootstrap: variance and error of the students against the size of their sample"
QUANTITIES = (("inter_variance", "inter-student variance"), ("test_mse", "test MSE"))


def bootstrap_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """Inter-student variance and test MSE against the bootstrap fraction, teacher labels against ground truth.

    Args:
        table: The table ``bootstrap``.
        narrow: One panel below the other, for narrow screens.
    """
    if missing(table, ("model", "targets", "fraction", "inter_variance", "test_mse")):
        return nothing_to_show(TITLE, "The data-driven part of section 5 was not run.")
    models = ordered(table["model"].astype(str).tolist(), MODELS)
    targets = ordered(table["targets"].astype(str).tolist(), tuple(LABEL_NAMES))
    columns = 1 if narrow else len(models)
    cells = [(model, *quantity) for quantity in QUANTITIES for model in models]
    titles = [f"{MODEL_NAMES.get(model, model)} students: {name}" for model, _, name in cells]
    figure = panels(titles, columns=columns, heights=190 if narrow else 210, gap=64, side=0.1)
    dropped, named = 0, set[str]()
    for index, (model, column, _) in enumerate(cells):
        at, own = place(index, columns), choose(table, model=model)
        values = [estimate_of(row, column) for row in own.to_dict("records")]
        for target in targets:
            rows = choose(own, targets=target)
            series = series_of(
                rows, "fraction", column, LABEL_NAMES.get(target, target), LABEL_COLOURS.get(target, MUTED)
            )
            left = draw(figure, at, series, first=target not in named, floor=least(values))
            dropped += left
            named |= {target} if left < len(rows) else set()
        if column == "test_mse" and "teacher_mse" in own:
            x = own.sort_values("fraction")
            first = model == models[0]
            line(
                figure,
                at,
                x["fraction"].tolist(),
                x["teacher_mse"].tolist(),
                "the teacher's MSE",
                MUTED,
                first=first,
                dash="dot",
            )
        if column == "inter_variance":
            log_axis(figure, at, values, None)
        else:
            figure.update_yaxes(nticks=6, tickformat="~s", row=at[0], col=at[1])
        figure.update_xaxes(
            title="size of the bootstrap sample, share of n" if names_axis(index, columns, len(cells)) else None,
            tickformat=".0%",
            tickvals=sorted(own["fraction"].unique()) if own["fraction"].nunique() <= 6 else None,
            nticks=6,
            row=at[0],
            col=at[1],
        )
    notes = left_out(dropped)
    if notes:
        notes.append(
            "Linear students reproduce a linear teacher's labels exactly, from any sample that determines them."
        )
    return finish(
        figure,
        TITLE,
        "Above: mean over the test examples of the variance between students that were trained on bootstrap samples, "
        "on a logarithmic axis; below: their mean test MSE; both in squared units of the target. Blue: labelled by the "
        "teacher; ochre: by the data. The dotted line is the teacher's own MSE.",
        head=96 if narrow else 70,
        notes=notes,
    )
