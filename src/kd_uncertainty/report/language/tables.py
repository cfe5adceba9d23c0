"""Tables of the language report as rows of finished strings."""

from __future__ import annotations

import math

import pandas as pd

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.columns import Column, columns_table
from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.language.arms import TRAIN, Arm, Study
from kd_uncertainty.report.language.choice import best, eligible, guard_of, inter, space_of, tied
from kd_uncertainty.report.language.wording import METRIC_NAMES, SPACE_NAMES, SPLIT_NAMES, metric_text, share_text
from kd_uncertainty.report.tables import TableView
from kd_uncertainty.report.wording import NOT_MEASURED

MOST_ROWS = 200
"""A table with more rows is shown in part: it can be read in full from the catalog."""
ERRORS = ("accuracy", "modal_accuracy", "systematic_noise", "hallucination", "keeps_modal", "similarity")
SPREADS = ("entropy_token", "entropy_answers", "semantic_entropy", "num_clusters")
COMPONENTS = ("inter_response", "inter_initialisation", "inter_order")
READ = ("prompt", "split", "question", "reference", "source", "answers")
"""Columns of sample answers in the order in which they are read; others follow."""
COLUMNS: dict[str, tuple[str, tuple[Column, ...]]] = {
    "answer_variance": (
        "Variances of answers, as measured",
        (
            ("method", "method", "text"),
            ("split", "split", "text"),
            ("space", "space", "text"),
            ("component", "component", "text"),
            ("num_responses", "k", "count"),
            ("estimate", "variance", "estimate"),
        ),
    ),
    "surrogate": (
        "The tabular surrogate",
        (
            ("method", "method", "text"),
            ("space", "space", "text"),
            ("component", "component", "text"),
            ("num_responses", "k", "count"),
            ("exact", "enumerated", "value"),
            ("estimate", "simulated", "estimate"),
            ("law", "law", "value"),
        ),
    ),
    "answer_frequencies": (
        "What is answered how often",
        (
            ("source", "source", "text"),
            ("answer", "answer", "text"),
            ("num_responses", "k", "count"),
            ("prompt", "prompt", "count"),
            ("count", "times", "count"),
            ("share", "share", "share"),
        ),
    ),
}


def variance_table(study: Study, split: str) -> TableView:
    """Intra and inter of every arm as shares of V, beside the law, in every space."""
    spaces = study.spaces(split)
    rows = []
    for arm in study.arms:
        cells = []
        for space in spaces:
            intra, inter = (study.share(name, arm, split, space) for name in ("intra", "inter"))
            cells += [share_text(intra), share_text(inter)]
        rows.append((arm.label, *_law(arm), *cells))
    names = [f"{part}, {SPACE_NAMES.get(space, space)}" for space in spaces for part in ("intra", "inter")]
    caption = f"Variance of answers over the teacher’s V, {SPLIT_NAMES.get(split, split)}"
    header = ("students", "law: intra", "law: inter", *names)
    return TableView(caption, header, tuple(rows) if spaces else ())


def _law(arm: Arm) -> tuple[str, str]:
    """The law's shares; it is of students of all answers, and no other."""
    if arm.method != "multi" or arm.num_responses < 1:
        return "", ""
    return f"{1.0 - 1.0 / arm.num_responses:.1%}", f"{1.0 / arm.num_responses:.1%}"


def choice_table(study: Study) -> TableView:
    """Every way to teach with what decides between them, the steadiest first; all on trained prompts."""
    chosen, space, guard = best(study), space_of(study), guard_of(study)
    if chosen is None:
        return TableView("", (), ())
    good = eligible(study)
    same = tied(study, chosen, good)
    rows = []
    for arm in sorted(study.arms, key=lambda arm: _height(inter(study, arm))):
        word = "chosen" if arm is chosen else "not told apart" if arm in same else "less steady"
        word = word if arm in good else "worse" if inter(study, arm).known else NOT_MEASURED
        shares = [share_text(study.share(name, arm, TRAIN, space)) for name in ("inter", "intra")]
        told = [metric_text(guard, arm.metric(guard, TRAIN))] if guard else []
        rows.append((arm.label, *shares, *told, word))
    header = (
        "students",
        "inter over V",
        "intra over V",
        *([METRIC_NAMES[guard]] if guard else []),
        "beside the choice",
    )
    where = f"{SPACE_NAMES.get(space, space)}, {SPLIT_NAMES[TRAIN]}"
    return TableView(f"Ways to teach, the steadiest first, {where}", header, tuple(rows))


def _height(figure: Estimate) -> float:
    return figure.estimate if figure.known else math.inf


def sources_table(study: Study, split: str, space: str) -> TableView:
    """Where the inter-student variance comes from, as shares of V; empty where no source was told apart."""
    rows = []
    for arm in study.arms:
        figures = [study.share(name, arm, split, space) for name in ("inter", *COMPONENTS)]
        if any(figure.known for figure in figures[1:]):
            rows.append((arm.label, *(share_text(figure) for figure in figures)))
    where = f"{SPACE_NAMES.get(space, space)}, {SPLIT_NAMES.get(split, split)}"
    header = ("students", "inter", "of responses", "of initialisation", "of order")
    return TableView(f"Sources of inter-student variance over the teacher’s V, {where}", header, tuple(rows))


def metrics_table(study: Study, split: str, names: tuple[str, ...], caption: str) -> TableView:
    """Metrics of the teacher and of every arm; those that nothing has are left out."""
    arms = [study.teacher, *study.arms]
    shown = [name for name in names if any(arm.metric(name, split).known for arm in arms)]
    rows = tuple(
        (arm.label, *(_metric(name, arm.metric(name, split)) for name in shown))
        for arm in arms
        if any(arm.metric(name, split).known for name in shown)
    )
    header = ("answers of", *(METRIC_NAMES[name] for name in shown))
    return TableView(f"{caption}, {SPLIT_NAMES.get(split, split)}", header, rows)


def _metric(name: str, figure: Estimate) -> str:
    return metric_text(name, figure) if figure.known else ""


def samples_table(frame: pd.DataFrame) -> TableView:
    """What teacher and students answer, prompt by prompt; every column is text."""
    names = [name for name in READ if name in frame] + [str(name) for name in frame if name not in READ]
    shown = frame[names].astype(object).where(frame[names].notna(), "")
    rows = tuple(tuple(str(cell) for cell in row) for row in shown.itertuples(index=False, name=None))
    header = tuple(name.replace("_", " ") for name in names)
    return TableView("Sample answers", header, rows[:MOST_ROWS], len(header))


def report_tables(tables: Tables, study: Study) -> list[TableView]:
    """The tables at the end of the report, the longest in part; empty ones are left out."""
    views = [samples_table(table(tables, "sample_answers"))]
    for split in study.splits:
        views += [variance_table(study, split), metrics_table(study, split, ERRORS, "Answers and mistakes")]
        views += [metrics_table(study, split, SPREADS, "Uncertainty of answers")]
        views += [sources_table(study, split, space) for space in study.spaces(split)]
    for name, (caption, columns) in COLUMNS.items():
        frame = table(tables, name)
        short = len(frame) > MOST_ROWS
        text = f"{caption}: the first {MOST_ROWS} of {len(frame):,} rows" if short else caption
        views.append(columns_table(text, columns, pd.DataFrame(frame[:MOST_ROWS])))
    return [view for view in views if view.rows]
