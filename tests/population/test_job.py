"""A job: what its shards hold, what its identity covers, what it refuses."""

import dataclasses
import pickle

import numpy as np
import pytest
import torch

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import MLP
from kd_uncertainty.population import job as job_module
from kd_uncertainty.population.choice import BACKENDS
from kd_uncertainty.population.job import PopulationJob
from kd_uncertainty.population.options import TrainingOptions

from .worlds import CPU, small_job


def test_shards_cut_the_plan_without_gaps():
    job = small_job()
    assert job.num_shards == 4
    assert [list(job.rows(index)["student"]) for index in range(4)] == [
        list(range(8)), list(range(8, 16)), list(range(16, 24)), list(range(24, 28)),
    ]  # fmt: skip


def test_a_shard_holds_networks_that_give_its_logits():
    job = small_job()
    shard = job.train_shard(3, "vmap", CPU, 32)
    assert shard["students"].tolist() == [24, 25, 26, 27]
    assert shard["losses"].shape == (4, 3)
    assert shard["logits"].shape == (4, 110, 3)
    network = MLP(6, 3, hidden=(7,))
    for student in range(4):
        network.load_state_dict(
            {
                name.removeprefix("parameters/"): v[student]
                for name, v in shard.items()
                if name.startswith("parameters/")
            }
        )
        logits = network(torch.from_numpy(job.prediction_inputs)).detach()
        torch.testing.assert_close(shard["logits"][student], logits)


def test_identity_is_stable_and_covers_everything_that_decides_a_result():
    job = small_job()
    assert job.identity("vmap") == small_job().identity("vmap")
    changes = {
        "plan": job.plan.assign(mixing=0.3),
        "inputs": job.inputs + np.float32(1e-6) * (np.arange(6) == 0).astype(np.float32),
        "labels": (job.labels + (np.arange(90) == 5)) % 3,
        "soft_labels": {"dropout": job.soft_labels["dropout"][:, ::-1]},
        "prediction_inputs": job.prediction_inputs[:-1],
        "network_arguments": {"hidden": [8]},
        "training": job.training.model_copy(update={"epochs": 4}),
        "shard_size": 9,
    }
    identities = {dataclasses.replace(job, **{name: value}).identity("vmap") for name, value in changes.items()}
    identities.add(dataclasses.replace(job, soft_labels={"other": job.soft_labels["dropout"]}).identity("vmap"))
    assert len(identities | {job.identity("vmap")}) == len(changes) + 2
    assert set(changes) | {"num_classes", "network_class", "backend"} == {
        field.name for field in dataclasses.fields(PopulationJob)
    }


def test_identity_covers_the_backend_that_trains_and_not_the_one_that_was_asked_for(monkeypatch):
    """Backends and versions of torch differ in the last bits, so that shards of the one do not continue the other's."""
    job = small_job(backend="auto")
    before = job.identity("vmap")
    assert small_job(backend="vmap").identity("vmap") == before
    assert job.identity("loop") != before
    monkeypatch.setattr(torch, "__version__", "9.9")
    assert job.identity("vmap") != before


def test_identity_notices_an_edited_network_and_a_new_format(monkeypatch):
    job = small_job()
    before = job.identity("vmap")
    monkeypatch.setattr(job_module, "_source", lambda _: "class MLP: ...")
    edited = job.identity("vmap")
    monkeypatch.setattr(job_module, "FORMAT_VERSION", job_module.FORMAT_VERSION + 1)
    assert len({before, edited, job.identity("vmap")}) == 3


def test_a_chunk_holds_every_target_once():
    job = small_job()
    rows = list(job.plan.itertuples(index=False))
    cohort = job._cohort(rows)
    assert (len(cohort), len(cohort.targets)) == (28, 7)  # the labels, and 2 response seeds of 3 arms
    for row, table in zip(rows, cohort.tables.tolist(), strict=True):
        assert np.array_equal(cohort.targets[table], job.target_maker.target(row).astype(np.float32))


def test_checks_the_network_and_the_responses_before_any_work():
    small_job().check()
    with pytest.raises(UserError, match="cannot be built"):
        small_job(network_arguments={"hiden": [3]}).check()
    with pytest.raises(UserError, match="need 4 draws"):
        small_job(soft_labels={"dropout": np.zeros((90, 3, 3), np.float32)}).check()


WORLDS = "tests.population.worlds"


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        ("Picky", r"KeyError: 'an example\\nthat it does not like' \(.*worlds.py, line \d+\)"),
        ("OneWay", "element 0 of tensors does not require grad"),
    ],
)
def test_a_network_that_fails_in_training_is_named_with_its_reason(network, reason):
    job = small_job(network_class=f"{WORLDS}.{network}", network_arguments={})
    job.check()
    with pytest.raises(UserError, match=rf"^network class '{WORLDS}\.{network}': training fails: {reason}") as error:
        job.train_shard(0, "loop", CPU, 32)
    assert "\n" not in str(error.value)
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)


@pytest.mark.parametrize(("batch_size", "fails"), [(89, True), (1, True), (32, False), (90, False), (100, False)])
def test_batch_normalisation_of_a_last_batch_of_one_example_is_explained(batch_size, fails):
    training = TrainingOptions(epochs=1, batch_size=batch_size)
    job = small_job(network_class=f"{WORLDS}.Normalised", network_arguments={}, training=training)
    if not fails:
        assert job.train_shard(3, "loop", CPU, 32)["losses"].isfinite().all()
        return
    words = (
        rf"batches of {batch_size} leave a last batch of one of the 90 training examples: "
        r"choose another students\.training\.batch_size"
    )
    with pytest.raises(UserError, match=words):
        job.train_shard(3, "loop", CPU, 32)


def test_a_network_that_vmap_cannot_train_is_told_so_where_vmap_is_insisted_on(monkeypatch):
    job = small_job(network_class=f"{WORLDS}.DataDependent", network_arguments={})
    with pytest.raises(UserError, match=r"vmap on the CPU takes Linear layers.*; use auto or loop"):
        job.train_shard(3, "vmap", CPU, 32)
    # On a GPU it is not the choice that refuses, but torch.func.
    monkeypatch.setitem(BACKENDS, "vmap", dataclasses.replace(BACKENDS["vmap"], obstacle=lambda *_: None))
    with pytest.raises(UserError, match=r"DataDependent.*set students\.backend to auto or loop"):
        job.train_shard(3, "vmap", CPU, 32)


def test_what_is_not_the_networks_fault_passes():
    class StoppedError(Exception):
        pass

    def stop(_):
        raise StoppedError

    for backend in ("loop", "vmap"):
        with pytest.raises(StoppedError):
            small_job().train_shard(3, backend, CPU, 32, stop)
    diverging = small_job(training=TrainingOptions(epochs=5, optimiser="sgd", learning_rate=1e30))
    with pytest.raises(UserError, match=r"^student 2\d: the training loss became"):
        diverging.train_shard(3, "loop", CPU, 32)


@pytest.mark.parametrize("text", ["CUDA out of memory. Tried", "DefaultCPUAllocator: can't allocate memory: you"])
def test_memory_that_runs_out_is_no_fault_of_the_forward(monkeypatch, text):
    def exhausted(*_):
        raise RuntimeError(text)

    monkeypatch.setattr(torch.nn.Linear, "forward", exhausted)
    job = small_job()
    job.__dict__["build"] = lambda: MLP(6, 3, hidden=(7,))  # past the trial
    with pytest.raises(UserError, match=r"lower execution\.chunk_size or students\.training\.batch_size"):
        job.train_shard(3, "loop", CPU, 32)
