"""Legends as drawings: one entry a name, colours as in the figure."""

from html.parser import HTMLParser

from kd_uncertainty.report.figures import FIGURES, make_figures
from kd_uncertainty.report.figures.style import SOURCE_COLOURS
from kd_uncertainty.report.legend import legend_keys
from kd_uncertainty.report.wording import SOURCE_NAMES


def test_every_shown_name_has_one_entry(tables):
    for name, figure in make_figures(tables).items():
        names = [key.name for key in legend_keys(figure)]
        assert len(names) == len(set(names)), name
        assert names, name


def test_sources_have_their_colours(tables):
    keys = {key.name: key.drawing for key in legend_keys(make_figures(tables)["uncertainty_sources"])}
    for source, name in SOURCE_NAMES.items():
        assert SOURCE_COLOURS[source] in keys[name]
    assert "currentColor" in keys["sum, with interval"]


def test_drawings_are_closed_markup(tables):
    figures = make_figures(tables)
    for name in FIGURES:
        for key in legend_keys(figures[name]):
            depth = []

            class Parser(HTMLParser):
                def handle_starttag(self, tag, attrs):
                    depth.append(tag)  # noqa: B023

                def handle_endtag(self, tag):
                    assert depth.pop() == tag  # noqa: B023

                def handle_startendtag(self, tag, attrs):
                    assert tag in ("path", "circle", "rect")

            Parser().feed(key.drawing)
            assert depth == []


def test_names_are_text_again(tables):
    frames = {**tables, "teacher_curves": tables["teacher_curves"].replace({"teacher": {"dropout": "<x>"}})}
    names = [key.name for key in legend_keys(make_figures(frames)["training_curves"])]
    assert "<x> teacher" in names
