"""The pieces of tracking that need no MLflow: names, records, bookkeeping, lineage, addresses, sampling."""

from __future__ import annotations

import doctest
import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.config import OmegaConfigLoader
from kedro.pipeline import Pipeline, node

from kd_uncertainty.errors import UserError
from kd_uncertainty.hooks.tracking import TrackingOptions, flatten
from kd_uncertainty.hooks.tracking.flatten import arm_name, flatten_parameters, metric_name, numeric_leaves, one_line
from kd_uncertainty.hooks.tracking.headline import MAX_FALLBACK, headline_metrics
from kd_uncertainty.hooks.tracking.hook import run_name, run_tags
from kd_uncertainty.hooks.tracking.lineage import artefact_dataset, source_dataset, table_digest
from kd_uncertainty.hooks.tracking.model import build_student, parameters_digest
from kd_uncertainty.hooks.tracking.options import load_options
from kd_uncertainty.hooks.tracking.progress import stage_key, stages_of
from kd_uncertainty.hooks.tracking.records import Point, record_outputs
from kd_uncertainty.hooks.tracking.store import bounded_requests, resolve_store
from kd_uncertainty.hooks.tracking.system import SystemSampler
from kd_uncertainty.hooks.tracking.writer import is_alive, this_process
from kd_uncertainty.options import StudentsOptions

from .tracking_study import best_student, study_pipeline


class TestNames:
    def test_examples_in_the_docstrings(self) -> None:
        assert doctest.testmod(flatten).failed == 0

    def test_metric_names_hold_only_what_mlflow_takes(self) -> None:
        assert metric_name("a:b", "Größe (%)", 3) == "a_b/Gr__e ___/3"
        assert len(metric_name("x" * 400)) == 250

    def test_arms_that_differ_have_different_names(self) -> None:
        base = {"target": "label", "teacher": "ensemble", "num_responses": 4, "weighting": "average"}
        base |= {"mixing": 1.0, "temperature": 1.0}
        changes = [{}, {"target": "posterior"}, {"teacher": "dropout"}, {"num_responses": 8}]
        changes += [{"weighting": "inverse"}, {"mixing": 0.5}, {"temperature": 2.0}]
        changes += [{"schedule": "to_teacher@0.5"}, {"schedule": "to_labels@0.5"}, {"schedule": "to_labels@0.25"}]
        assert len({arm_name(base | change) for change in changes}) == len(changes)
        assert arm_name(base | {"target": "one_hot", "teacher": "none"}) == "one_hot"
        assert arm_name(base, num_responses=False) == "label.ensemble"
        assert arm_name(base | {"schedule": "constant"}) == arm_name(base)
        assert arm_name(base | {"schedule": "to_teacher@0.5"}) == "label.ensemble.k04.to_teacher0.5"

    def test_parameters_are_dotted_and_readable(self) -> None:
        options = StudentsOptions.model_validate({"arms": [{"target": "label", "num_responses": [1, 2]}], "seed": 9})
        flat = flatten_parameters(options)
        assert flat["arms.0.num_responses"] == "[1, 2]"
        assert flat["arms.0.teachers"] == "null"
        assert flat["network.class"] == "kd_uncertainty.networks.MLP"
        assert flat["seed"] == "9"
        assert flatten_parameters({"device": "auto", "on": True}, "execution") == {
            "execution.device": "auto",
            "execution.on": "true",
        }
        assert flatten_parameters(3) == {"value": "3"}
        assert len(flatten_parameters({"x": "y" * 9000})["x"]) == 6000

    def test_numbers_of_a_nested_value(self) -> None:
        value = {"a": 1, "b": {"c": [0.5, float("nan")], "d": "text"}, "e": [{"teacher": "t", "nll": 2}], "f": None}
        assert numeric_leaves(value) == {"a": 1.0, "b/c/0": 0.5, "e/t/nll": 2.0}

    def test_errors_are_one_line(self) -> None:
        assert one_line(ValueError("a\n  b")) == "ValueError: a b"


class TestHeadline:
    def test_intervals_give_their_estimate_on_the_summarys_split(self) -> None:
        metrics = {"test": {"nll": {"estimate": 9.0}}, "validation": {"nll": {"estimate": 0.5, "lower": 0.0}}}
        points = headline_metrics({"split": "validation", "choice": {"metrics": metrics}})
        assert points == [Point("chosen_students/nll", 0.5)]

    def test_missing_parts_are_left_out(self) -> None:
        assert headline_metrics({"teachers": [{"teacher": "t", "metrics": None}], "choice": 3, "n": 2}) != []
        assert headline_metrics({"teachers": None, "title": "x"}) == []

    def test_unknown_summary_gives_its_first_numbers(self) -> None:
        points = headline_metrics({f"n{i:03d}": i for i in range(500)})
        assert [point.value for point in points] == list(range(MAX_FALLBACK))


class TestRecords:
    def test_tables_that_are_not_known_or_not_there_contribute_nothing(self) -> None:
        record = record_outputs(["predictions", "teacher_curves"], lambda name: None)
        assert record.metrics == []
        assert record.files == {}

    def test_students_without_a_plan_have_no_curves(self) -> None:
        curves = pd.DataFrame({"student": [0], "epoch": [1], "train_loss": [1.0]})
        assert record_outputs(["student_curves"], {"student_curves": curves}.get).metrics == []

    def test_what_is_not_finite_is_no_metric(self) -> None:
        table = pd.DataFrame({"teacher": ["a", "b"], "split": "test", "metric": "nll", "estimate": [np.inf, 1.0]})
        record = record_outputs(["teacher_metrics"], {"teacher_metrics": table}.get)
        assert record.metrics == [Point("b/test_nll", 1.0)]
        assert len(record.files["tables/teacher_metrics.csv"].splitlines()) == 3

    def test_task_is_counted_and_kept(self) -> None:
        task = {"num_classes": 3, "num_examples": {"train": 6}, "seed": 0, "num_flipped": 0}
        record = record_outputs(["task"], {"task": task}.get)
        assert {p.key: p.value for p in record.metrics} == {"num_classes": 3, "num_examples/train": 6, "num_flipped": 0}
        assert '"seed": 0' in record.files["task.json"]


class TestProgress:
    def test_stages_are_the_second_part_of_the_namespace(self) -> None:
        stages = stages_of(study_pipeline() + Pipeline([node(len, "x", "y", name="loose")]))
        assert set(stages) == {f"classification.{s}" for s in ("ingestion", "teachers", "students", "propagation")} | {
            "classification.reporting"
        }
        students = stages["classification.students"]
        assert students.parameters == ["params:classification.students"]
        assert students.inputs == ["classification.examples"]
        assert set(students.outputs) == {"classification.plan", "classification.student_curves"}
        assert stage_key(node(len, "x", "y", name="n", namespace="study.stage.part")) == "study.stage"
        assert stage_key(node(len, "x", "y", name="n", namespace="study")) is None

    def test_a_stage_is_complete_when_every_output_is_saved(self) -> None:
        stage = stages_of(study_pipeline())["classification.ingestion"]
        (split,) = stage.nodes
        assert not stage.started
        stage.begin(split)
        stage.save(split, "classification.examples")
        assert stage.started
        assert not stage.complete
        stage.save(split, "classification.task")
        assert stage.complete
        assert 0 <= stage.seconds < 1
        assert stage.running == {}


class TestLineage:
    table = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", None]})

    def test_digest_sees_every_cell_and_column(self) -> None:
        same = table_digest(self.table.copy())
        assert table_digest(self.table) == same
        others = [self.table.rename(columns={"a": "c"}), self.table.astype({"a": "float32"}), self.table[::-1]]
        others.append(self.table.assign(a=[1.0, 2.0000001]))
        large = pd.DataFrame({"a": np.zeros(20_000)})
        assert len({same, *map(table_digest, others)}) == 5
        assert table_digest(large) != table_digest(large.assign(a=np.eye(1, 20_000, 15_000)[0]))

    def test_lists_in_cells(self) -> None:
        lists = pd.DataFrame({"inputs": [[1.0], [2.0]]})
        assert table_digest(lists) != table_digest(pd.DataFrame({"inputs": [[1.0], [3.0]]}))

    def test_source_has_schema_and_size(self) -> None:
        dataset = source_dataset("s.source", self.table, "data/x.csv")
        assert '{"name": "a", "type": "double", "required": true}' in dataset["schema"]
        assert '{"name": "b", "type": "string", "required": false}' in dataset["schema"]
        assert dataset["profile"] == '{"num_rows": 2, "num_elements": 4}'
        assert len(dataset["digest"]) <= 36  # MLflow's limit

    def test_artefact_is_known_by_the_stage_that_wrote_it(self) -> None:
        assert artefact_dataset("n", "p", "abc")["digest"] == "abc"
        assert artefact_dataset("n", "p", None)["digest"] != artefact_dataset("n", "q", None)["digest"]


class TestStore:
    def test_default_lies_in_the_project(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        monkeypatch.chdir("/")
        store = resolve_store(TrackingOptions(), tmp_path)
        assert store.uri == f"sqlite:///{tmp_path}/data/mlflow.db"
        assert store.artifacts == f"file://{tmp_path}/data/mlartifacts"
        assert store.database == tmp_path / "data" / "mlflow.db"

    def test_environment_wins_over_the_default_only(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
        assert resolve_store(TrackingOptions(), tmp_path).uri == "http://server:5000"
        assert resolve_store(TrackingOptions(), tmp_path).artifacts is None
        own = resolve_store(TrackingOptions(uri="sqlite:///own/x.db"), tmp_path)
        assert own.uri == f"sqlite:///{tmp_path}/own/x.db"
        assert own.artifacts == f"file://{tmp_path}/own/mlartifacts"
        assert resolve_store(TrackingOptions(uri="sqlite:////abs/x.db"), tmp_path).uri == "sqlite:////abs/x.db"

    def test_database_servers_keep_artefacts_in_the_project(self, tmp_path: Path) -> None:
        store = resolve_store(TrackingOptions(uri="postgresql+psycopg2://h/db"), tmp_path)
        assert store.artifacts == f"file://{tmp_path}/data/mlartifacts"
        assert store.database is None

    def test_limits_are_restored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
        with bounded_requests(retries=0, timeout=3):
            assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "3"
            assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
        assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


class TestOptions:
    def loader(self, folder: Path, **configuration: object) -> OmegaConfigLoader:
        for env in ("base", "local"):
            (folder / env).mkdir()
        return OmegaConfigLoader(str(folder), base_env="base", default_run_env="local", **configuration)

    def test_environment_overrides_key_by_key(self, tmp_path: Path) -> None:
        loader = self.loader(tmp_path, config_patterns={"tracking": ["tracking*"]})
        (tmp_path / "base" / "tracking.yml").write_text("experiment: mine\nregister_model: false\n")
        (tmp_path / "local" / "tracking.yml").write_text("register_model: true\n")
        assert load_options(loader) == TrackingOptions(experiment="mine", register_model=True)

    def test_no_file_or_no_pattern_means_the_defaults(self, tmp_path: Path) -> None:
        loader = self.loader(tmp_path, config_patterns={"tracking": ["tracking*"]})
        assert load_options(loader) == TrackingOptions()
        assert load_options(OmegaConfigLoader(str(tmp_path), base_env="base")) == TrackingOptions()

    def test_mistake_names_the_key_and_the_known_ones(self, tmp_path: Path) -> None:
        loader = self.loader(tmp_path, config_patterns={"tracking": ["tracking*"]})
        (tmp_path / "base" / "tracking.yml").write_text("url: http://x\n")
        with pytest.raises(UserError, match=r"url: .*the keys are enabled, uri, experiment"):
            load_options(loader)


class TestRunTags:
    def test_name_is_the_pipelines_or_the_studies(self) -> None:
        stages = stages_of(study_pipeline())
        assert run_name({"pipeline_names": None, "env": "local"}, stages) == "classification"
        assert run_name({"pipeline_names": ["a", "b"], "env": "paper"}, stages) == "a+b [paper]"
        assert run_name({}, {}) == "default"

    def test_filters_and_commit(self, tmp_path: Path) -> None:
        git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org"]
        tags = run_tags({"namespaces": ["a.b"], "runner": "<k.SequentialRunner object at 0x1>"}, tmp_path)
        assert tags["namespaces"] == "a.b"
        assert tags["runner"] == "SequentialRunner"
        assert "mlflow.source.git.commit" not in tags
        subprocess.run([*git, "init", "-q"], check=True)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
        assert len(run_tags({}, tmp_path)["mlflow.source.git.commit"]) == 40

    def test_process_is_alive_until_it_is_not(self) -> None:
        assert is_alive(this_process())
        assert not is_alive("host:1@12.00")
        assert not is_alive("")


class TestModel:
    def test_digest_sees_values_names_and_shapes(self) -> None:
        weights = {"a": torch.zeros(2, 3), "b": torch.ones(1)}
        others = [{"a": torch.zeros(3, 2), "b": torch.ones(1)}, {"a": torch.zeros(2, 3), "c": torch.ones(1)}]
        others.append({"a": torch.zeros(2, 3), "b": torch.ones(1) + 1e-7})
        assert parameters_digest(dict(reversed(weights.items()))) == parameters_digest(weights)
        assert len({parameters_digest(w) for w in [weights, *others]}) == 4

    def test_student_is_built_as_it_was_trained_and_random_state_is_left_alone(self) -> None:
        best = best_student()
        state = torch.get_rng_state()
        network = build_student(best)
        assert torch.equal(torch.get_rng_state(), state)
        assert not network.training
        assert all(torch.equal(value, best["parameters"][name]) for name, value in network.state_dict().items())


class TestSampler:
    def test_samples_lie_in_the_intervals_and_the_thread_ends(self) -> None:
        sampler = SystemSampler(interval=0.01)
        began = time.time()
        sampler.start()
        time.sleep(0.3)
        sampler.stop()
        samples = sampler.within([(began, time.time())])
        assert len(samples) >= 3
        assert sampler.within([(0, began)]) == []
        use = samples[-1].use
        assert 0 <= use["system/cpu_utilization_percentage"] <= 100
        assert 10 < use["system/process_memory_usage_megabytes"] < use["system/system_memory_usage_megabytes"] * 10
        assert "kd-uncertainty-system-metrics" not in {thread.name for thread in threading.enumerate()}


def test_mlflow_is_imported_only_when_a_run_is_tracked() -> None:
    code = "import sys, kd_uncertainty.hooks.tracking as t; t.TrackingHooks(); sys.exit('mlflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_sqlite_probe_leaves_no_lock(tmp_path: Path) -> None:
    from kd_uncertainty.hooks.tracking.store import _probe

    store = resolve_store(TrackingOptions(uri="sqlite:///x/y.db"), tmp_path)
    _probe(store, 1)
    connection = sqlite3.connect(tmp_path / "x" / "y.db", timeout=0)
    connection.execute("CREATE TABLE t (a)")
    connection.close()


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")
def test_a_new_sqlite_store_is_made_without_waiting_for_the_disk_and_used_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.store.tracking import sqlalchemy_store

    from kd_uncertainty.hooks.tracking.store import open_store

    def synchronous(store: Any) -> int:
        with store.engine.connect() as connection:
            return int(connection.exec_driver_sql("PRAGMA synchronous").scalar())

    made = []

    class Watched(sqlalchemy_store.SqlAlchemyStore):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            made.append(synchronous(self))

    monkeypatch.setattr(sqlalchemy_store, "SqlAlchemyStore", Watched)
    options = TrackingOptions()
    for _ in range(2):
        client, experiment_id = open_store(resolve_store(options, tmp_path), options)
        assert made == [0, 2]  # off while it is made, then full; a store that is there is not made again
        assert client.get_experiment(experiment_id).name == options.experiment


def test_a_number_of_responses_that_is_not_known_is_no_metric() -> None:
    """Where no number is enough: NA as it is saved, and None as some readers give it."""
    names = {"model": "linear", "teacher": "t", "target": "posterior", "weighting": "average", "mixing": 1.0}
    table = pd.DataFrame([{**names, "response_variance": 2.0, "floor": 0.0, "slope": -1.0}])
    for unknown in (pd.NA, None):
        budget = table.assign(recommended_num_responses=pd.array([unknown], dtype="Int64"))
        record = record_outputs(["response_budget"], {"response_budget": budget}.get)
        found = {point.key: point.value for point in record.metrics}
        assert found["budget_response_variance/linear.posterior.t"] == 2.0
        assert not any("recommended" in key for key in found)


def test_arms_of_numbers_are_named_by_model_and_noise() -> None:
    arm = {"model": "network", "teacher": "ensemble", "target": "noise", "noise": 0.5, "num_responses": 4}
    assert arm_name(arm) == "network.noise.s0.5.ensemble.k04"
    assert arm_name(arm | {"target": "ground_truth", "noise": 0.0, "teacher": "none"}) == "network.ground_truth"


def test_curves_of_numbers_are_step_metrics() -> None:
    curves = pd.DataFrame({"teacher": "t", "member": 0, "epoch": [1, 2], "train_loss": [3.0, 2.0]})
    record = record_outputs(["teacher_curves"], {"teacher_curves": curves.assign(validation_mse=[5.0, 4.0])}.get)
    assert [(p.key, p.value, p.step) for p in record.metrics if "mse" in p.key] == [
        ("t/validation_mse", 5.0, 1),
        ("t/validation_mse", 4.0, 2),
    ]
