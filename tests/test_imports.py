"""What a run imports, and when: half of the seconds that are not training are imports."""

from __future__ import annotations

import gc
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from kd_uncertainty import cli
from kd_uncertainty.imports import lasting_imports

from .project import ROOT

REPORT = """
import gc, json, sys
import kd_uncertainty.settings, kd_uncertainty.cli
print(json.dumps({"modules": list(sys.modules), "frozen": gc.get_freeze_count(), "enabled": gc.isenabled()}))
"""


@pytest.fixture(scope="module")
def start():
    done = subprocess.run([sys.executable, "-c", REPORT], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "module", ["mlflow", "sqlalchemy", "alembic", "torch._dynamo", "torch._inductor", "sympy", "plotly.express"]
)
def test_the_start_imports_nothing_that_only_some_runs_need(start, module):
    assert "kd_uncertainty.settings" in start["modules"]
    assert module not in start["modules"]


def test_the_collector_leaves_out_what_was_imported_and_works_again(start):
    assert start["frozen"] > 100_000
    assert start["enabled"]


@pytest.fixture
def frozen():
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("frozen")
def test_imports_are_frozen_and_nothing_is_frozen_without_one(tmp_path, monkeypatch):
    (tmp_path / "own_module_to_freeze.py").write_text("things = [[] for _ in range(1000)]")
    monkeypatch.syspath_prepend(tmp_path)
    gc.unfreeze()
    with lasting_imports():
        assert not gc.isenabled()
        garbage = []
        garbage.append(garbage)
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
    with lasting_imports():
        import own_module_to_freeze  # noqa: F401
    assert gc.get_freeze_count() > 1000


@pytest.mark.usefixtures("frozen")
def test_a_collector_that_was_off_stays_off_and_errors_pass():
    gc.disable()
    try:
        with pytest.raises(ImportError), lasting_imports():
            import no_such_module_at_all  # noqa: F401
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_run_ends_without_a_search_for_garbage(monkeypatch):
    at_exit = []
    monkeypatch.setattr(cli.atexit, "register", at_exit.append)
    bootstrap_project(ROOT)
    assert CliRunner().invoke(cli.run, ["--pipelines", "no_such_pipeline"]).exit_code == 1
    assert gc.freeze in at_exit
