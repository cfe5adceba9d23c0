"""Runs as processes: one that is killed goes on where it was, and nodes may run in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from .project import ROOT, Project

TABLES = ("predictions", "student_metrics", "variance_components", "summary", "report")


def start(project: Project, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "kedro", "run", "--env", "test", "--conf-source", str(project.conf), *options]
    return subprocess.Popen(
        command, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def configure(folder: Path) -> Project:
    project = Project(folder)
    path = project.conf / "test/parameters/classification.yml"
    study = yaml.safe_load(path.read_text())
    study["classification"]["students"] |= {
        "arms": [{"target": "label", "num_responses": [1, 2]}],
        "training": {"epochs": 15},
        "shard_size": 8,
    }
    path.write_text(yaml.safe_dump(study))
    project.configure("test", "parameters/execution", {"execution": {"workers": 2, "progress": False}})
    return project


def shards(project: Project) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in project.data.rglob("shard-*.safetensors")}


def test_a_killed_run_goes_on_and_ends_bit_identical(tmp_path):
    project = configure(tmp_path / "killed")
    run = start(project)
    deadline = time.monotonic() + 120
    while len(shards(project)) < 2 and time.monotonic() < deadline and run.poll() is None:
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    survivors = {path: path.stat().st_mtime_ns for path in project.data.rglob("shard-*.safetensors")}
    assert 2 <= len(survivors) < 9, "the run must have been killed in the middle"
    assert not project.catalog().exists("classification.students")

    again = start(project, "--only-missing-outputs")
    assert again.wait(timeout=180) == 0
    kept = sum(path.stat().st_mtime_ns == changed for path, changed in survivors.items())
    assert kept >= len(survivors) - 2, "at most the shards that were being written may be done again"

    untouched = configure(tmp_path / "uninterrupted")
    untouched.run()
    assert shards(project) == shards(untouched)
    for table in TABLES:
        ours, theirs = (one.path(f"classification.{table}") for one in (project, untouched))
        assert ours.read_bytes() == theirs.read_bytes(), table


def test_nodes_can_run_in_forked_processes(tmp_path):
    """Kedro's ParallelRunner forks: a thread of torch's that the parent had started would block the children."""
    project = Project(tmp_path)
    run = start(
        project, "--runner", "ParallelRunner", "--namespaces", "classification.ingestion,classification.teachers"
    )
    try:
        assert run.wait(timeout=150) == 0
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
    assert project.catalog().exists("classification.teachers")
