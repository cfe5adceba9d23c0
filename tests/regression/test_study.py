"""The regression study end to end, in its small environment, compared with calculations of our own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kd_uncertainty.errors import UserError
from kd_uncertainty.pipelines import STAGES, study_pipeline
from kd_uncertainty.schemas import SEED_COLUMNS, VALUE_ARM_KEYS

from ..project import Project

SMALL_SECTIONS = {
    "student_output": {"sources": {"digits": None, "breast_cancer": None}},
    "remedies": {"models": "linear"},
}


pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regression")
    project = Project(folder)
    project.configure("base", "tracking", {"uri": f"sqlite:///{folder}/mlflow.db", "system_metrics": False})
    project.run("regression")
    return project


def load(study, table):
    return study.load(f"regression.{table}")


@pytest.fixture(scope="module")
def arrays(study):
    """Training inputs with a column of ones, training targets, and rows by split."""
    examples = load(study, "examples").sort_values("example_id")
    inputs = np.stack(examples["inputs"].to_list()).astype(np.float64)
    design = np.column_stack([inputs, np.ones(len(inputs))])
    return design, examples["target"].to_numpy(), examples["split"].to_numpy(object)


def test_every_output_is_there_whole_and_valid(study):
    catalog = study.catalog()
    for name in study_pipeline("regression").all_outputs():
        assert catalog.exists(name), name
        catalog.load(name)


def test_every_stage_is_tracked_to_its_end(study):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{study.data.parent}/mlflow.db")
    runs = client.search_runs(["1"], max_results=100)
    assert {run.info.status for run in runs} == {"FINISHED"}
    stages = {run.info.run_name: run for run in runs if "mlflow.parentRunId" in run.data.tags}
    assert set(stages) == set(STAGES["regression"])
    files = {entry.path for entry in client.list_artifacts(stages["remedies"].info.run_id, "tables")}
    assert files == {"tables/remedies.csv"}
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    assert parent.data.metrics


def matrix(study, rows):
    """Predictions (students, examples) of some rows of the plan."""
    predictions = load(study, "predictions")
    wide = predictions.pivot_table(index="student", columns="example_id", values="prediction")
    return wide.loc[rows["student"]].to_numpy(dtype=np.float64)


def test_linear_students_of_noisy_responses_have_the_closed_forms_moments(study, arrays):
    """Each is the least-squares fit to the teacher plus a Gaussian: Mahalanobis distances are chi-square."""
    design, targets, split = arrays
    train = split == "train"
    plan = load(study, "plan")
    inverse = np.linalg.inv(design[train].T @ design[train])
    teacher = inverse @ design[train].T @ targets[train]
    variance = targets[train].var()
    arms = plan[(plan["model"] == "linear") & (plan["target"] == "noise")]
    parameters = load(study, "linear_students").set_index("student")["parameters"]
    for _, rows in arms.groupby("arm"):
        k, noise = rows["num_responses"].iloc[0], rows["noise"].iloc[0]
        deviations = np.stack(parameters.loc[rows["student"]].to_list()) - teacher
        precision = design[train].T @ design[train] * k / (noise * variance)
        distances = np.einsum("sp,pq,sq->s", deviations, precision, deviations)
        count, size = len(rows), design.shape[1]
        assert abs(distances.sum() - count * size) < 4.5 * np.sqrt(2 * count * size)


def test_inter_is_the_variance_of_the_predictions_table_and_adds_up(study):
    components = load(study, "variance_components")
    plan = load(study, "plan")
    _, _, split = (None, None, load(study, "examples").sort_values("example_id")["split"].to_numpy(object))
    wide = components.pivot_table(index=["arm", "split"], columns="component", values="estimate")
    for arm, rows in plan.groupby("arm"):
        found = matrix(study, rows)
        for name in ("train", "validation", "test"):
            expected = found[:, split == name].var(axis=0).mean()
            assert wide.loc[(arm, name), "inter"] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(wide["total"], wide["intra"] + wide["inter"], rtol=1e-10)
    parts = wide[["response", "initialisation", "order", "residual"]].sum(axis=1)
    np.testing.assert_allclose(parts, wide["inter_unbiased"], rtol=1e-9, atol=1e-9)


def test_an_exact_linear_student_of_a_linear_teacher_is_the_teacher(study):
    metrics = load(study, "student_metrics")
    rows = metrics.query("model == 'linear' and teacher == 'linear' and target == 'exact'")
    assert len(rows)
    assert (rows["mse_to_teacher"] < 1e-12 * rows["mse"]).all()


def test_metrics_agree_with_the_predictions_table(study, arrays):
    _, targets, split = arrays
    plan, metrics = load(study, "plan"), load(study, "student_metrics")
    found = matrix(study, plan)
    test = split == "test"
    mine = metrics[metrics["split"] == "test"].set_index("student").loc[plan["student"]]
    np.testing.assert_allclose(mine["mse"], ((found[:, test] - targets[test]) ** 2).mean(1))


def test_tables_have_the_columns_of_the_docs(study):
    keys = set(VALUE_ARM_KEYS)
    assert keys | set(SEED_COLUMNS) <= set(load(study, "plan"))
    assert keys | {"split", "component", "estimate", "lower", "upper"} <= set(load(study, "variance_components"))
    assert (keys - {"num_responses"}) | {"response_variance", "floor", "recommended_num_responses"} <= set(
        load(study, "response_budget")
    )


def test_the_summary_judges_every_section(study):
    summary = load(study, "summary")
    assert summary["study"] == "regression"
    assert len({claim["section"] for claim in summary["claims"]}) >= 5
    verdicts = {"holds", "holds in part", "does not hold", "not measured"}
    assert {claim["verdict"] for claim in summary["claims"]} <= verdicts


def test_the_report_is_one_page_that_needs_no_network(study):
    page = load(study, "report")
    assert page.startswith("<!DOCTYPE html>")
    assert 'src="http' not in page
    assert "default-src 'none'" in page


def test_a_table_of_ones_own_runs_the_whole_study(tmp_path):
    project = Project(tmp_path)
    generator = np.random.default_rng(5)
    table = pd.DataFrame(generator.normal(size=(90, 3)), columns=["a", "b", "c"])
    table["kind"] = generator.choice(["x", "y"], 90)
    table["price"] = 1e4 + 2e3 * table["a"] - 500 * table["b"] + 300 * generator.normal(size=90)
    table.loc[::13, "b"] = np.nan
    table.to_csv(tmp_path / "own.csv", index=False)
    source = {"type": "pandas.CSVDataset", "filepath": str(tmp_path / "own.csv")}
    project.configure("local", "catalog", {"regression.source": source})
    project.configure("test", "catalog", {"regression.source": source})
    project.run("regression", params={"regression": {"ingestion": {"target": "price"}, **SMALL_SECTIONS}})
    params = {"regression": {"ingestion": {"target": "price"}, **SMALL_SECTIONS}}
    task = project.load("regression.task", params=params)
    assert task["target_mean"] == pytest.approx(1e4, rel=0.2)
    assert project.load("regression.report", params=params)


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({"ingestion": {"target": "nobody"}}, "target column 'nobody' is missing"),
        ({"students": {"arms": [{"target": "noise", "noise": -1}]}}, "greater than 0"),
        ({"students": {"arms": [{"target": "exact", "teachers": ["me"]}]}}, "there is no teacher 'me'"),
        ({"responses": {"num_draws": 2}}, "posterior arms need"),
        ({"teacher_output": {"nois": [0.1]}}, "'regression.teacher_output.nois' is not a known parameter"),
        ({"propagation": {"costs": {"response": 0}}}, "greater than 0"),
    ],
)
def test_mistakes_are_one_sentence_and_write_nothing(tmp_path, params, complaint):
    project = Project(tmp_path)
    with pytest.raises(UserError, match=complaint):
        project.run("regression", params={"regression": params})
    assert not [path for path in project.files() if path.suffix in (".parquet", ".json", ".safetensors")]


def test_responses_of_ones_own_start_at_the_students(study, tmp_path):
    """The study's own responses in another file give the study's own students."""
    own = tmp_path / "answers.parquet"
    own.write_bytes(study.path("regression.responses").read_bytes())
    project = Project(tmp_path / "project")
    entry = {"type": "kd_uncertainty.datasets.SoftLabelTable", "filepath": str(own)}
    project.configure("test", "catalog", {"regression.responses": entry})
    namespaces = [f"regression.{stage}" for stage in ("ingestion", "students")]
    project.run("regression_from_responses", namespaces=namespaces)
    ours, theirs = (one.load("regression.predictions") for one in (project, study))
    pd.testing.assert_frame_equal(ours, theirs)
