"""Which teacher: the students of each, against the number of draws, and against the share of the examples."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.figures.series import Series, draw, line, log_axis
from kd_uncertainty.report.figures.style import (
    INK,
    MUTED,
    SPARE_COLOURS,
    TEACHER_COLOURS,
    bars_of,
    colour,
    finish,
    nothing_to_show,
    panels,
    place,
    safe,
)
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.wording import plural
from kd_uncertainty.schemas import NO_TEACHER

TITLE = "Students of every teacher"
NEEDED = ("teacher", "num_draws", "fraction", "mixing", "temperature", "split", "metric", "estimate")
MOST_LINES = 7
"""More lines in a panel cannot be told apart; those with the lowest validation NLL are drawn."""

Place = tuple[int, int]


def teacher_comparison_figure(table: pd.DataFrame | None, *, narrow: bool = False) -> go.Figure:
    """Students' NLL by teacher, against the number of draws, and against the share of the training examples.

    Args:
        table: The table ``teacher_comparison``.
        narrow: One panel below the other, for narrow screens.
    """
    if table is None or missing(table, NEEDED):
        return nothing_to_show(TITLE, "The teachers were not compared in this run, so there is none to choose.")
    nll = choose(table, metric="nll")
    plain = nll[(nll["teacher"] == NO_TEACHER) | ((nll["mixing"] == 1.0) & (nll["temperature"] == 1.0))]
    ranked = ranked_teachers(plain)
    if not ranked:
        return nothing_to_show(TITLE, "No teacher taught students.")
    shades = _shades(ranked)
    columns = 1 if narrow else 3
    rows = 24 * len(ranked) + 30
    titles = ["all examples, all draws", "by number of draws, test", "by share of the examples, test"]
    figure = panels(titles, columns=columns, heights=[rows, 240, 240] if narrow else max(rows, 290), gap=72, side=0.07)
    _by_teacher(figure, place(0, columns), plain, ranked)
    _by_draws(figure, place(1, columns), plain, ranked, shades)
    left_out = _by_fraction(figure, place(2, columns), plain, ranked, shades)
    return finish(
        figure,
        TITLE,
        "Mean negative log-likelihood of the students (lower is better) with intervals over students, at mixing 1 and "
        "temperature 1. Left: by teacher, on the validation split, by which teachers are ordered, and on the test "
        "split. Middle: against the posterior draws that a target averages; teachers with one draw have one point. "
        "Right: against the share of the training examples that students see; teachers saw them all.",
        head=140 if narrow else 110,
        notes=[f"Right: {plural(left_out, 'teacher')} with a higher validation NLL left out."] if left_out else [],
    )


def ranked_teachers(plain: pd.DataFrame) -> list[str]:
    """The teachers by validation NLL of their students at all examples and all draws, lowest first."""
    own = choose(plain, fraction=1.0, split="validation")
    own = own[own["teacher"] != NO_TEACHER]
    most = own.sort_values("num_draws", kind="stable").groupby("teacher", sort=False).tail(1)
    return [str(name) for name in most.sort_values("estimate", kind="stable")["teacher"]]


def _shades(ranked: Sequence[str]) -> dict[str, str]:
    """A colour for each teacher; beyond the palette they repeat, with the lines dashed."""
    free = [name for name in ranked if name not in TEACHER_COLOURS]
    shades = {name: colour({}, name, index) for index, name in enumerate(free)}
    return {name: TEACHER_COLOURS.get(name, shades.get(name, MUTED)) for name in ranked}


def _by_teacher(figure: go.Figure, at: Place, plain: pd.DataFrame, ranked: Sequence[str]) -> None:
    looks = (("validation", "circle-open", -0.12), ("test", "circle", 0.12))
    for split, symbol, aside in looks:
        values = [_largest(choose(plain, teacher=name, fraction=1.0, split=split)) for name in ranked]
        figure.add_scatter(
            x=[value.estimate for value in values],
            y=[position + aside for position in range(len(ranked))],
            error_x=bars_of(values, color=INK),
            mode="markers",
            marker={"symbol": symbol, "size": 8, "color": INK, "line": {"width": 1.5, "color": INK}},
            name=f"students, {split}",
            meta="ink",
            customdata=[[safe(name), value.lower, value.upper] for name, value in zip(ranked, values, strict=True)],
            hovertemplate=f"%{{customdata[0]}}, {split}<br>%{{x:.4f}} "
            "[%{customdata[1]:.4f}, %{customdata[2]:.4f}]<extra></extra>",
            row=at[0],
            col=at[1],
        )
    control = _largest(choose(plain, teacher=NO_TEACHER, fraction=1.0, split="test"))
    if control.known:
        line(
            figure,
            at,
            [control.estimate] * 2,
            [-0.6, len(ranked) - 0.4],
            "one-hot control, test",
            MUTED,
            first=True,
            dash="dot",
        )
    figure.update_yaxes(
        tickvals=list(range(len(ranked))),
        ticktext=[safe(name.replace("_", " ")) for name in ranked],
        range=[len(ranked) - 0.4, -0.6],
        showgrid=False,
        zeroline=False,
        row=at[0],
        col=at[1],
    )
    figure.update_xaxes(title="NLL", nticks=5, row=at[0], col=at[1])


def _by_draws(figure: go.Figure, at: Place, plain: pd.DataFrame, ranked: Sequence[str], shades: dict[str, str]) -> None:
    counts: set[int] = set()
    shown: list[Estimate] = []
    for index, name in enumerate(ranked):
        own = choose(plain, teacher=name, fraction=1.0, split="test").sort_values("num_draws")
        if len(own) > 1:
            counts |= set(own["num_draws"].astype(int))
            draw(figure, at, _series(own, "num_draws", name, shades, index), first=True)
            shown += _points(own, "num_draws")[1]
    if not counts:
        figure.add_annotation(text="no teacher has several draws", showarrow=False, row=at[0], col=at[1])
    figure.update_xaxes(
        type="log",
        tickvals=sorted(counts),
        ticktext=[str(count) for count in sorted(counts)],
        tickangle=0,
        title="draws of a target, k",
        row=at[0],
        col=at[1],
    )
    log_axis(figure, at, shown, "NLL")


def _by_fraction(
    figure: go.Figure, at: Place, plain: pd.DataFrame, ranked: Sequence[str], shades: dict[str, str]
) -> int:
    """Draw the best teachers and the control; returns how many teachers were left out."""
    kept = list(ranked[:MOST_LINES])
    named = {trace.name for trace in figure.data}
    shown: list[Estimate] = []
    for index, name in enumerate(ranked):
        if name in kept:
            own = choose(plain, teacher=name, split="test")
            own = own[own["num_draws"] == own["num_draws"].max()].sort_values("fraction")
            draw(figure, at, _series(own, "fraction", name, shades, index), first=safe(name) not in named)
            shown += _points(own, "fraction")[1]
    control = choose(plain, teacher=NO_TEACHER, split="test").sort_values("fraction")
    shares, values = _points(control, "fraction")
    draw(figure, at, Series("one-hot control", MUTED, shares, values, dash="dot"), first=True)
    shares = sorted(set(plain["fraction"].astype(float)))
    figure.update_xaxes(
        type="log",
        tickvals=shares,
        ticktext=[f"{share:.0%}" for share in shares],
        tickangle=0,
        title="examples that students see",
        row=at[0],
        col=at[1],
    )
    log_axis(figure, at, [*shown, *values], "NLL")
    return len(ranked) - len(kept)


def _series(own: pd.DataFrame, x: str, name: str, shades: dict[str, str], index: int) -> Series:
    repeated = index >= len(SPARE_COLOURS) and name not in TEACHER_COLOURS
    return Series(name, shades[name], *_points(own, x), dash="dash" if repeated else "solid")


def _points(own: pd.DataFrame, x: str) -> tuple[list[float], list[Estimate]]:
    rows = own.to_dict("records")
    return [float(row[x]) for row in rows], [estimate_of(row) for row in rows]


def _largest(own: pd.DataFrame) -> Estimate:
    """The estimate of the row with the most draws."""
    rows = own.sort_values("num_draws").to_dict("records")
    return estimate_of(rows[-1] if rows else {})
