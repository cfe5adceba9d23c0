"""The real study under MLflow: the tree of runs, the curves, the registered student, reuse, failure, no server."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kd_uncertainty.errors import UserError
from kd_uncertainty.pipelines import STAGES

from .project import Project

pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tracked")
    project = Project(folder)
    project.configure("base", "tracking", {"uri": f"sqlite:///{folder}/mlflow.db", "system_metrics": False})
    project.run()
    project.run(only_missing_outputs=True)
    with pytest.raises(UserError):
        project.run(params={"classification": {"students": {"network": {"class": "torch.nn.Bilinear"}}}})
    return project, folder


@pytest.fixture(scope="module")
def client(tracked):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{tracked[1]}/mlflow.db")


def runs(client):
    """Parents in order of start, each with its stage runs by name."""
    found = client.search_runs(["1"], order_by=["attributes.start_time ASC"], max_results=1000)
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    return [
        (
            parent,
            {
                run.info.run_name.split(" ")[0]: run
                for run in found
                if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id
            },
        )
        for parent in parents
    ]


def test_one_parent_a_run_and_one_nested_run_a_stage(client):
    parent, stages = runs(client)[0]
    assert parent.info.status == "FINISHED"
    assert set(stages) == set(STAGES["classification"])
    assert all(run.info.status == "FINISHED" for run in stages.values())
    assert stages["students"].data.params["training.epochs"] == "2"


def test_curves_are_step_metrics_with_the_tables_values(client, tracked):
    project, _ = tracked
    _, stages = runs(client)[0]
    curves = project.load("classification.teacher_curves")
    expected = curves[curves["teacher"] == "ensemble"].groupby("epoch")["validation_nll"].mean()
    history = client.get_metric_history(stages["teachers"].info.run_id, "ensemble/validation_nll")
    assert [point.step for point in history] == list(expected.index)
    np.testing.assert_allclose([point.value for point in history], expected)


def test_reused_stages_are_tagged_with_their_fingerprint(client, tracked):
    _, stages = runs(client)[1]
    assert set(stages) == set(STAGES["classification"])
    for name, run in stages.items():
        assert run.data.tags["reused"] == "true"
        fingerprint = run.data.tags["fingerprint"]
        assert any(fingerprint in str(path) for path in tracked[0].files()), name


def test_a_failed_run_says_so_and_why(client):
    parent, stages = runs(client)[2]
    assert parent.info.status == "FAILED"
    assert "torch.nn.Bilinear" in parent.data.tags["error"]
    failed = {name for name, run in stages.items() if run.info.status == "FAILED"}
    assert failed in ({"students"}, {"teacher_comparison"})  # whichever trains students first
    assert stages["ingestion"].info.status == "FINISHED"


def test_the_registered_student_gives_the_predictions_of_the_table(client, tracked):
    import mlflow
    import torch

    project, folder = tracked
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    try:
        (version,) = client.search_model_versions("name='classification-student'")
        network = mlflow.pytorch.load_model(f"models:/classification-student/{version.version}")
        general = mlflow.pyfunc.load_model(f"models:/classification-student/{version.version}")
    finally:
        mlflow.set_tracking_uri(None)
    assert general.metadata.signature is not None
    best = project.load("classification.best_student")
    predictions = pd.read_parquet(project.path("classification.predictions"))
    rows = predictions[(predictions["student"] == best["student"]) & (predictions["split"] == "test")]
    examples = project.load("classification.examples").set_index("example_id")
    inputs = np.stack(examples.loc[rows["example_id"], "inputs"].to_list())
    expected = np.stack(rows["logits"].to_list())
    with torch.no_grad():
        np.testing.assert_allclose(network(torch.from_numpy(inputs)).numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(general.predict(inputs), expected, atol=1e-5)


def test_without_a_server_the_run_warns_and_keeps_its_results(tmp_path, caplog):
    project = Project(tmp_path)
    project.configure("base", "tracking", {"uri": "http://127.0.0.1:1", "timeout_seconds": 1})
    project.run(namespaces=["classification.ingestion"])
    assert project.catalog().exists("classification.examples")
    assert "--only-missing-outputs" in caplog.text
