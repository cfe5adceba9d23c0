"""A study run by RayRunner, its students trained as tasks of Ray: the files of a sequential run, bit for bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import yaml

from kd_uncertainty.artefacts import sha256_of
from kd_uncertainty.runners import RayRunner

from ..project import ROOT, Project


def digests(project: Project) -> dict[str, str]:
    return {str(path.relative_to(project.data)): sha256_of(path) for path in project.files()}


def small(folder) -> Project:
    """Few students in several shards."""
    project = Project(folder)
    path = project.conf / "test/parameters/classification.yml"
    study = yaml.safe_load(path.read_text())
    study["classification"]["students"] |= {"arms": [{"target": "label", "num_responses": [1, 2]}], "shard_size": 8}
    path.write_text(yaml.safe_dump(study))
    return project


STAGES = [f"classification.{stage}" for stage in ("ingestion", "teachers", "responses", "students")]


def test_the_stages_up_to_the_students(ray, tmp_path):
    here, there = small(tmp_path / "here"), small(tmp_path / "there")
    here.run(namespaces=STAGES)
    there.run(namespaces=STAGES, params={"execution": {"engine": "ray"}}, runner=RayRunner())
    assert len(list(here.data.rglob("shard-*.safetensors"))) == 9
    assert digests(here) == digests(there)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["ray", "local"])
def test_the_whole_study(ray, tmp_path, engine):
    here, there = Project(tmp_path / "here"), Project(tmp_path / "there")
    here.run("classification")
    there.run("classification", params={"execution": {"engine": engine}}, runner=RayRunner())
    assert len(digests(here)) > 80
    assert digests(here) == digests(there)


@pytest.mark.slow
def test_a_run_whose_workers_are_killed_ends_with_the_same_files(tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed: make ray")
    here, there = small(tmp_path / "here"), small(tmp_path / "there")
    for project in (here, there):
        path = project.conf / "test/parameters/classification.yml"
        study = yaml.safe_load(path.read_text())
        study["classification"]["students"]["training"] = {"epochs": 150}
        path.write_text(yaml.safe_dump(study))
    here.run(namespaces=STAGES)
    command = [sys.executable, "-m", "kedro", "run", "--env", "test", "--conf-source", str(there.conf)]
    command += ["--runner", "kd_uncertainty.runners.RayRunner", "--params", "execution.engine=ray"]
    run = subprocess.Popen([*command, "--namespaces", ",".join(STAGES)], cwd=ROOT, start_new_session=True)
    victims, deadline = list(VICTIMS), time.monotonic() + 240
    try:
        while run.poll() is None and time.monotonic() < deadline:
            if victims and list(there.data.rglob("shard-*.safetensors")) and killed(run.pid, victims[0]):
                victims.pop(0)
            time.sleep(0.05)
        assert run.poll() == 0
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
    assert not victims, "workers must have been killed in the middle"
    assert digests(here) == digests(there)


VICTIMS = (
    "ray::shard: trained students",
    "ray::classification.students.train_students",
    "ray::shard: trained students",
)
"""Ray names workers by what they do: a shard, the node that waits for shards and writes them, another shard."""


def killed(run: int, name: str) -> bool:
    """Kill a worker of a run that does what the name says, if there is one now."""
    for worker in psutil.Process(run).children(recursive=True):
        try:
            if worker.cmdline()[:1] == [name]:
                worker.send_signal(signal.SIGKILL)
                return True
        except psutil.Error:
            pass
    return False
