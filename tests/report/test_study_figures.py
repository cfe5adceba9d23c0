"""Figures of all studies with claims: described, of panels that do not collide, and honest where there is nothing."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from kd_uncertainty.report.figures.style import bare
from kd_uncertainty.report.legend import legend_keys

from .pages import STUDIES, Study


@pytest.fixture(scope="module", params=STUDIES, ids=lambda study: study.name)
def study(request) -> Study:
    return request.param


@pytest.fixture(scope="module", params=[False, True], ids=["wide", "narrow"])
def figures(request, study):
    """The figures for wide and for narrow screens."""
    return study.report.make_figures(study.tables(), confidence=0.9, narrow=request.param)


def test_every_figure_is_described_and_survives_json(figures, study):
    assert tuple(figures) == study.report.FIGURES
    for name, figure in figures.items():
        assert figure.layout.meta["title"] == figure.layout.title.text
        assert len(figure.layout.meta["description"]) > 80
        assert " nan" not in figure.layout.meta["description"].lower()
        json.loads(figure.to_json())
        json.dumps(bare(figure), allow_nan=False)
        keys = [key.name for key in legend_keys(figure)]
        assert len(keys) == len(set(keys)), name


def test_panels_leave_room_for_titles_and_tick_labels(figures):
    for name, figure in figures.items():
        height = figure.layout.meta["plot_height"]
        domains = sorted({axis.domain for axis in figure.select_yaxes()})
        for below, above in pairwise(domains):
            assert (above[0] - below[1]) * height >= 57.9, name


def test_captions_name_the_level_of_intervals_where_there_are_some(figures, study):
    for name, figure in figures.items():
        notes = figure.layout.meta["notes"]
        assert ("Intervals are at 90%." in notes) == (name not in study.unbounded), name
        assert study.unbounded.get(name, "") in [*notes, ""]


def test_missing_tables_give_figures_that_say_so(study):
    for figure in study.report.make_figures({}).values():
        assert not figure.data
        assert len(figure.layout.annotations[-1].text) > 15
        assert figure.layout.meta["notes"] == []


def test_tables_without_bounds_are_drawn(study):
    for figure in study.report.make_figures(study.without_bounds()).values():
        json.dumps(bare(figure), allow_nan=False)
        assert " nan" not in figure.layout.meta["description"].lower()


def test_user_names_are_not_markup(study):
    for name, figure in study.report.make_figures(study.renamed("<i>x</i>")).items():
        shown = [note.text for note in figure.layout.annotations] + [trace.name for trace in figure.data]
        shown += [str(text) for axis in figure.select_yaxes() for text in axis.ticktext or ()]
        # An interval's name is neither in the legend nor shown on hovering.
        assert not [text for text in shown if text and "<i>" in text and not text.endswith(": interval")], name
