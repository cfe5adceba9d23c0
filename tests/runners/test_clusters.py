"""Clusters of other kinds than that of the other tests: with a GPU (pretended), and one that runs already."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ..project import ROOT, Project

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _needs_ray():
    pytest.importorskip("ray", reason="Ray is not installed: make ray")


def pretended(folder: Path, cores: int, nodes: str):
    command = [sys.executable, "-m", "tests.runners.pretended", str(folder), str(cores), nodes]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=True)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("found ")]
    return json.loads(line.removeprefix("found "))


def test_two_halves_share_a_gpu_at_the_same_time(tmp_path):
    assert pretended(tmp_path, 2, "halves") == {"left": ["0", 2], "right": ["0", 2]}


def test_a_node_waits_for_its_shards_without_their_core_and_sees_no_gpu_that_it_does_not_occupy(tmp_path):
    """The one core is the node's, until it waits."""
    assert pretended(tmp_path, 1, "shards") == {"shards": ["", [0, 1, 2]]}


@pytest.fixture
def running_cluster(tmp_path):
    """``ray start --head`` in a process group of its own, with the tokens of this user."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [shutil.which("ray", path=str(Path(sys.executable).parent)) or "ray", "start", "--head", "--block"]
    command += [f"--port={port}", "--num-cpus=2", "--object-store-memory=200000000", "--include-dashboard=false"]
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}
    head = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        yield f"127.0.0.1:{port}", environment
    finally:
        os.killpg(head.pid, signal.SIGKILL)  # asked to end, it takes half a minute
        head.wait()


def test_a_cluster_that_runs_already_is_used_by_its_address(running_cluster, tmp_path):
    address, environment = running_cluster
    project = Project(tmp_path)
    command = [sys.executable, "-m", "kedro", "run", "--env", "test", "--conf-source", str(project.conf)]
    command += ["--runner", "kd_uncertainty.runners.RayRunner", "--namespaces", "classification.ingestion"]
    command += ["--params", f"execution.cluster={address}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert project.catalog().exists("classification.examples")
