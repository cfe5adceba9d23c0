"""Bad input gets one clear sentence with the place and the mend, a non-zero exit status, and nothing half-written."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from kd_uncertainty.artefacts import checksum_path, fault
from kd_uncertainty.cli import run

from .project import ROOT, Project

OWN_NETWORKS = """
import torch
from torch import nn

class TooWide(nn.Linear):
    def __init__(self, num_inputs, num_classes):
        super().__init__(num_inputs, num_classes + 1)

class Greedy(nn.Linear):
    def __init__(self, num_inputs, num_classes, appetite):
        super().__init__(num_inputs, num_classes)

class Crooked(nn.Linear):
    def forward(self, inputs):
        return super().forward(inputs[:, :-1])

class NotANetwork:
    pass
"""


@dataclass
class Fault:
    """What is wrong, and what the sentence must say."""

    name: str
    words: list[str]
    params: dict[str, Any] = field(default_factory=dict)
    arrange: Callable[[Project, pd.DataFrame], None] | None = None
    pipeline: str = "classification"
    before_any_node: bool = True


def study(**sections: Any) -> dict[str, Any]:
    return {"classification": sections}


def source(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Project, pd.DataFrame], None]:
    def arrange(project: Project, table: pd.DataFrame) -> None:
        path = project.conf.parent / "own.csv"
        change(table).to_csv(path, index=False)
        project.configure(
            "test", "catalog", {"classification.source": {"type": "pandas.CSVDataset", "filepath": str(path)}}
        )

    return arrange


def soft_labels(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Project, pd.DataFrame], None]:
    def arrange(project: Project, table: pd.DataFrame) -> None:
        source(lambda frame: frame)(project, table)
        labels = pd.DataFrame({"teacher": "own", "example_id": range(len(table))})
        labels["logits"] = list(np.random.default_rng(0).normal(size=(len(table), 4, 3)).tolist())
        path = project.conf.parent / "labels.parquet"
        change(labels).to_parquet(path)
        entries = yaml.safe_load((project.conf / "test/catalog.yml").read_text())
        entries["classification.responses"] = {"type": "pandas.ParquetDataset", "filepath": str(path)}
        project.configure("test", "catalog", entries)

    return arrange


def blocked_data_folder(project: Project, _: pd.DataFrame) -> None:
    project.data.write_text("a file where the folder should be")


def hole(labels: pd.DataFrame) -> pd.DataFrame:
    cells = labels["logits"].tolist()
    cells[7] = [[0.0, float("nan"), 1.0]] * 4
    return labels.assign(logits=cells)


SPECIES = {"target": "species", "drop_columns": ["id"]}
ARM = {"target": "label", "num_responses": [1, 2]}
OWN_ARMS = study(ingestion=SPECIES, students={"arms": [ARM]})

FAULTS = [
    # parameters
    Fault("unknown parameter", ["'classification.students.epoch' is not a known"], study(students={"epoch": 3})),
    Fault(
        "mistyped parameter suggests its neighbour",
        ["'classification.students.training.epocs'", "did you mean 'epochs'?"],
        study(students={"training": {"epocs": 3}}),
    ),
    Fault("mistyped section", ["classification.studnets", "did you mean 'students'?"], study(studnets={})),
    Fault("mistyped top-level key", ["'clasification'", "did you mean 'classification'?"], {"clasification": {}}),
    Fault("wrong type", ["students.training.epochs", "'many'"], study(students={"training": {"epochs": "many"}})),
    Fault("negative size", ["students.training.epochs", "greater than 0", "-1"], study(students={"training": {"epochs": -1}})),
    Fault("zero batch", ["teachers.training.batch_size", "greater than 0"], study(teachers={"training": {"batch_size": 0}})),
    Fault("zero seeds", ["response_seeds", "greater than 0"], study(students={"response_seeds": 0})),
    Fault("zero draws", ["responses.num_draws", "greater than 0"], study(responses={"num_draws": 0})),
    Fault("no arms", ["students.arms", "at least 1"], study(students={"arms": []})),
    Fault("share above one", ["label_noise", "less than 1"], study(ingestion={"label_noise": 1.5})),
    Fault("transition that loses labels", ["label_transition", "row 1 sums to 0.9"], study(ingestion={"label_transition": [[1.0, 0.0], [0.0, 0.9]]})),
    Fault("more folds than there may be", ["posteriors.deterministic", "folds", "20"], study(teachers={"posteriors": {"deterministic": {"folds": 21}}})),
    Fault("nothing left to train on", ["must stay below 1"], study(ingestion={"test_fraction": 0.9})),
    Fault("no teacher", ["at least one teacher"], study(teachers={"posteriors": dict.fromkeys(["deterministic", "ensemble", "dropout"])})),
    Fault("unknown kind of teacher", ["'oracle'", "deep_ensemble"], study(teachers={"posteriors": {"x": {"kind": "oracle"}}})),
    Fault("option of another kind", ["posteriors.deterministic", "members"], study(teachers={"posteriors": {"deterministic": {"members": 3}}})),
    Fault("soft temperature on hard labels", ["temperature", "label"], study(students={"arms": [{**ARM, "temperature": 2.0}]})),
    Fault("schedule that is none", ["students.arms", "schedule", "'to_teacher' is no schedule", "to_teacher@0.5"], study(students={"arms": [{**ARM, "schedule": "to_teacher"}]})),
    Fault("schedule with nothing before the switch", ["schedule", "'to_labels@0' is no schedule", "above 0"], study(students={"arms": [{**ARM, "schedule": ["constant", "to_labels@0"]}]})),
    Fault("schedule without a teacher", ["one_hot has no teacher to switch"], study(students={"arms": [{"target": "one_hot", "schedule": "to_teacher@0.5"}]})),
    Fault("schedule of mixing 0", ["mixing: 0 never learns from the teacher"], study(students={"arms": [{**ARM, "mixing": [0.0, 0.5], "schedule": "to_teacher@0.5"}]})),
    Fault("the same schedule in two spellings", ["schedule: to_labels@0.5", "declared twice"], study(students={"arms": [{**ARM, "schedule": ["to_labels@0.5", "to_labels@.50"]}]})),
    Fault("temperature zero", ["temperature", "greater than 0"], study(students={"arms": [{"target": "exact", "temperature": 0}]})),
    Fault(
        "unknown teacher in an arm",
        ["there is no teacher 'oracle'", "known: deterministic"],
        study(students={"arms": [{**ARM, "teachers": ["oracle"]}]}),
        before_any_node=True,
    ),
    Fault(
        "too few draws for the posterior arms",
        ["responses.num_draws", "to 30 or more"],
        study(students={"arms": [{"target": "posterior", "teachers": ["ensemble"], "num_responses": [10]}]}),
        before_any_node=True,
    ),
    Fault("true where a number is needed", ["training.epochs", "needs a number, not true"], study(students={"training": {"epochs": True}})),
    Fault("an empty list", ["arms.0.num_responses", "at least 1"], study(students={"arms": [{**ARM, "num_responses": []}]})),
    Fault("a slip of the finger", ["9,000,000,000 students", "1,000,000"], study(students={"response_seeds": 10**9, "initialisation_seeds": 3, "order_seeds": 3})),
    Fault("a teacher with a slash", ["'a/b'", "without '/'"], study(teachers={"posteriors": {"a/b": {"kind": "deterministic"}}})),
    Fault("a teacher called none", ["'none'", "students without a teacher"], study(teachers={"posteriors": {"none": {"kind": "deterministic"}}})),
    Fault("built-in network of negative width", ["students.network", "hidden", "-3"], study(students={"network": {"arguments": {"hidden": [-3]}}})),
    # command line and configuration
    Fault("unknown pipeline", ["'clasification'"], pipeline="clasification"),
    Fault("unreadable parameters", ["parameters_broken.yml"], arrange=lambda project, _: (project.conf / "test/parameters_broken.yml").write_text("a: [1,\nb: 2\n")),
    Fault("unreadable catalog", ["catalog.yml"], arrange=lambda project, _: (project.conf / "test/catalog.yml").write_text("a:\n\t- b\n")),
    Fault("data folder is no path", ["globals", "'data' must be the path"], arrange=lambda project, _: project.configure("base", "globals", {"data": None})),
    Fault("unknown dataset type", ["classification.source", "CVSDataset"], arrange=lambda project, _: project.configure("test", "catalog", {"classification.source": {"type": "pandas.CVSDataset", "filepath": "x.csv"}})),
    Fault("mixture without variance", ["GaussianMixture", "'variance'", "greater than 0"], arrange=lambda project, _: project.configure("test", "catalog", {"classification.source": {"type": "kd_uncertainty.datasets.GaussianMixture", "variance": 0.0}})),
    # networks
    Fault("network module missing", ["'nowhere'", "src/"], study(students={"network": {"class": "nowhere.Net"}})),
    Fault("network class missing", ["no class 'Missing'"], study(students={"network": {"class": "own_networks.Missing"}})),
    Fault("not a network", ["torch.nn.Module"], study(students={"network": {"class": "own_networks.NotANetwork"}})),
    Fault("no path", ["full import path"], study(students={"network": {"class": "Net"}})),
    Fault(
        "wrong output size",
        ["own_networks.TooWide", "(2, 11)", "(2, 10)"],
        study(students={"network": {"class": "own_networks.TooWide"}}),
        before_any_node=False,
    ),
    Fault(
        "missing network argument",
        ["own_networks.Greedy", "appetite"],
        study(teachers={"network": {"class": "own_networks.Greedy"}}),
        before_any_node=False,
    ),
    Fault(
        "failing forward",
        ["own_networks.Crooked", "forward fails"],
        study(teachers={"network": {"class": "own_networks.Crooked"}}),
        before_any_node=False,
    ),
    Fault(
        "divergence",
        ["learning_rate"],
        study(teachers={"training": {"optimiser": "sgd", "learning_rate": 1e30}}),
        before_any_node=False,
    ),
    Fault("a GPU that is not there", ["execution.device"], {"execution": {"device": "cuda"}}),
    # tables
    Fault("target missing", ["'specise'", "ingestion.target"], study(ingestion={"target": "specise"}), source(lambda t: t)),
    Fault("single class", ["single class"], study(ingestion=SPECIES), source(lambda t: t.assign(species="owl"))),
    Fault("all-NaN column", ["'weight'", "all NaN"], study(ingestion=SPECIES), source(lambda t: t.assign(weight=np.nan))),
    Fault("probabilities of some classes", ["'bayes_probability_lark' is missing"], study(ingestion=SPECIES), source(lambda t: t.assign(bayes_probability_wren=0.5)), before_any_node=False),
    Fault("transition of other classes", ["label_transition", "2 rows", "3 classes"], study(ingestion={**SPECIES, "label_transition": [[1.0, 0.0], [0.0, 1.0]]}), source(lambda t: t), before_any_node=False),
    Fault("fewer examples than classes", ["2 examples for 2 classes"], study(ingestion=SPECIES), source(lambda t: t.drop_duplicates("species")[:2])),
    Fault("empty table", ["0 rows"], study(ingestion=SPECIES), source(lambda t: t[:0])),
    Fault("source file missing", ["'classification.source' does not exist", "absent.csv", "correct its filepath"], study(ingestion=SPECIES), lambda project, _: project.configure("test", "catalog", {"classification.source": {"type": "pandas.CSVDataset", "filepath": str(project.conf.parent / "absent.csv")}})),
    # own soft labels
    Fault("soft labels miss examples", ["own", "5 of 240 examples are missing"], OWN_ARMS, soft_labels(lambda frame: frame[5:]), "classification_from_responses", False),
    Fault("soft labels of another task", ["2 classes where the task has 3"], OWN_ARMS, soft_labels(lambda frame: frame.assign(logits=[[[0.0, 1.0]]] * len(frame))), "classification_from_responses", False),
    Fault("soft labels hold NaN", ["NaN", "example_id 7"], OWN_ARMS, soft_labels(hole), "classification_from_responses", False),
    Fault("own soft labels would be overwritten", ["classification.responses", "overwrite", "classification_from_responses"], OWN_ARMS, soft_labels(lambda frame: frame)),
    # places
    Fault("data folder cannot be written", ["cannot be written", "globals.yml"], arrange=blocked_data_folder),
]  # fmt: skip


def run_cli(project: Project, fault_: Fault) -> Any:
    for name, content in fault_.params.items():
        project.configure("test", f"parameters_{name}", {name: content}) if name not in (
            "classification",
            "execution",
        ) else None
    for name in ("classification", "execution"):
        if name in fault_.params:
            path = project.conf / "test/parameters" / f"{name}.yml"
            merged = merge(yaml.safe_load(path.read_text())[name], fault_.params[name])
            path.write_text(yaml.safe_dump({name: merged}))
    bootstrap_project(ROOT)
    return CliRunner().invoke(
        run, ["--env", "test", "--conf-source", str(project.conf), "--pipelines", fault_.pipeline]
    )


def merge(old: Any, new: Any) -> Any:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **{key: merge(old.get(key), value) for key, value in new.items()}}


@pytest.mark.parametrize("fault_", FAULTS, ids=lambda one: one.name)
def test_a_fault_is_one_sentence_and_leaves_nothing_torn(fault_, project, own_table, tmp_path, monkeypatch):
    (tmp_path / "own_networks.py").write_text(OWN_NETWORKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_networks", raising=False)
    monkeypatch.chdir(ROOT)
    if fault_.arrange is not None:
        fault_.arrange(project, own_table)
    outcome = run_cli(project, fault_)
    assert outcome.exit_code != 0
    sentence = outcome.output[outcome.output.rindex("Error: ") :]
    assert len(sentence.strip().splitlines()) == 1, sentence
    for word in fault_.words:
        assert word in sentence, sentence
    assert "Traceback" not in outcome.output
    files = project.files() if project.data.is_dir() else []
    if fault_.before_any_node and fault_.arrange is None:
        assert files == []
    assert not [path for path in files if path.name.startswith(".")], "temporary files were left"
    for path in files:
        whole = path.suffix == ".sha256" or not checksum_path(path).exists() or fault(path) is None
        assert whole, path


def test_the_command_line_itself_prints_the_sentence_and_exits_with_1(project):
    command = [sys.executable, "-m", "kedro", "run", "--env", "test", "--conf-source", str(project.conf)]
    done = subprocess.run(
        [*command, "--params", "classification.students.epoch=3"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Error: " in done.stderr
    assert "'classification.students.epoch' is not a known parameter" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
