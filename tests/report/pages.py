"""The studies whose pages and figures share a frame, and what their tests look at."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report import bounds, convergence, deviations, language

from .bounds.study import make_tables as bounds_tables
from .convergence.study import make_tables as convergence_tables
from .deviations.study import make_tables as deviations_tables
from .language.study import make_tables as language_tables
from .language.study import make_task as language_task
from .test_page import Page

Tables = dict[str, pd.DataFrame]

HEADINGS = [
    "What should I do?",
    "How sure is that?",
    "The evidence",
    "Does theory agree?",
    "Tables",
    "What was run",
]
DIGITS = {"num_inputs": 64, "num_classes": 10, "num_examples": {"train": 1078, "validation": 359, "test": 360}}


@dataclass(frozen=True)
class Study:
    """A study with a synthetic world of its own.

    Attributes:
        name: Its name.
        report: Its package of the report.
        make: Makes its tables.
        user: Values of its tables, by column, that a user may choose.
        num_claims: How many claims it judges without any table.
        task: Its task's description.
        classes: Where the task keeps names that a user chooses.
        unbounded: Figures without intervals, and what they say instead.
    """

    name: str
    report: ModuleType
    make: Callable[[], Tables]
    user: Mapping[str, tuple[str, ...]]
    num_claims: int
    task: Mapping[str, Any] = field(default_factory=lambda: DIGITS)
    classes: str = "classes"
    unbounded: Mapping[str, str] = field(default_factory=dict)

    def tables(self) -> Tables:
        """The study's tables, which are the caller's own."""
        return {name: frame.copy() for name, frame in _made(self.name).items()}

    def summary(self, tables: Tables, task: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The summary of some tables."""
        return self.report.make_summary(self.task if task is None else task, tables)

    def html(self, tables: Tables, *, drawn: bool = False, command: str = "", **task: Any) -> str:
        """The page of some tables, with its figures or without."""
        figures = self.report.make_figures(tables) if drawn else {}
        summary = self.summary(tables, {**self.task, **task})
        return self.report.render_report(summary, figures, tables, {"command": command} if command else {})

    def renamed(self, text: str) -> Tables:
        """The tables with the user's strings replaced."""
        return {
            name: frame.replace({column: dict.fromkeys(values, text) for column, values in self.user.items()})
            if set(self.user) & set(frame)
            else frame
            for name, frame in self.tables().items()
        }

    def without_bounds(self) -> Tables:
        """The tables with estimates, and without the ends of their intervals."""
        tables = self.tables()
        for frame in tables.values():
            frame[[column for column in frame if is_bound(str(column))]] = math.nan
        return tables


def is_bound(column: str) -> bool:
    """Whether a column is an end of an interval."""
    return column in ("lower", "upper") or column.endswith(("_lower", "_upper"))


STUDIES = (
    Study("convergence", convergence, convergence_tables, {"teacher": ("variational",)}, 27),
    Study(
        "deviations",
        deviations,
        deviations_tables,
        {"teacher": ("early_stopped",), "student": ("larger",)},
        29,
        unbounded={"deviation_bins": "Bars are quartiles.", "eigenspace_trajectories": ""},
    ),
    Study(
        "bounds",
        bounds,
        bounds_tables,
        {"dial": ("rank",)},
        27,
        unbounded={"processes": "", "sharpness": ""},
    ),
    Study(
        "language",
        language,
        language_tables,
        {"method": ("token",), "answer": ("paris",), "question": ("What is the opposite of hot?",)},
        28,
        task=language_task(),
        classes="relations",
        unbounded={"training_curves": "", "language_answers": ""},
    ),
)


@functools.cache
def _made(name: str) -> Tables:
    return study_of(name).make()


def study_of(name: str) -> Study:
    """The study of a name."""
    return next(study for study in STUDIES if study.name == name)


@functools.cache
def page_of(name: str) -> Page:
    """The whole page of a study, drawn once; it is not to be changed."""
    study = study_of(name)
    return Page(study.html(study.tables(), drawn=True, command=f"kedro run --pipelines {name}"))


def words(page: Page) -> str:
    """The text of a page with single spaces."""
    return " ".join(page.text.split())


def named(figure: go.Figure, name: str, axis: str | None = None) -> list[Any]:
    """The traces of a name, on an axis or on all."""
    return [trace for trace in figure.data if trace.name == name and axis in (None, trace.xaxis)]


def titles(figure: go.Figure) -> list[str]:
    """The titles of a figure's panels."""
    return [note.text.removeprefix("<b>").removesuffix("</b>") for note in figure.layout.annotations]
