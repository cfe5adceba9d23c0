"""What does not fit is refused before anything is broadcast or read by accident."""

import dataclasses

import pytest
import torch

from kd_uncertainty.population.checks import check_cohort
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.training import train

from .worlds import mlp, regression_world, world


def test_what_fits_passes():
    check_cohort(*world(3, 20, 5, 4))
    check_cohort(*regression_world(3, 20, 5, 1))
    inputs, labels, cohort = world(3, 20, 5, 4)
    check_cohort(inputs.double(), labels.int(), dataclasses.replace(cohort, tables=torch.tensor([2, 2, 0])))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tables": torch.tensor([0, 2])}, "tables need to be from 0 to 1"),
        ({"tables": torch.tensor([0.0, 1.0])}, "tables are torch.float32 and need to be integers"),
        ({"mixing": torch.ones(3)}, r"mixing are of shape \(3,\) and need \(2,\)"),
        ({"temperature": torch.ones(2, 1)}, r"temperature are of shape \(2, 1\) and need \(2,\)"),
        ({"targets": torch.ones(2, 19, 3)}, r"targets are of shape \(2, 19, 3\) and need \(2, 20, 3\)"),
        ({"switch_step": torch.ones(1), "mixing_after": torch.ones(2)}, r"switch_step are of shape \(1,\)"),
    ],
)
def test_cohorts_that_do_not_fit_are_refused(changes, message):
    inputs, labels, cohort = world(2, 20, 5, 3)
    with pytest.raises(ValueError, match=message):
        check_cohort(inputs, labels, dataclasses.replace(cohort, **changes))


@pytest.mark.parametrize("backend", ["auto", "loop", "vmap"])
def test_labels_that_would_be_broadcast_are_refused_by_every_backend(backend):
    inputs, labels, cohort = regression_world(3, 20, 5, 1)
    with pytest.raises(ValueError, match=r"labels are of shape \(20,\) and need \(20, 1\)"):
        train(mlp(5, 1, 4), inputs, labels[:, 0], cohort, TrainingOptions(epochs=1), backend=backend)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.full((20,), 3), "labels need to be from 0 to 2"),
        (torch.full((20,), -1), "labels need to be from 0 to 2"),
        (torch.zeros(20), "labels are torch.float32 and need to be integers"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, message):
    inputs, _, cohort = world(2, 20, 5, 3)
    with pytest.raises(ValueError, match=message):
        check_cohort(inputs, labels, cohort)


def test_no_examples_are_refused():
    inputs, labels, cohort = world(2, 20, 5, 3)
    with pytest.raises(ValueError, match="there are 0 training examples"):
        check_cohort(inputs[:0], labels[:0], cohort)
