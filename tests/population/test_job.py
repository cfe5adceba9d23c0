"""A job: what its shards hold, what its identity covers, what it refuses."""

import dataclasses

import numpy as np
import pytest
import torch

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import MLP
from kd_uncertainty.population import job as job_module
from kd_uncertainty.population.job import PopulationJob

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
    assert job.identity() == small_job().identity()
    changes = {
        "plan": job.plan.assign(mixing=0.3),
        "inputs": job.inputs + np.float32(1e-6) * (np.arange(6) == 0).astype(np.float32),
        "labels": (job.labels + (np.arange(90) == 5)) % 3,
        "soft_labels": {"dropout": job.soft_labels["dropout"][:, ::-1]},
        "prediction_inputs": job.prediction_inputs[:-1],
        "network_arguments": {"hidden": [8]},
        "training": job.training.model_copy(update={"epochs": 4}),
        "shard_size": 9,
        "backend": "loop",
    }
    identities = {dataclasses.replace(job, **{name: value}).identity() for name, value in changes.items()}
    identities.add(dataclasses.replace(job, soft_labels={"other": job.soft_labels["dropout"]}).identity())
    assert len(identities | {job.identity()}) == len(changes) + 2
    assert set(changes) | {"num_classes", "network_class"} == {
        field.name for field in dataclasses.fields(PopulationJob)
    }


def test_identity_notices_an_edited_network_and_a_new_format(monkeypatch):
    job = small_job()
    before = job.identity()
    monkeypatch.setattr(job_module, "_source", lambda _: "class MLP: ...")
    edited = job.identity()
    monkeypatch.setattr(job_module, "FORMAT_VERSION", job_module.FORMAT_VERSION + 1)
    assert len({before, edited, job.identity()}) == 3


def test_checks_the_network_and_the_responses_before_any_work():
    small_job().check()
    with pytest.raises(UserError, match="cannot be built"):
        small_job(network_arguments={"hiden": [3]}).check()
    with pytest.raises(UserError, match="need 4 draws"):
        small_job(soft_labels={"dropout": np.zeros((90, 3, 3), np.float32)}).check()
