"""What all pages share: JSON that stays inside its script, captions, and an account of what was run."""

from __future__ import annotations

import json

import plotly.graph_objects as go
import pytest

from kd_uncertainty.report.figures.style import finish, panels
from kd_uncertainty.report.rendering import _provenance, _script_json, render_page


def test_json_cannot_end_its_script():
    text = _script_json({"<": "</script>&", "n": 1.5})
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"<": "</script>&", "n": 1.5}
    with pytest.raises(ValueError, match="Out of range"):
        _script_json(float("nan"))


def test_an_empty_provenance_says_so():
    found = _provenance({})
    assert (found["device"], found["backend"], found["total_seconds"]) == ("n/a", "n/a", "")
    found = _provenance({"seconds": {"a": 30.0, "b": 45.0}, "parameters": {"x": {"y": [1, 2]}}})
    assert found["total_seconds"] == "1 min 15 s"
    assert found["parameters"] == [("x.y", "[1, 2]")]


def test_figures_come_in_the_given_order_and_only_those_that_are_there():
    figure = finish(panels(["one"], columns=1, heights=100, gap=0), "Title", "What is to be seen")
    figure.add_scatter(y=[1, 2], name="points", showlegend=True)
    figures = {"second": figure, "first": go.Figure(figure), "unknown": figure}
    html = render_page("base.html.jinja", (figures, figures), ("first", "second", "third"), {}, title="A title")
    specs = json.loads(html.split('id="figures">')[1].split("</script>")[0])
    assert list(specs["figures"]) == ["first", "second"]
    assert "<h1>A title</h1>" in html
    assert html.startswith("<!DOCTYPE html>")
    bare = render_page("base.html.jinja", ({}, {}), ("first",), {}, title="A title")
    assert "plotly" not in bare
