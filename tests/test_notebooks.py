"""The notebook runs on a finished study, and what it draws is what the tables say."""

from __future__ import annotations

import nbformat
import numpy as np
import plotly.graph_objects as go
import pytest
from nbclient import NotebookClient

from .project import ROOT

NOTEBOOK = ROOT / "notebooks/uncertainty.ipynb"
PLOTLY = "application/vnd.plotly.v1+json"
CURVE = ["teacher", "target", "weighting", "mixing", "temperature"]


@pytest.fixture(scope="module")
def executed(finished):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEDRO_ENV", "test")
        patch.setenv("KD_CONF_SOURCE", str(finished.conf))
        patch.setenv("PLOTLY_RENDERER", "plotly_mimetype")
        client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}})
        client.execute()
    return notebook


@pytest.fixture(scope="module")
def figure(executed):
    outputs = [output for cell in executed.cells if cell.cell_type == "code" for output in cell.outputs]
    (found,) = [output.data[PLOTLY] for output in outputs if PLOTLY in output.get("data", {})]
    return go.Figure({"data": found["data"], "layout": found["layout"]})


def traces(figure, name):
    return {trace.meta: trace for trace in figure.data if trace.name == name}


def test_it_is_committed_without_outputs():
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def test_it_reads_nothing_but_the_catalog():
    code = "\n".join(cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code")
    assert "catalog.load(" in code
    assert "read_parquet" not in code
    assert "kd_uncertainty" not in code


def test_every_cell_ran_without_a_warning(executed):
    code = [cell for cell in executed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    said = [str(output.get("text") or output.get("data")) for cell in code for output in cell.outputs]
    assert not [text for text in said if "Warning" in text or "WARNING" in text]


@pytest.mark.parametrize("component", ["inter_unbiased", "response", "initialisation", "order", "residual"])
def test_the_points_are_the_tables(figure, finished, component):
    components = finished.load("classification.variance_components")
    budget = finished.load("classification.response_budget")
    drawn = traces(figure, component)
    assert len(drawn) == len(budget) > 0
    for _, curve in budget.iterrows():
        same = (components[CURVE] == curve[CURVE]).all(axis=1) & (components["split"] == "validation")
        arms = components[same & (components["component"] == component)].sort_values("num_responses")
        trace = drawn[f"{curve['teacher']}, {curve['target']}"]
        assert list(trace.x) == arms["num_responses"].tolist()
        found = np.array(trace.y, dtype=float)
        if component == "inter_unbiased":
            np.testing.assert_array_equal(found, arms["estimate"])
            np.testing.assert_allclose(found + trace.error_y.array, arms["upper"])
            np.testing.assert_allclose(found - trace.error_y.arrayminus, arms["lower"])
        else:  # what is not positive cannot be on a logarithmic axis
            np.testing.assert_array_equal(found, arms["estimate"].where(arms["estimate"] > 0))


def test_the_line_is_the_fit_and_the_diamond_the_recommendation(figure, finished):
    budget = finished.load("classification.response_budget")
    lines, diamonds = traces(figure, "a/k + b"), traces(figure, "recommended k")
    for _, curve in budget.iterrows():
        label = f"{curve['teacher']}, {curve['target']}"
        k = np.array(lines[label].x)
        assert (k[0], k[-1]) == (1, pytest.approx(curve["largest_measured"]))
        np.testing.assert_allclose(lines[label].y, curve["response_variance"] / k + curve["floor"])
    known = budget.dropna(subset="recommended_num_responses")
    expected = {f"{c['teacher']}, {c['target']}": c["recommended_num_responses"] for _, c in known.iterrows()}
    assert {label: diamond.x[0] for label, diamond in diamonds.items()} == expected
