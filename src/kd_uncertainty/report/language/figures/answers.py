"""What is answered how often: stacked shares of the most frequent answers to a few prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.figures.series import Place
from kd_uncertainty.report.figures.style import finish, nothing_to_show, panels, place, safe
from kd_uncertainty.report.frames import missing
from kd_uncertainty.report.language.wording import METHODS, TEACHER, arm_name
from kd_uncertainty.report.wording import ordered, percent

TITLE = "What teacher and students answer"
COLUMNS = ("source", "num_responses", "prompt", "answer", "share")
MOST_PROMPTS, MOST_ROWS, MOST_WRONG = 4, 10, 3
ROW = 24
"""Pixels of a row."""
READABLE = 0.13
"""Share of a bar from which on the answer is written into it."""
RIGHT, OTHERS = "#009E73", "#B8BDC4"
WRONG = ("#D55E00", "#C07A00", "#A65698")
PLAIN = ("#0072B2", "#C07A00", "#A65698", "#56B4E9")
"""Colours of answers where nothing says which of them are right."""


def answers_figure(frequencies: pd.DataFrame, samples: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """A panel a prompt, a bar a source: the shares of right answers, of the most frequent wrong ones, and of the rest.

    Of all prompts a few are drawn, from the one that the teacher is least sure of to the one that it is surest of.

    Args:
        frequencies: The table ``answer_frequencies``.
        samples: The table ``sample_answers``, which has the questions.
        narrow: One panel below the other, for narrow screens.
    """
    if missing(frequencies, COLUMNS):
        return nothing_to_show(TITLE, "No answers were counted.")
    prompts, rows = _prompts(frequencies), _rows(frequencies)
    columns = 1 if narrow else 2
    questions = _questions(samples)
    cut = 38 if narrow else 44
    titles = [_short(questions.get(prompt, f"prompt {prompt}"), cut) for prompt in prompts]
    figure = panels(titles, columns=columns, heights=ROW * len(rows) + 10, gap=64, side=0.06)
    judged = "correct" in frequencies and bool(frequencies["correct"].notna().any())
    named: set[str] = set()
    for index, prompt in enumerate(prompts):
        at = place(index, columns)
        _panel(figure, at, frequencies[frequencies["prompt"] == prompt], rows, judged=judged, named=named)
        figure.update_yaxes(
            range=[len(rows) - 0.4, -0.6],
            tickvals=list(range(len(rows))),
            ticktext=[safe(arm_name(*row)) for row in rows],
            showticklabels=at[1] == 1,
            showgrid=False,
            zeroline=False,
            row=at[0],
            col=at[1],
        )
        figure.update_xaxes(
            range=[0.0, 1.0], tickformat=".0%", tickvals=[0.0, 0.5, 1.0], showgrid=False, row=at[0], col=at[1]
        )
    figure.update_layout(barmode="stack")
    return finish(figure, TITLE, _description(frequencies, prompts, questions, judged), head=110 if narrow else 84)


def _prompts(frequencies: pd.DataFrame) -> list[int]:
    """A few prompts, evenly from the least to the most sure answers of the teacher (of all, where it is missing)."""
    own = frequencies[frequencies["source"] == TEACHER]
    own = own if len(own) else frequencies
    surest = own.groupby("prompt")["share"].max().sort_values(kind="stable")
    count = min(MOST_PROMPTS, len(surest))
    places = [round(step * (len(surest) - 1) / max(count - 1, 1)) for step in range(count)]
    return [int(surest.index[at]) for at in places]


def _rows(frequencies: pd.DataFrame) -> list[tuple[str, int]]:
    """Teacher, students of all answers at every k, and the other methods at their largest k."""
    pairs = frequencies[["source", "num_responses"]].fillna(0).drop_duplicates()
    found = [(str(source), int(count)) for source, count in pairs.itertuples(index=False, name=None)]
    rows = []
    for source in ordered([source for source, _ in found], (TEACHER, *METHODS)):
        counts = sorted(count for name, count in found if name == source)
        rows += [(source, count) for count in (counts if source == "multi" else counts[-1:])]
    return rows[:MOST_ROWS]


def _questions(samples: pd.DataFrame) -> dict[int, str]:
    if missing(samples, ("prompt", "question")):
        return {}
    texts = {}
    for row in samples.to_dict("records"):
        reference = row.get("reference")
        known = reference is not None and not pd.isna(reference) and str(reference)
        texts[int(row["prompt"])] = f"{row['question']}" + (f" ({reference})" if known else "")
    return texts


def _short(text: str, most: int) -> str:
    flat = " ".join(text.split()).replace("<br>", " ")
    return flat if len(flat) <= most else f"{flat[: most - 1].rstrip()}…"


def _panel(
    figure: go.Figure,
    at: Place,
    frame: pd.DataFrame,
    rows: Sequence[tuple[str, int]],
    *,
    judged: bool,
    named: set[str],
) -> None:
    counts = frame["num_responses"].fillna(0).astype(int)
    said = [_said(frame[(frame["source"] == source) & (counts == k)]) for source, k in rows]
    kinds = _kinds(frame, judged=judged)
    for kind, (shade, answers) in kinds.items():
        values = [_of(row, answers, kinds) for row in said]
        if not any(share for share, _ in values):
            continue
        figure.add_bar(
            x=[share for share, _ in values],
            y=list(range(len(rows))),
            orientation="h",
            width=0.76,
            name=kind,
            legendgroup=kind,
            showlegend=kind not in named,
            marker={"color": shade, "line": {"width": 0}},
            text=[safe(_short(text, 14)) if share >= READABLE and answers else "" for share, text in values],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": "#ffffff", "size": 11},
            constraintext="both",
            customdata=[[safe(_short(text, 60))] for _, text in values],
            hovertemplate=f"%{{customdata[0]}}: %{{x:.0%}}<extra>{kind}</extra>",
            row=at[0],
            col=at[1],
        )
        named.add(kind)


def _said(frame: pd.DataFrame) -> dict[str, float]:
    """The share of every answer of a row."""
    return {str(row["answer"]): float(row["share"]) for row in frame.to_dict("records")}


def _kinds(frame: pd.DataFrame, *, judged: bool) -> dict[str, tuple[str, list[str] | None]]:
    """Colour and answers of each kind: right ones together, the most frequent wrong ones, and the rest (None)."""
    totals = frame.groupby("answer")["share"].sum().sort_values(ascending=False, kind="stable")
    if not judged:
        names = [f"the {word} frequent answer" for word in ("most", "second most", "third most", "fourth most")]
        found = {name: (shade, [str(answer)]) for name, shade, answer in zip(names, PLAIN, totals.index, strict=False)}
        return {**found, "other answers": (OTHERS, None)}
    right = {str(answer) for answer in frame.loc[frame["correct"].fillna(False).astype(bool), "answer"]}
    wrong = [str(answer) for answer in totals.index if str(answer) not in right][:MOST_WRONG]
    names = [f"the {word} frequent wrong answer" for word in ("most", "second most", "third most")]
    return {
        "right answers": (RIGHT, sorted(right)),
        **{name: (shade, [answer]) for name, shade, answer in zip(names, WRONG, wrong, strict=False)},
        "other answers": (OTHERS, None),
    }


def _of(
    row: Mapping[str, float], answers: Sequence[str] | None, kinds: Mapping[str, tuple[str, list[str] | None]]
) -> tuple[float, str]:
    """The share of a kind in a row, and the answer to write: the most frequent of its answers."""
    if answers is not None:
        own = {answer: row[answer] for answer in answers if answer in row}
        return sum(own.values()), max(own, key=lambda answer: own[answer], default="")
    named = {answer for _, members in kinds.values() for answer in members or ()}
    told = sum(share for answer, share in row.items() if answer in named)
    # What is not in the table, which has the most frequent answers only, is an other answer too.
    return (max(1.0 - told, 0.0), "other answers") if row else (0.0, "")


def _description(frequencies: pd.DataFrame, prompts: Sequence[int], questions: Mapping[int, str], judged: bool) -> str:
    count = frequencies["prompt"].nunique()
    text = (
        f"Shares of sampled answers to {len(prompts)} of {count} prompts, from the one that the teacher is least sure "
        "of to the surest; each bar is the teacher or all students of an arm."
    )
    if not judged:
        return f"{text} Colours rank answers by how frequent they are; there are no references."
    told = []
    for prompt in prompts:
        own = frequencies[(frequencies["prompt"] == prompt) & (frequencies["source"] == TEACHER)]
        share = float(own.loc[own["correct"].fillna(False).astype(bool), "share"].sum())
        told.append(f"{questions.get(prompt, f'prompt {prompt}')}: {percent(share, 0)}")
    return f"{text} The teacher’s share of right answers: {'; '.join(told)}."
