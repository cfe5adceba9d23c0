"""The notebooks run on finished studies, and what they draw is what the tables say."""

from __future__ import annotations

import nbformat
import numpy as np
import plotly.graph_objects as go
import pytest
from nbclient import NotebookClient

from .project import ROOT, Project

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PLOTLY = "application/vnd.plotly.v1+json"
CURVE = ["teacher", "target", "weighting", "mixing", "temperature", "schedule"]


def execute(name, project):
    """The notebook, run on the results of a project's small environment."""
    notebook = nbformat.read(ROOT / "notebooks" / name, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEDRO_ENV", "test")
        patch.setenv("KD_CONF_SOURCE", str(project.conf))
        patch.setenv("PLOTLY_RENDERER", "plotly_mimetype")
        client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT / "notebooks")}})
        client.execute()
    return notebook


def figures_of(notebook):
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    found = [output.data[PLOTLY] for output in outputs if PLOTLY in output.get("data", {})]
    return [go.Figure({"data": one["data"], "layout": one["layout"]}) for one in found]


def ran_without_a_warning(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    said = [str(output.get("text") or output.get("data")) for cell in code for output in cell.outputs]
    counted = [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    return counted and not [text for text in said if "Warning" in text or "WARNING" in text]


@pytest.fixture(scope="module")
def executed(finished):
    return execute("uncertainty.ipynb", finished)


@pytest.fixture(scope="module")
def figure(executed):
    (found,) = figures_of(executed)
    return found


@pytest.fixture(scope="module")
def regression(tmp_path_factory):
    """A project whose small regression study has been run once."""
    project = Project(tmp_path_factory.mktemp("regression_notebook"))
    project.run("regression")
    return project


@pytest.fixture(scope="module")
def redrawn(regression):
    notebook = execute("regression.ipynb", regression)
    assert ran_without_a_warning(notebook)
    return figures_of(notebook)


@pytest.fixture(scope="module")
def convergence(tmp_path_factory):
    """A project whose small convergence study has been run once."""
    project = Project(tmp_path_factory.mktemp("convergence_notebook"))
    project.run("convergence")
    return project


@pytest.fixture(scope="module")
def deviations(tmp_path_factory):
    """A project whose small deviations study has been run once."""
    project = Project(tmp_path_factory.mktemp("deviations_notebook"))
    project.run("deviations")
    return project


@pytest.fixture(scope="module")
def bounds(tmp_path_factory):
    """A project whose small bounds study has been run once."""
    project = Project(tmp_path_factory.mktemp("bounds_notebook"))
    project.run("bounds")
    return project


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    """A project whose small language study has been run once."""
    project = Project(tmp_path_factory.mktemp("language_notebook"))
    project.run("language")
    return project


def traces(figure, name):
    return {trace.meta: trace for trace in figure.data if trace.name == name}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_committed_without_outputs(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_reads_nothing_but_the_catalog(path):
    code = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    assert "catalog.load(" in code
    assert "read_parquet" not in code
    assert "kd_uncertainty" not in code


def test_every_cell_ran_without_a_warning(executed):
    assert ran_without_a_warning(executed)


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


def points(figure, name, column, axis):
    """The one series of a table's column that is drawn under a name in a panel."""
    (found,) = [t for t in figure.data if (t.name, t.meta, t.xaxis) == (name, column, axis)]
    return found


def test_the_papers_figures_are_the_tables(regression, redrawn):
    section_4, section_5, section_6, section_7 = redrawn
    table = regression.load("regression.teacher_output")
    for model, axis in (("linear", "x"), ("network", "x2")):
        own, drawn = table[table["model"] == model], points(section_4, f"{model} students", "inter_variance", axis)
        np.testing.assert_array_equal(drawn.y, own["inter_variance"])
        np.testing.assert_allclose(np.array(drawn.y) + drawn.error_y.array, own["inter_variance_upper"])
    law = next(trace for trace in section_4.data if trace.name == "closed form")
    np.testing.assert_array_equal(law.y, table.loc[table["model"] == "linear", "closed_form_variance"])
    table = regression.load("regression.bootstrap")
    own = table[(table["model"] == "network") & (table["targets"] == "ground_truth")]
    np.testing.assert_array_equal(points(section_5, "ground truth", "inter_variance", "x3").y, own["inter_variance"])
    table = regression.load("regression.student_output")
    own = table[(table["role"] == "teacher") & (table["source"] == table["source"].iloc[0])]
    teacher = next(trace for trace in section_6.data if trace.name == "teacher")
    assert list(teacher.x) == own["subset"].tolist()
    np.testing.assert_array_equal(np.array(teacher.y, dtype=float), own["entropy"])
    table = regression.load("regression.remedies")
    own = table[(table["model"] == "linear") & (table["method"] == "inverse_variance_estimated")]
    drawn = points(section_7, "inverse variance estimated", "variance_ratio", "x3")
    np.testing.assert_array_equal(drawn.y, own["variance_ratio"])


def test_the_shared_law_is_the_tables(convergence):
    notebook = execute("convergence.ipynb", convergence)
    assert ran_without_a_warning(notebook)
    (figure,) = figures_of(notebook)
    table = convergence.load("convergence.mixture")
    for (arm, level), own in table.groupby(["arm", "level"], sort=False):
        drawn = {trace.meta: trace for trace in figure.data if trace.name == f"{arm} {level:g}"}
        best, one_hot = own["lambda_star"].iloc[0], own.set_index("mixing")["predicted_plateau"][0.0]
        np.testing.assert_array_equal(drawn["plateau"].x, own["mixing"])
        np.testing.assert_allclose(drawn["plateau"].y, own["plateau"] / one_hot)
        top = np.array(drawn["plateau"].y) + drawn["plateau"].error_y.array
        np.testing.assert_allclose(top, own["plateau_upper"] / one_hot)
        assert (drawn["best"].x[0], drawn["best"].y[0]) == pytest.approx((best, 1.0 - best))
        np.testing.assert_allclose(
            np.interp(own["mixing"], drawn["law"].x, drawn["law"].y),
            own["predicted_noise"] / own["predicted_noise"].iloc[0],
            atol=1e-3,
        )
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pages = [output["data"].get("text/html", "") for output in outputs if "data" in output]
    claims, weights, noises = (page for page in pages if "<table" in page)
    for claim in convergence.load("convergence.summary")["claims"]:
        assert claim["verdict"] in claims
    for best in table["lambda_star"].unique():
        assert f">{best:.3f}<" in weights
    for teacher in convergence.load("convergence.teacher_error")["teacher"].unique():
        assert f"<th>{teacher}</th>" in noises


def test_students_stand_beside_the_control_of_the_tables(deviations):
    notebook = execute("deviations.ipynb", deviations)
    assert ran_without_a_warning(notebook)
    (figure,) = figures_of(notebook)
    bins = deviations.load("deviations.deviation_bins")
    bins = bins[(bins["teacher"] == "interpolating") & (bins["student"] == "self") & (bins["temperature"] == 4.0)]
    for split in ("train", "test"):
        for group in ("student", "control"):
            (drawn,) = [trace for trace in figure.data if trace.name == f"{group}, {split}"]
            own = bins[(bins["split"] == split) & (bins["group"] == group)]
            np.testing.assert_array_equal(drawn.x, own["teacher_logit"])
            np.testing.assert_array_equal(drawn.y, own["median"])
            top = np.array(drawn.y) + drawn.error_y.array
            np.testing.assert_allclose(top, own["upper_quartile"])
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pages = [output["data"].get("text/html", "") for output in outputs if "data" in output]
    claims, slopes, gains, switching, pairs = (page for page in pages if "<table" in page)
    for claim in deviations.load("deviations.summary")["claims"]:
        assert claim["verdict"] in claims
    table = deviations.load("deviations.deviations")
    for value in table.loc[(table["statistic"] == "slope_low_quartile") & (table["split"] == "test"), "estimate"]:
        assert f">{value:.2f}<" in slopes
    assert "early_stopped" in gains
    assert all(f">{name}<" in switching for name in ("to_distillation", "to_one_hot", "equal_progress"))
    assert all(f">{model}<" in pairs for model in ("linear_squared", "mlp"))


def test_the_terms_of_the_bound_are_the_tables(bounds):
    notebook = execute("bounds.ipynb", bounds)
    assert ran_without_a_warning(notebook)
    (figure,) = figures_of(notebook)
    sweeps = bounds.load("bounds.decomposition_sweeps")
    own = sweeps[sweeps["dial"] == "inverse_temperature"].sort_values("value")
    drawn = {trace.name: trace for trace in figure.data}
    terms = ("bias", "variance", "approximation", "covariance", "spread")
    for name in terms:
        np.testing.assert_array_equal(drawn[name].y, own[name])
    np.testing.assert_allclose(np.sum([drawn[name].y for name in terms], axis=0), own["corrected_bound"])
    np.testing.assert_array_equal(drawn["divergence"].y, own["divergence_exact"])
    assert drawn["least bound"].y[0] == own["corrected_bound"].min()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pages = [output["data"].get("text/html", "") for output in outputs if "data" in output]
    claims, checklist, forms, shares, intervals = (page for page in pages if "<table" in page)
    for claim in bounds.load("bounds.summary")["claims"]:
        assert claim["verdict"] in claims
    assert f">{bounds.load('bounds.decomposition_checklist')['bound_before'].iloc[0]:.3f}<" in checklist
    audit = bounds.load("bounds.decomposition_audit")
    assert f"<td>{int(audit['literal_violated'].sum())}</td>" in forms
    processes = bounds.load("bounds.processes")
    half = (processes["upper_cumulant"] - processes["gen_teacher"]).to_numpy()
    used = np.abs(processes["gen_student"] - processes["gen_teacher"]) / half
    assert f">{used.max():.3f}<" in shares
    table = bounds.load("bounds.network_bounds")
    for value in table.loc[table["quantity"].isin(["upper_hoeffding", "lower_cumulant"]), "estimate"]:
        assert f">{value:.3f}<" in intervals


def test_the_law_of_answers_is_the_tables(language):
    notebook = execute("language.ipynb", language)
    assert ran_without_a_warning(notebook)
    (figure,) = figures_of(notebook)
    table = language.load("language.answer_variance")
    table = table[(table["split"] == "train") & (table["space"] == "embedding")]
    (whole,) = table.loc[table["component"] == "teacher", "estimate"].unique()
    for component in ("intra", "inter"):
        own = table[(table["method"] == "multi") & (table["component"] == component)]
        drawn = next(trace for trace in figure.data if trace.name == f"{component}, students")
        np.testing.assert_array_equal(drawn.x, own["num_responses"])
        np.testing.assert_allclose(drawn.y, own["estimate"] / whole)
        law = next(trace for trace in figure.data if trace.name == f"{component}, law")
        shares = 1.0 - 1.0 / np.array(law.x) if component == "intra" else 1.0 / np.array(law.x)
        np.testing.assert_allclose(law.y, shares, atol=1e-12)
