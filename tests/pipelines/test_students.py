import os

import pytest

from kd_uncertainty.options import ExecutionOptions
from kd_uncertainty.pipelines.students.nodes import num_workers


def test_workers_are_those_asked_for_or_one_a_core_on_any_system(monkeypatch):
    assert num_workers(ExecutionOptions(workers=5)) == 5
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 4}, raising=False)
    assert num_workers(ExecutionOptions()) == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert num_workers(ExecutionOptions()) == 7


@pytest.mark.parametrize("count", [None, 0])
def test_there_is_always_one_worker(monkeypatch, count):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert num_workers(ExecutionOptions()) == 1
