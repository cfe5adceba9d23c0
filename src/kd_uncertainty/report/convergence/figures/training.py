"""Networks along training: validation accuracy and NLL by kind of labels, with bands over seeds."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import estimate_of
from kd_uncertainty.report.convergence.arms import ArmKey, keys_of, rows_of, shades_of
from kd_uncertainty.report.figures.series import Series, ribbon
from kd_uncertainty.report.figures.style import finish, names_axis, nothing_to_show, panels, place
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.wording import METRIC_NAMES, percent, value_text

TITLE = "Networks along training, by kind of labels"
METRICS = ("accuracy", "nll")


def training_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """Validation accuracy and NLL against epochs; a row for labels from the Bayes probabilities, one for teachers.

    Args:
        table: The table ``stability_curves``.
        narrow: One panel below the other, for narrow screens.
    """
    if missing(table, ("arm", "epoch", "metric", "estimate")):
        return nothing_to_show(TITLE, "No networks were trained.")
    keys = keys_of(table)
    shades = shades_of(keys)
    one_hot = [key for key in keys if key.arm == "one_hot"]
    groups: list[tuple[str, list[ArmKey]]] = [
        ("known probabilities", [key for key in keys if key.arm not in ("one_hot", "teacher")]),
        ("teachers", [key for key in keys if key.arm == "teacher"]),
    ]
    groups = [(name, [*one_hot, *own]) for name, own in groups if own] or [("one-hot labels", one_hot)]
    cells = [(name, own, metric) for name, own in groups for metric in METRICS]
    columns = 1 if narrow else len(METRICS)
    figure = panels(
        [f"{name}: validation {METRIC_NAMES[metric]}" for name, _, metric in cells],
        columns=columns,
        heights=220 if narrow else 250,
        gap=70,
        side=0.1,
    )
    named: set[str] = set()
    for index, (_, own, metric) in enumerate(cells):
        at, frame = place(index, columns), choose(table, metric=metric)
        for key in own:
            rows = sorted(rows_of(frame, key), key=lambda row: row["epoch"])
            values = [estimate_of(row) for row in rows]
            series = Series(key.label, shades[key.label], [float(row["epoch"]) for row in rows], values)
            ribbon(figure, at, series, first=key.label not in named)
            named.add(key.label)
        figure.update_xaxes(
            title="epochs" if names_axis(index, columns, len(cells)) else None, nticks=6, row=at[0], col=at[1]
        )
        figure.update_yaxes(nticks=6, tickformat=".0%" if metric == "accuracy" else None, row=at[0], col=at[1])
    return finish(figure, TITLE, _description(table), head=160 if narrow else 130)


def _description(table: pd.DataFrame) -> str:
    last = table[table["epoch"] == table["epoch"].max()]
    texts = []
    for arm, name in (("one_hot", "one-hot labels"), ("exact", "exact probabilities")):
        found = {str(row["metric"]): float(row["estimate"]) for row in last[last["arm"] == arm].to_dict("records")}
        if set(METRICS) <= set(found):
            accuracy, nll = percent(found["accuracy"]), value_text(found["nll"], 3)
            texts.append(f"{name} end at accuracy {accuracy} and NLL {nll}")
    ends = f" On the validation split {', '.join(texts)}." if texts else ""
    return f"Lines are means over seeds, bands their intervals; one-hot labels are in every panel.{ends}"
