"""RayRunner on small pipelines: data, errors, deaths, and what no machine has."""

from __future__ import annotations

import pytest
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import CachedDataset, DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node

from kd_uncertainty.errors import UserError
from kd_uncertainty.runners import RayRunner

from . import work


def run(nodes, inputs, **execution):
    catalog = DataCatalog({name: MemoryDataset(value) for name, value in inputs.items()})
    if execution:
        catalog["parameters"] = MemoryDataset({"execution": execution})
    results = RayRunner().run(Pipeline(nodes), catalog, _create_hook_manager())
    return {name: dataset.load() for name, dataset in results.items()}


def test_data_in_memory_travels_between_nodes(ray):
    nodes = [
        node(work.double, "a", "b", name="double"),
        node(work.double, "b", "c", name="again"),
        node(work.add, ["b", "c"], "d", name="add"),
    ]
    assert run(nodes, {"a": 3}) == {"d": 18}


def test_a_node_whose_worker_is_killed_is_run_again(ray, tmp_path):
    nodes = [
        node(work.double, "a", "b", name="double"),
        node(work.add_in_the_end, ["a", "b", "folder"], "c", name="add"),
    ]
    assert run(nodes, {"a": 3, "folder": str(tmp_path)}) == {"c": 9}
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
def test_a_node_that_kills_every_worker_ends_the_run_in_one_sentence(ray):
    with pytest.raises(UserError, match="a worker process of the Ray cluster died 4 times while it ran node 'bad'"):
        run([node(work.always_die, "a", "b", name="bad")], {"a": 1})


def test_errors_of_nodes_are_their_own(ray):
    with pytest.raises(UserError) as told:
        run([node(work.complain, "a", "b", name="bad")], {"a": 1})
    assert str(told.value) == "1 cannot be used; take another"
    with pytest.raises(ZeroDivisionError) as error:
        run([node(work.divide_by_zero, "a", "b", name="bad")], {"a": 1})
    assert "divide_by_zero" in str(error.value.__cause__), "the place in the worker is on record"


@pytest.mark.parametrize(
    ("tags", "execution", "words"),
    [
        (["gpu"], {}, "node 'bad' asks for 1 CPU and 1 GPU on one machine, but no machine of the Ray cluster has"),
        (["gpus-0.5"], {}, "asks for 1 CPU and 0.5 GPUs"),
        (["cpus-64"], {}, "asks for 64 CPUs and 0 GPUs"),
        (["heavy"], {"resources": {"heavy": {"gpus": 2}}}, "asks for 1 CPU and 2 GPUs"),
    ],
)
def test_what_no_machine_has_is_refused_before_anything_runs(ray, tmp_path, tags, execution, words):
    nodes = [
        node(work.note, ["folder", "name"], "count", name="first"),
        node(work.double, "count", "b", name="bad", tags=tags),
    ]
    with pytest.raises(UserError, match=words):
        run(nodes, {"folder": tmp_path, "name": "ran"}, **execution)
    assert not list(tmp_path.iterdir())


def test_a_dataset_of_one_process_is_refused(ray):
    catalog = DataCatalog({"a": CachedDataset(MemoryDataset(1)), "b": MemoryDataset()})
    with pytest.raises(UserError, match="'a' \\(CachedDataset\\) keeps its data in one process"):
        RayRunner().run(Pipeline([node(work.double, "a", "b", name="n")]), catalog, _create_hook_manager())
