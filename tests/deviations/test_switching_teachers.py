"""Both teachers are where on one path of training their definitions say, found by training every length of it."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from kd_uncertainty.deviations._switching_options import SwitchingOptions
from kd_uncertainty.deviations._switching_teachers import first_reached, train_teachers
from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import network_builder
from kd_uncertainty.population.contract import Cohort
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.training import predict, train

from .worlds_switching import options, small_world


@pytest.fixture(scope="module")
def data():
    return small_world()


def path(data, fit, seed, longest):
    """Logits of all examples after each number of epochs, (epochs, examples, classes)."""
    part = data.part("train")
    build = network_builder(fit.network.class_path, fit.network.arguments, 6, 3)
    seeds = ([derive_seed(seed, f"teacher {purpose}")] for purpose in ("initialisation", "order"))
    cohort = Cohort.of_ensemble(one_hot(part.labels, 3).float(), *seeds)
    stops = [fit.training.model_copy(update={"epochs": epochs}) for epochs in range(1, longest + 1)]
    states = [train(build, part.inputs, part.labels, cohort, stop).parameters for stop in stops]
    return torch.stack([predict(build, state, data.inputs)[0] for state in states])


@pytest.mark.parametrize("interpolation", [1.0, 0.9])
def test_teachers_are_one_network_stopped_twice(data, interpolation):
    fit = options().teacher.model_copy(update={"interpolation": interpolation})
    interpolating, early = train_teachers(data, fit, seed=5)
    assert (interpolating.name, early.name) == ("interpolating", "early_stopped")
    logits = path(data, fit, 5, interpolating.epochs)
    train_rows, validation_rows = data.rows("train"), data.rows("validation")
    fitted = (logits.argmax(-1) == data.labels)[:, train_rows].double().mean(-1)
    assert fitted[-1] >= interpolation > fitted[:-1].max()
    losses = [cross_entropy(some[validation_rows], data.labels[validation_rows]) for some in logits[:-1]]
    assert early.epochs == int(torch.stack(losses).argmin()) + 1 < interpolating.epochs
    assert torch.equal(interpolating.logits, logits[-1])
    assert torch.equal(early.logits, logits[early.epochs - 1])


def test_where_training_on_only_helps_the_early_teacher_stops_before_it_interpolates():
    """Classes far apart, whose likelihood still rises when all labels are fitted."""
    interpolating, early = train_teachers(small_world(variance=0.02), changed(learning_rate=3e-4), seed=5)
    assert interpolating.epochs > 1
    assert early.epochs == interpolating.epochs - 1


def test_teachers_depend_on_their_seed_and_not_on_threads_or_test_data(data):
    fit = options().teacher
    found = train_teachers(data, fit, seed=5)
    test = torch.from_numpy(data.rows("test"))
    blind = data._replace(labels=data.labels.index_fill(0, test, 0), inputs=data.inputs.index_fill(0, test, 0.0))
    kept = np.flatnonzero(data.splits != "test")
    for teacher, other, shifted in zip(
        found, train_teachers(blind, fit, seed=5, threads=2), train_teachers(data, fit, seed=6), strict=True
    ):
        assert teacher.epochs == other.epochs
        assert torch.equal(teacher.logits[kept], other.logits[kept])
        assert not torch.allclose(teacher.logits, shifted.logits, atol=1e-2)


def test_the_first_epoch_at_a_level_counts():
    curve = np.float32([0.2, 0.7, 0.6, 0.9]).astype(np.float64)
    assert [first_reached(curve, level) for level in (0.1, 0.7, 0.8, 0.95)] == [1, 2, 4, None]


def changed(**changes):
    teacher = options().teacher
    training = teacher.training.model_copy(update=changes)
    return teacher.model_copy(update={"training": training})


def test_a_teacher_that_never_interpolates_says_what_to_change(data):
    with pytest.raises(
        UserError, match=r"^switching.teacher: after 2 epochs .* 0\.\d+ at best, below interpolation: 1"
    ):
        train_teachers(data, changed(epochs=2), seed=5)


def test_a_teacher_that_interpolates_at_once_leaves_no_other(data):
    easy = changed(epochs=2).model_copy(update={"interpolation": 0.1})
    with pytest.raises(UserError, match="after its first epoch"):
        train_teachers(data, easy, seed=5)


def test_training_that_diverges_says_what_to_change(data):
    fit = changed(optimiser="sgd", learning_rate=1e9)
    with pytest.raises(UserError, match=r"^switching: teacher network 0: .* a smaller switching\.teacher\.training"):
        train_teachers(data, fit, seed=5)


@pytest.mark.parametrize("section", ["teacher", "student"])
@pytest.mark.parametrize("change", [{"schedule": "cosine"}, {"warmup_epochs": 1}])
def test_rates_that_depend_on_when_training_ends_are_refused(section, change):
    with pytest.raises(ValueError, match="schedule must be constant, without warmup_epochs"):
        SwitchingOptions.model_validate({section: {"training": {"epochs": 5} | change}})
