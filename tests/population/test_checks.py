"""What does not fit is refused before anything is broadcast or read by accident."""

import dataclasses

import pytest
import torch

from kd_uncertainty.population.checks import check_cohort, check_initial, check_validation
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.training import train

from .worlds import mlp, regression_world, resampled, world


def test_what_fits_passes():
    check_cohort(*world(3, 20, 5, 4))
    check_cohort(*regression_world(3, 20, 5, 1))
    inputs, labels, cohort = world(3, 20, 5, 4)
    check_cohort(inputs, labels, resampled(cohort, 1))
    check_cohort(inputs, labels, resampled(cohort, 50))
    check_cohort(inputs.double(), labels.int(), dataclasses.replace(cohort, tables=torch.tensor([2, 2, 0])))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tables": torch.tensor([0, 2])}, "tables need to be from 0 to 1"),
        ({"tables": torch.tensor([0.0, 1.0])}, "tables are torch.float32 and need to be integers"),
        ({"mixing": torch.ones(3)}, r"mixing are of shape \(3,\) and need \(2,\)"),
        ({"temperature": torch.ones(2, 1)}, r"temperature are of shape \(2, 1\) and need \(2,\)"),
        ({"targets": torch.ones(2, 19, 3)}, r"targets are of shape \(2, 19, 3\) and need \(2, 20, 3\)"),
        ({"rows": torch.tensor([[0], [20]])}, "rows need to be from 0 to 19"),
        ({"rows": torch.tensor([[0], [-1]])}, "rows need to be from 0 to 19"),
        ({"rows": torch.zeros(2, 5)}, "rows are torch.float32 and need to be torch.int64"),
        ({"rows": torch.zeros(2, 5, dtype=torch.uint8)}, "rows are torch.uint8 and need to be torch.int64"),
        (
            {"rows": torch.zeros(3, 5).long()},
            r"shape \(3, 5\) and need \(2, m\) or \(2, epochs, m\), m from 1 on",
        ),
        ({"rows": torch.zeros(2, 0).long()}, r"rows are of shape \(2, 0\) and need \(2, m\)"),
        ({"rows": torch.zeros(2).long()}, r"rows are of shape \(2,\) and need \(2, m\)"),
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


def test_parameters_of_another_network_are_refused():
    expected = {"0.weight": torch.zeros(4, 5), "0.bias": torch.zeros(4)}
    initial = {"0.weight": torch.zeros(3, 4, 5), "0.bias": torch.zeros(3, 4)}
    check_initial(initial, expected, 3)
    with pytest.raises(ValueError, match=r"the initial parameters lack 0\.bias, which the network has"):
        check_initial({"0.weight": initial["0.weight"]}, expected, 3)
    with pytest.raises(ValueError, match=r"the initial parameters have 1\.bias, 1\.weight, which the network has not"):
        check_initial(initial | {"1.weight": torch.zeros(3), "1.bias": torch.zeros(3)}, expected, 3)
    with pytest.raises(ValueError, match=r"the initial 0.bias is of shape \(3, 5\) and needs \(3, 4\)"):
        check_initial(initial | {"0.bias": torch.zeros(3, 5)}, expected, 3)
    with pytest.raises(ValueError, match=r"the initial 0.weight is of shape \(3, 4, 5\) and needs \(2, 4, 5\)"):
        check_initial(initial, expected, 2)


def test_validation_that_would_be_broadcast_is_refused():
    inputs, labels, cohort = world(2, 20, 5, 3)
    check_validation(inputs[:7], labels[:7], cohort)
    with pytest.raises(ValueError, match=r"validation labels are of shape \(6,\) and need \(7,\)"):
        check_validation(inputs[:7], labels[:6], cohort)
    with pytest.raises(ValueError, match="validation labels need to be from 0 to 2"):
        check_validation(inputs[:7], labels[:7] + 3, cohort)
    inputs, values, cohort = regression_world(2, 20, 5, 1)
    check_validation(inputs[:7], values[:7], cohort)
    with pytest.raises(ValueError, match=r"validation values are of shape \(7,\) and need \(7, 1\)"):
        check_validation(inputs[:7], values[:7, 0], cohort)
