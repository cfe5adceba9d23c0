"""Shards as tasks of Ray: the same shards as here, each once, whatever happens to workers."""

from __future__ import annotations

import time
from functools import partial

import pytest
import torch
from tqdm import tqdm

from kd_uncertainty.cluster import Resources, ShardCluster
from kd_uncertainty.errors import UserError
from kd_uncertainty.population import workers
from kd_uncertainty.population.processes import Counter, run_shards
from kd_uncertainty.population.shards import ShardStore

from . import work

CLUSTER = ShardCluster(None, Resources(), "cpu")


def run(compute, wanted, cluster=CLUSTER, counter=None):
    counter = counter or Counter(tqdm(disable=True))
    return cluster.run_shards(compute, wanted, counter, doing="squared", mend="the squares")


def test_shards_are_those_of_this_process_and_their_steps_are_counted(ray, tmp_path):
    compute = partial(work.squares, tmp_path, -1, 0)
    counter = Counter(tqdm(disable=True))
    ours = dict(run(compute, [4, 0, 2], counter=counter))
    theirs = dict(run_shards(compute, [4, 0, 2], 1, Counter(tqdm(disable=True)), doing="", mend=""))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[index][name], theirs[index][name]) for index in theirs for name in theirs[index])
    assert counter.done == 9


@pytest.mark.parametrize("workers", [1, "auto"])
def test_a_shard_whose_worker_is_killed_is_computed_again_and_nothing_is_lost_or_doubled(ray, tmp_path, workers):
    (tmp_path / "attempts").mkdir()
    compute, store = partial(work.squares, tmp_path / "attempts", 1, 1), ShardStore(tmp_path / "shards", "x", 4)
    written = []
    counter = Counter(tqdm(disable=True))
    for index, tensors in run(compute, store.missing(), ShardCluster(None, Resources(), "cpu", workers), counter):
        store.write(index, tensors)
        written.append(index)
    assert sorted(written) == [0, 1, 2, 3]
    assert len(list((tmp_path / "attempts").iterdir())) == 2, "shard 1 was killed once"
    assert counter.done == 12
    assert store.complete()
    assert torch.equal(torch.cat([shard["values"] for shard in store]), torch.arange(12.0).square())


@pytest.mark.slow
def test_a_shard_that_kills_every_worker_ends_the_run_in_one_sentence(ray, tmp_path):
    with pytest.raises(UserError, match=r"died 4 times while it squared, .* lower the squares and run again"):
        list(run(partial(work.squares, tmp_path, 0, 99), [0]))
    assert len(list(tmp_path.iterdir())) == 4


def test_what_a_shard_complains_of_is_said_as_it_was(ray):
    with pytest.raises(UserError) as error:
        list(run(work.refuse, [7]))
    assert str(error.value) == "shard 7 cannot be computed; mend it"


def test_shards_that_nobody_waits_for_are_ended(ray, tmp_path):
    shards = run(partial(work.wait_for_ever, tmp_path), [0, 1, 2])
    assert next(shards)[0] == 0
    shards.close()
    deadline = time.monotonic() + 20
    while ray.available_resources().get("CPU") != 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ray.available_resources()["CPU"] == 2


def test_a_machine_that_rounds_otherwise_is_refused():
    """Its students would have other last bits under the same identity."""
    same = partial(workers._train_alike, work.refuse, "loop", workers._arithmetic("loop"))
    with pytest.raises(UserError, match="shard 3 cannot be computed"):
        same(3, lambda steps: None)
    other = partial(workers._train_alike, work.refuse, "native", "torch 2.0.0, AVX2")
    with pytest.raises(UserError, match=r"computes with torch .* would differ; use machines with equal processors"):
        other(3, lambda steps: None)
