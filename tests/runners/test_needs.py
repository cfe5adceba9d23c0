"""What nodes occupy, without a cluster."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from kd_uncertainty.cluster import Resources
from kd_uncertainty.errors import UserError
from kd_uncertainty.options import ExecutionOptions
from kd_uncertainty.runners.needs import needs

BOX = Resources(cpus=8, gpus=2)


def of(*tags, reads=False, largest=BOX, **execution):
    return needs(tags, reads, ExecutionOptions.model_validate(execution), largest)


@pytest.mark.parametrize(
    ("tags", "cpus", "gpus"),
    [
        ((), 1, 0),
        (("classification", "students"), 1, 0),
        (("gpu",), 1, 1),
        (("gpus-0.5", "cpus-4", "students"), 4, 0.5),
        (("gpus-2",), 1, 2),
        (("gpu", "gpus-0.5"), 1, 1),
        (("gpus",), 1, 1),
        (("cpus-intensive-not",), None, None),
        (("gpu-fast",), None, None),
        (("gpus-1.5",), None, None),
    ],
)
def test_tags_state_resources(tags, cpus, gpus):
    if cpus is None:
        with pytest.raises(UserError, match=f"'{tags[0]}' must end in a number"):
            of(*tags)
    else:
        assert of(*tags) == Resources(cpus=cpus, gpus=gpus)


def test_the_configuration_replaces_the_tags_of_the_pipeline():
    resources = {"students": {"cpus": 2}, "classification": {"gpus": 0.25}}
    assert of("gpu", "students", resources=resources) == Resources(cpus=2)
    assert of("students", "classification", resources=resources) == Resources(cpus=2, gpus=0.25)


def test_a_node_that_is_told_how_to_execute_occupies_what_it_may_use():
    assert of(reads=True) == Resources(cpus=8, gpus=1)
    assert of(reads=True, device="cpu", workers=3) == Resources(cpus=3)
    assert of(reads=True, workers=30, largest=Resources(cpus=2)) == Resources(cpus=2)
    assert of(reads=True, device="cuda", largest=Resources(cpus=2)) == Resources(cpus=2, gpus=1)  # and is refused
    assert of("shards", reads=True, device="cuda", engine="ray") == Resources()
    assert of("shards", reads=True, device="cuda") == Resources(cpus=8, gpus=1)


def test_parts_of_a_gpu_end_at_one():
    with pytest.raises(ValidationError, match="gpus above 1 must be whole"):
        Resources(gpus=1.5)
    assert str(Resources(cpus=1, gpus=0.5)) == "1 CPU and 0.5 GPUs"
