"""Own table, own network, own soft labels: by configuration only, as docs/ says."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

NETWORK = """
from torch import nn

class Wide(nn.Module):
    def __init__(self, num_inputs, num_classes, width=8):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(num_inputs, width), nn.Tanh(), nn.Linear(width, num_classes))

    def forward(self, inputs):
        return self.body(inputs)

class Normed(Wide):
    def __init__(self, num_inputs, num_classes):
        super().__init__(num_inputs, num_classes)
        self.norm = nn.BatchNorm1d(num_inputs)

    def forward(self, inputs):
        return super().forward(self.norm(inputs))
"""
OWN = {"classification": {"ingestion": {"target": "species", "drop_columns": ["id"]}}}


@pytest.fixture
def own_networks(tmp_path, monkeypatch):
    (tmp_path / "own_nets.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("own_nets", None)


def use_table(project, table, kind, tmp_path):
    path = tmp_path / f"own.{kind}"
    if kind == "csv":
        table.to_csv(path, index=False)
        entry = {"type": "pandas.CSVDataset", "filepath": str(path)}
    else:
        table.to_parquet(path)
        entry = {"type": "pandas.ParquetDataset", "filepath": str(path)}
    project.configure("test", "catalog", {"classification.source": entry})


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_of_ones_own_runs_the_whole_study(project, own_table, kind, tmp_path):
    use_table(project, own_table, kind, tmp_path)
    project.run(params=OWN)
    task = project.load("classification.task", params=OWN)
    assert task["classes"] == ["lark", "owl", "wren"]
    assert "id" not in task["features"]
    summary = project.load("classification.summary", params=OWN)
    assert summary["recommendation"]
    assert "owl" in project.path("classification.report", params=OWN).read_text() or summary["task"]["num_classes"] == 3


def with_network(stage, name, **arguments):
    return {"classification": {stage: {"network": {"class": f"own_nets.{name}", "arguments": arguments}}}}


def test_a_network_of_ones_own_trains_students_and_teachers(project, own_networks):
    teachers = with_network("teachers", "Wide", width=12)["classification"]
    teachers["teachers"]["posteriors"] = {"dropout": None}
    arms = [{"target": "label", "num_responses": [1, 2]}, {"target": "exact"}]
    students = with_network("students", "Wide")["classification"]["students"] | {"arms": arms}
    params = {"classification": teachers | {"students": students}}
    project.run(params=params)
    assert project.load("classification.engine", params=params)["backend"] == "vmap"
    best = project.load("classification.best_student", params=params)
    assert best["class_path"] == "own_nets.Wide"
    assert best["parameters"]["body.0.weight"].shape == (8, 64)


def test_a_network_with_state_of_its_own_is_trained_by_the_loop(project, own_networks):
    students = with_network("students", "Normed")["classification"]["students"]
    students |= {"arms": [{"target": "exact", "teachers": ["deterministic"]}], "training": {"epochs": 1}}
    params = {"classification": {"students": students}}
    project.run(params=params)
    engine = project.load("classification.engine", params=params)
    assert engine["backend"] == "loop"
    assert "batch normalisation" in engine["reason"]


def own_labels(examples, draws, column="logits", teacher=True):
    generator = np.random.default_rng(0)
    targets = examples["target"].to_numpy()
    logits = generator.normal(size=(len(targets), draws, 3)) + 3.0 * np.eye(3)[targets][:, None, :]
    values = logits if column == "logits" else np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    frame = pd.DataFrame({"example_id": examples["example_id"], column: values.tolist()})
    if teacher:
        frame.insert(0, "teacher", "oracle")
    return frame.sample(frac=1.0, random_state=1)  # any order will do


@pytest.mark.parametrize(
    ("dataset", "column", "teacher"),
    [
        ("pandas.ParquetDataset", "logits", True),
        ("kd_uncertainty.datasets.SoftLabelTable", "probabilities", True),
        ("pandas.ParquetDataset", "probabilities", False),
    ],
)
def test_soft_labels_of_ones_own_start_at_the_students(project, own_table, tmp_path, dataset, column, teacher):
    use_table(project, own_table, "csv", tmp_path)
    arms = [{"target": "label", "num_responses": [1, 2]}, {"target": "posterior", "num_responses": [1, 2]}]
    params = {"classification": OWN["classification"] | {"students": {"arms": [*arms, {"target": "exact"}]}}}
    project.run(namespaces=["classification.ingestion"], params=params)
    examples = project.load("classification.examples", params=params)
    path = tmp_path / "labels.parquet"
    own_labels(examples, 8, column, teacher).to_parquet(path)
    before = path.read_bytes()
    source = {"type": "pandas.CSVDataset", "filepath": str(tmp_path / "own.csv")}
    project.configure(
        "test",
        "catalog",
        {"classification.source": source, "classification.responses": {"type": dataset, "filepath": str(path)}},
    )
    project.run("classification_from_responses", params=params)
    name = "oracle" if teacher else "teacher"
    assert set(project.load("classification.plan", params=params)["teacher"]) == {name}
    assert set(project.load("classification.teacher_metrics", params=params)["teacher"]) == {name}
    assert path.read_bytes() == before
    assert not (project.data / "06_models/classification").exists() or not list(
        project.data.glob("06_models/classification/*/teachers.safetensors")
    )


def test_soft_labels_of_ones_own_can_also_be_started_by_naming_the_input(project, own_table, tmp_path):
    use_table(project, own_table, "csv", tmp_path)
    params = {"classification": OWN["classification"] | {"students": {"arms": [{"target": "exact"}]}}}
    project.run(namespaces=["classification.ingestion"], params=params)
    path = tmp_path / "labels.parquet"
    own_labels(project.load("classification.examples", params=params), 1).to_parquet(path)
    source = {"type": "pandas.CSVDataset", "filepath": str(tmp_path / "own.csv")}
    labels = {"type": "pandas.ParquetDataset", "filepath": str(path)}
    project.configure("test", "catalog", {"classification.source": source, "classification.responses": labels})
    project.run(from_inputs=["classification.responses"], params=params)
    assert project.catalog(params=params).exists("classification.report")
