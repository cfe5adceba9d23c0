"""Whole runs, tracked: the run tree, what it holds, and what happens when something goes wrong."""

from __future__ import annotations

import logging
import os
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from kedro.runner import ThreadRunner
from mlflow import MlflowClient

from kd_uncertainty.errors import UserError
from kd_uncertainty.hooks.tracking import TrackingHooks
from kd_uncertainty.hooks.tracking.model import build_student
from kd_uncertainty.hooks.tracking.runs import RunTree
from kd_uncertainty.hooks.tracking.writer import this_process

from .tracking_study import ARMS, COMPONENTS, FINGERPRINTS, best_student, run_study, study_pipeline

pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]
STAGES = ["ingestion", "teachers", "students", "propagation", "reporting"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


class Tracked:
    """A project whose runs go to an experiment of their own."""

    def __init__(self, project: Path, store: str, experiment: str) -> None:
        self.project, self.client = project, MlflowClient(store)
        self.options: dict[str, Any] = {"uri": store, "experiment": experiment, "system_metrics": False}
        self.options |= {"model_name": f"{experiment}-student"}

    def run(self, tracking: dict[str, Any] | None = None, **arguments: Any) -> None:
        run_study(self.project, self.options | (tracking or {}), **arguments)

    def runs(self) -> list[Any]:
        """All runs, oldest first."""
        experiment = self.client.get_experiment_by_name(self.options["experiment"])
        runs = self.client.search_runs([experiment.experiment_id], max_results=500) if experiment else []
        return sorted(runs, key=lambda run: run.info.start_time)

    def parents(self) -> list[Any]:
        return [run for run in self.runs() if "mlflow.parentRunId" not in run.data.tags]

    def stages(self, parent: Any = None) -> dict[str, Any]:
        """The newest (or the given) parent's stages by name."""
        parent = parent or self.parents()[-1]
        children = [r for r in self.runs() if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
        return {run.data.tags["stage"]: run for run in children}

    def curve(self, run: Any, key: str) -> dict[int, float]:
        """The metric's value at each step."""
        history = self.client.get_metric_history(run.info.run_id, key)
        assert len({metric.step for metric in history}) == len(history)
        return {metric.step: metric.value for metric in history}

    def files(self, run: Any, path: str | None = None) -> list[str]:
        return [file.path for file in self.client.list_artifacts(run.info.run_id, path)]

    def versions(self) -> list[Any]:
        return list(self.client.search_model_versions(f"name = '{self.options['model_name']}'"))


@pytest.fixture
def tracked(tmp_path: Path, store: str, request: pytest.FixtureRequest) -> Tracked:
    return Tracked(tmp_path, store, re.sub(r"\W+", "-", request.node.name))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, store: str) -> Tracked:
    """One run from start to end; read only."""
    tracked = Tracked(tmp_path_factory.mktemp("project"), store, "finished")
    tracked.run(tracking={"system_metrics": True}, pipeline_names=["classification"], env="test", tags=["fast"])
    return tracked


@pytest.fixture
def global_store(store: str) -> Iterator[None]:
    """What a user does before loading a model by name."""
    mlflow.set_tracking_uri(store)
    yield
    mlflow.set_tracking_uri(None)  # and not to what it was: MLflow would leave that in the environment


class TestFinishedRun:
    def test_one_parent_and_one_nested_run_for_each_stage(self, finished: Tracked) -> None:
        (parent,) = finished.parents()
        assert set(finished.stages()) == set(STAGES)
        assert len(finished.runs()) == 1 + len(STAGES)
        assert {run.info.status for run in finished.runs()} == {"FINISHED"}
        assert parent.info.run_name == "classification [test]"
        assert {run.info.run_name for run in finished.stages().values()} == set(STAGES)

    def test_parent_says_what_was_asked_for(self, finished: Tracked) -> None:
        tags = finished.parents()[0].data.tags
        assert tags["pipeline"] == "classification"
        assert tags["env"] == "test"
        assert tags["tags"] == "fast"
        assert tags["kedro_version"]
        assert tags["command"] == tags["mlflow.source.name"] != ""
        assert "namespaces" not in tags
        assert "only_missing_outputs" not in tags

    def test_stages_carry_fingerprint_device_and_seconds(self, finished: Tracked) -> None:
        stages = finished.stages()
        assert {s: r.data.tags.get("fingerprint") for s, r in stages.items()} == {
            stage: FINGERPRINTS.get(f"classification.{stage}") for stage in STAGES
        }
        assert {run.data.tags["device"] for run in stages.values()} == {"cpu"}
        assert all(0 < run.data.metrics["seconds"] < 60 for run in stages.values())
        assert not any("reused" in run.data.tags or "partial" in run.data.tags for run in stages.values())

    def test_parameters_are_flattened(self, finished: Tracked) -> None:
        students = finished.stages()["students"].data.params
        assert students["arms.0.target"] == "label"
        assert students["arms.0.num_responses"] == "[1, 4]"
        assert students["arms.1.target"] == "exact"
        assert students["network.class"] == "kd_uncertainty.networks.MLP"
        assert students["response_seeds"] == "8"
        assert finished.stages()["propagation"].data.params["confidence"] == "0.95"
        assert finished.stages()["teachers"].data.params == {}

    def test_teacher_curves_are_means_over_members_by_epoch(self, finished: Tracked) -> None:
        run = finished.stages()["teachers"]
        assert finished.curve(run, "ensemble/train_loss") == pytest.approx({1: 1.5, 2: 1.0, 3: 0.5 + 1 / 3})
        assert finished.curve(run, "ensemble/validation_nll") == pytest.approx({1: 2.5, 2: 1.5, 3: 0.5 + 2 / 3})

    def test_student_curves_are_means_over_each_arms_students(self, finished: Tracked) -> None:
        run = finished.stages()["students"]
        for arm, name in enumerate(["one_hot", "label.ensemble.k01", "label.ensemble.k04", "exact.ensemble"]):
            mean_student = 2 * arm + 0.5  # students 2 arm and 2 arm + 1
            expected = {1: mean_student + 10.0, 2: mean_student + 5.0}
            assert finished.curve(run, f"train_loss/{name}") == pytest.approx(expected)
        assert run.data.metrics["num_students"] == 2 * len(ARMS)
        assert run.data.metrics["num_arms"] == len(ARMS)

    def test_propagation_draws_curves_over_the_number_of_responses(self, finished: Tracked) -> None:
        run = finished.stages()["propagation"]
        assert finished.curve(run, "variance_response/label.ensemble") == {1: 0.02, 4: 0.03}
        assert finished.curve(run, "variance_response/exact.ensemble") == {0: 0.04}
        assert finished.curve(run, "students_accuracy/label.ensemble") == {1: 1.5, 4: 2.5}  # the test split's
        assert "students_agreement/one_hot" not in run.data.metrics  # not a number
        assert run.data.metrics["ensemble/test_nll"] == 0.25
        assert run.data.metrics["budget_recommended_num_responses/label.ensemble"] == 8

    def test_tables_are_artefacts(self, finished: Tracked, tmp_path: Path) -> None:
        run = finished.stages()["propagation"]
        names = ["arm_metrics", "response_budget", "teacher_metrics", "variance_components"]
        assert finished.files(run, "tables") == [f"tables/{name}.csv" for name in names]
        path = finished.client.download_artifacts(run.info.run_id, "tables/variance_components.csv", str(tmp_path))
        table = pd.read_csv(path)
        assert len(table) == len(ARMS) * len(COMPONENTS)
        assert set(table["component"]) == set(COMPONENTS)

    def test_parent_shows_headline_summary_and_report(self, finished: Tracked) -> None:
        (parent,) = finished.parents()
        assert parent.data.metrics == {
            "teacher_accuracy/ensemble": 0.75,
            "variance_inter/ensemble": 0.125,
            "best_student/nll": 0.5,
            "recommended_num_responses/label.ensemble": 8.0,
        }
        assert finished.files(parent) == ["report.html", "summary.json"]
        assert finished.files(finished.stages()["reporting"]) == ["report.html", "summary.json"]

    def test_lineage_leads_back_to_the_source(self, finished: Tracked) -> None:
        stages = finished.stages()
        (source,) = stages["ingestion"].inputs.dataset_inputs
        assert source.dataset.name == "classification.source"
        assert "source.csv" in source.dataset.source
        assert '"num_rows": 8' in source.dataset.profile
        assert [tag.value for tag in source.tags] == ["source"]
        (parents,) = finished.parents()[0].inputs.dataset_inputs
        assert parents.dataset.digest == source.dataset.digest
        (examples,) = stages["teachers"].inputs.dataset_inputs
        assert (examples.dataset.name, examples.dataset.digest) == ("classification.examples", "fp-ingestion")

    def test_best_student_loads_back_with_the_same_predictions(self, finished: Tracked, global_store: None) -> None:
        (version,) = finished.versions()
        best = best_student()
        assert version.tags["student"] == "3"
        assert version.tags["fingerprint"] == "fp-propagation"
        assert version.run_id == finished.stages()["propagation"].info.run_id
        inputs = torch.randn(17, 4, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            expected = build_student(best)(inputs)
            loaded = mlflow.pytorch.load_model(f"models:/{version.name}/{version.version}")(inputs)
        assert torch.equal(loaded, expected)
        pyfunc = mlflow.pyfunc.load_model(f"models:/{version.name}/{version.version}")
        assert np.array_equal(pyfunc.predict(inputs.numpy()), expected.numpy())
        assert pyfunc.metadata.signature.inputs.inputs[0].shape == (-1, 4)
        assert pyfunc.metadata.signature.outputs.inputs[0].shape == (-1, 3)
        example = pyfunc.input_example
        assert np.array_equal(np.asarray(example, dtype=np.float32), best["input_example"])

    def test_model_is_an_output_of_its_stage(self, finished: Tracked) -> None:
        run = finished.stages()["propagation"]
        (output,) = run.outputs.model_outputs
        logged = finished.client.get_logged_model(output.model_id)
        assert logged.status == "READY"
        assert logged.source_run_id == run.info.run_id
        assert [(m.key, m.value) for m in logged.metrics] == [("best_student/validation_nll", 0.125)]
        assert run.data.tags["registered_model"] == "finished-student version 1"

    def test_nothing_global_is_left(self, finished: Tracked) -> None:
        assert mlflow.active_run() is None
        assert "kd-uncertainty-system-metrics" not in {thread.name for thread in threading.enumerate()}
        assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


class TestReuse:
    def test_stages_that_did_not_run_are_logged_from_their_tables(self, tracked: Tracked) -> None:
        run_study(tracked.project, {"enabled": False})  # an earlier run that nobody tracked
        tracked.run(only_missing_outputs=True)
        stages = tracked.stages()
        assert set(stages) == set(STAGES)
        assert {run.data.tags.get("reused") for run in stages.values()} == {"true"}
        assert {run.info.status for run in tracked.runs()} == {"FINISHED"}
        assert stages["students"].info.run_name == "students (reused)"
        assert stages["students"].data.tags["fingerprint"] == "fp-students"
        assert "device" not in stages["students"].data.tags
        assert "seconds" not in stages["students"].data.metrics
        assert tracked.curve(stages["teachers"], "ensemble/train_loss")[1] == 1.5
        assert tracked.parents()[0].data.metrics["teacher_accuracy/ensemble"] == 0.75
        assert len(tracked.versions()) == 1

    def test_registered_model_is_not_registered_again(self, tracked: Tracked) -> None:
        tracked.run()
        tracked.run(only_missing_outputs=True)
        assert [v.version for v in tracked.versions()] == [1]
        name = f"{tracked.options['model_name']} version 1"
        assert tracked.stages()["propagation"].data.tags["registered_model"] == name
        tracked.run()
        assert len(tracked.versions()) == 2  # it was trained again

    def test_stage_that_ran_in_part_says_so(self, tracked: Tracked) -> None:
        tracked.run()
        (tracked.project / "data" / "student_curves.parquet").unlink()
        tracked.run(only_missing_outputs=True)
        tags = {stage: run.data.tags for stage, run in tracked.stages().items()}
        assert tags["students"]["partial"] == "1 of 2 nodes ran, the others were reused"
        assert "reused" not in tags["students"]
        assert tags["teachers"]["reused"] == "true"

    def test_model_need_not_be_registered(self, tracked: Tracked) -> None:
        tracked.run(tracking={"register_model": False})
        assert tracked.versions() == []
        assert len(tracked.stages()["propagation"].outputs.model_outputs) == 1


class TestFailure:
    def test_failed_stage_and_parent_carry_the_error(self, tracked: Tracked) -> None:
        def fail(*_: Any) -> Any:
            raise ValueError("the plan\nis empty " + "x" * 9000)

        with pytest.raises(ValueError, match="the plan"):
            tracked.run(pipeline=study_pipeline(propagation=fail))
        (parent,) = tracked.parents()
        stages = tracked.stages()
        assert stages["propagation"].info.status == parent.info.status == "FAILED"
        assert stages["propagation"].data.tags["error"].startswith("ValueError: the plan is empty xxx")
        assert len(parent.data.tags["error"]) == 5000
        assert parent.data.tags["failed_stage"] == "classification.propagation"
        assert "classification.reporting" in parent.data.tags["not_reached"]
        assert stages["ingestion"].info.status == stages["teachers"].info.status == "FINISHED"
        assert stages["propagation"].data.params["confidence"] == "0.95"
        assert "reporting" not in stages

    def test_output_that_cannot_be_saved_fails_its_stage(self, tracked: Tracked) -> None:
        with pytest.raises(Exception, match="Failed while saving"):
            tracked.run(pipeline=study_pipeline(students=lambda _: object()))
        assert tracked.stages()["students"].info.status == "FAILED"
        assert tracked.parents()[0].data.tags["failed_stage"] == "classification.students"

    def test_thread_runner(self, tracked: Tracked) -> None:
        tracked.run(runner=ThreadRunner(max_workers=2))
        assert set(tracked.stages()) == set(STAGES)
        assert {run.info.status for run in tracked.runs()} == {"FINISHED"}

    def test_interrupted_run_is_closed_at_exit(self, tracked: Tracked, monkeypatch: pytest.MonkeyPatch) -> None:
        hooks: list[TrackingHooks] = []
        registered = "kd_uncertainty.hooks.tracking.hook.atexit.register"
        monkeypatch.setattr(registered, lambda at_exit: hooks.append(at_exit.__self__))

        def interrupt(*_: Any) -> Any:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            tracked.run(pipeline=study_pipeline(propagation=interrupt))
        assert tracked.parents()[0].info.status == "RUNNING"
        hooks[0]._at_exit()
        assert tracked.parents()[0].info.status == tracked.stages()["propagation"].info.status == "KILLED"
        assert tracked.stages()["teachers"].info.status == "FINISHED"

    def test_run_of_a_killed_process_is_closed_by_the_next(self, tracked: Tracked) -> None:
        tracked.run()
        experiment = tracked.parents()[0].info.experiment_id
        gone = this_process().rpartition("@")[0] + "@1.00"  # this id, another start: a process that is no more
        killed = tracked.client.create_run(experiment, 1, {"process": gone})
        child = tracked.client.create_run(experiment, 2, {"mlflow.parentRunId": killed.info.run_id})
        alive = tracked.client.create_run(experiment, 3, {"process": this_process()})
        tracked.run(only_missing_outputs=True)
        status = {run.info.run_id: run.info.status for run in tracked.runs()}
        assert [status[run.info.run_id] for run in (killed, child, alive)] == ["KILLED", "KILLED", "RUNNING"]


@pytest.fixture
def silent_server() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class TestUnreachable:
    def assert_untracked(self, project: Path, uri: str, caplog: pytest.LogCaptureFixture, *, within: float) -> str:
        """The study runs to its end within the time, with one warning, which is returned."""
        began = time.monotonic()
        with caplog.at_level(logging.WARNING, "kd_uncertainty"):
            run_study(project, {"uri": uri, "timeout_seconds": 1})
        assert time.monotonic() - began < within
        assert (project / "data" / "summary.json").exists()
        (warning,) = [record.getMessage() for record in caplog.records if record.name.startswith("kd_uncertainty")]
        assert "goes on untracked" in warning
        assert "kedro run --only-missing-outputs" in warning
        return warning

    def test_server_that_is_not_there(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        warning = self.assert_untracked(tmp_path, f"http://127.0.0.1:{unused_port()}", caplog, within=4)
        assert "Connection refused" in warning
        assert "start the server" in warning
        assert "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ

    def test_server_that_never_answers(
        self, tmp_path: Path, silent_server: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.assert_untracked(tmp_path, f"http://127.0.0.1:{silent_server}", caplog, within=5)

    def test_database_server_that_is_not_there(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        uri = f"postgresql://user:secret@127.0.0.1:{unused_port()}/mlflow"
        assert "secret" not in self.assert_untracked(tmp_path, uri, caplog, within=3)

    def test_file_that_is_no_database(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        (tmp_path / "broken.db").write_text("this is not a database, and long enough to be read as a header " * 20)
        warning = self.assert_untracked(tmp_path, "sqlite:///broken.db", caplog, within=3)
        assert "file is not a database" in warning

    def test_database_that_is_locked(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        connection = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        assert "locked" in self.assert_untracked(tmp_path, "sqlite:///locked.db", caplog, within=4)
        connection.close()

    def test_store_that_breaks_in_the_middle(
        self, tracked: Tracked, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        finish, calls = RunTree.finish, []

        def break_at_students(self: RunTree, stage: Any, **arguments: Any) -> None:
            calls.append(stage.name)
            if stage.name == "students":
                raise ConnectionError("the server went away")
            finish(self, stage, **arguments)

        monkeypatch.setattr(RunTree, "finish", break_at_students)
        with caplog.at_level(logging.WARNING, "kd_uncertainty"):
            tracked.run(tracking={"system_metrics": True})
        (warning,) = [record.getMessage() for record in caplog.records if record.name.startswith("kd_uncertainty")]
        assert "MLflow tracking stopped (ConnectionError: the server went away)" in warning
        assert calls[-1] == "students"  # nothing is tried afterwards
        assert (tracked.project / "data" / "summary.json").exists()
        assert "kd-uncertainty-system-metrics" not in {thread.name for thread in threading.enumerate()}
        monkeypatch.undo()
        tracked.run(only_missing_outputs=True)  # later, as the warning says
        assert set(tracked.stages()) == set(STAGES)

    def test_other_processes_stay_silent(self, tracked: Tracked, monkeypatch: pytest.MonkeyPatch) -> None:
        hooks = TrackingHooks()
        hooks._tree = SimpleNamespace()  # type: ignore[assignment]  # would raise on any use
        hooks._process = os.getpid() + 1  # as in a forked worker of ParallelRunner
        for node in study_pipeline().nodes:
            hooks.before_node_run(node=node)
            hooks.after_dataset_saved(dataset_name=node.outputs[0], node=node)
        hooks.after_pipeline_run()


class TestOptions:
    @pytest.mark.parametrize(
        ("section", "place"),
        [
            ({"experimnt": "x"}, "experimnt"),
            ({"timeout_seconds": 0}, "timeout_seconds"),
            ({"enabled": "perhaps"}, "enabled"),
            ({"uri": 5}, "uri"),
            ({"experiment": ""}, "experiment"),
        ],
    )
    def test_mistakes_are_named_before_anything_runs(self, tmp_path: Path, section: dict, place: str) -> None:
        with pytest.raises(UserError, match=rf"tracking\.yml: {place}: "):
            run_study(tmp_path, section)
        assert not (tmp_path / "data" / "examples.parquet").exists()

    def test_switched_off_touches_nothing(self, tmp_path: Path) -> None:
        run_study(tmp_path, {"enabled": False})
        assert not (tmp_path / "data" / "mlflow.db").exists()
        assert (tmp_path / "data" / "summary.json").exists()
