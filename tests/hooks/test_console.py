from pathlib import Path
from types import SimpleNamespace

import pytest

from kd_uncertainty.hooks import console
from kd_uncertainty.hooks.console import ConsoleHooks
from kd_uncertainty.hooks.tracking.store import Store


def test_seconds_add_up_by_stage_in_the_order_in_which_stages_end(monkeypatch):
    hooks, clock = ConsoleHooks(), iter([0.0, 1.0, 1.0, 3.0, 3.0, 7.0, 7.0, 7.5])
    monkeypatch.setattr(console, "perf_counter", lambda: next(clock))
    hooks.before_pipeline_run()
    for name in ("s.propagation.teachers", "s.students.train", "s.propagation.rest", "other.students.train"):
        hooks.before_node_run(SimpleNamespace(name=name))
        hooks.after_dataset_saved(SimpleNamespace(name=name))
    assert hooks._stages("s") == "students 2.0, propagation 5.0"


def test_a_later_run_forgets_the_times_of_an_earlier_one():
    hooks = ConsoleHooks()
    hooks.before_node_run(SimpleNamespace(name="s.students.train"))
    hooks.after_dataset_saved(SimpleNamespace(name="s.students.train"))
    hooks.before_pipeline_run()
    assert hooks._stages("s") == ""


@pytest.mark.parametrize("outputs", [set(), {"classification.examples"}])
def test_a_run_without_a_summary_prints_nothing(outputs, capsys):
    ConsoleHooks().after_pipeline_run(SimpleNamespace(all_outputs=lambda: outputs), catalog=None)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("store", "told"),
    [
        (None, "off"),
        (Store("sqlite:////project/data/mlflow.db", None), "data/mlflow.db (make mlflow, then http://127.0.0.1:5000)"),
        (
            Store("sqlite:////else/runs.db", None),
            "/else/runs.db (mlflow server --workers 1 --backend-store-uri ",
        ),
        (Store("https://tracking.example.org", None), "https://tracking.example.org"),
    ],
)
def test_the_last_lines_say_where_the_runs_are(store, told):
    hooks = ConsoleHooks()
    hooks._project, hooks._store = Path("/project"), store
    assert hooks._tracked().startswith(told)
