"""Cross-fitting keeps its promise for every kind: what is said of a training example does not depend on its label."""

import json
import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from kd_uncertainty import schemas
from kd_uncertainty.errors import UserError
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.options import ExecutionOptions, ResponsesOptions, TeachersOptions
from kd_uncertainty.pipelines.responses.nodes import draw_responses
from kd_uncertainty.pipelines.teachers.nodes import fit_teachers as fit_node
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.regression.teachers import Scale, ValueTensors, stream_values
from kd_uncertainty.soft_labels import read_soft_labels
from kd_uncertainty.teachers.collection import (
    fit_teachers,
    from_nested,
    posterior_logits,
    posterior_mean,
    stream_responses,
    to_nested,
)
from kd_uncertainty.teachers.contract import kinds, teacher_options
from kd_uncertainty.teachers.folds import deal_folds, teacher_of_fold
from kd_uncertainty.tensors import load_nested, save_nested

FOLDS = 3
IDS = np.random.default_rng(9).permutation(500)[:120]
"""Identifiers of the 120 training examples: neither positions nor in order."""
OF_NUMBERS = {"linear_regression"}
SMALL = {
    "deep_ensemble": {"members": 3},
    "mcmi": {"epochs": 2},
    "sgld": {"chains": 2, "samples": 4, "burn_in": 2, "thinning": 1},
    "swag": {"snapshots": 4, "rank": 2},
    "variational": {"epochs_factor": 1},
}
"""Settings that make a kind cheap; kinds that are not listed have their defaults."""


def of_kind(kind, **settings):
    return {kind: teacher_options({"kind": kind, **SMALL.get(kind, {}), **settings})}


@pytest.fixture(scope="module")
def classes(problem):
    network = NetworkOptions.model_validate({"class": "kd_uncertainty.networks.MLP", "arguments": {"hidden": [8]}})
    return replace(problem, network=network, training=TrainingOptions(epochs=2, batch_size=20), example_ids=IDS)


@pytest.fixture(scope="module")
def numbers(classes):
    noise = torch.randn(150, 1, generator=torch.Generator().manual_seed(3))
    inputs = torch.cat([classes.inputs, classes.validation_inputs])
    values = inputs[:, :1] - 0.5 * inputs[:, 1:] + 0.3 * noise
    return replace(classes, labels=values[:120], validation_labels=values[120:], num_classes=1, loss="mse")


@pytest.fixture(scope="module", params=sorted(kinds()))
def world(request, classes, numbers):
    """A kind, its problem, and its cross-fitted teacher and curves."""
    problem = numbers if request.param in OF_NUMBERS else classes
    teachers, curves = fit_teachers(problem, of_kind(request.param, folds=FOLDS), seed=11)
    return request.param, problem, teachers[request.param], curves


def folds_in(teacher):
    return teacher.parameters["fold_numbers"].numpy()


def corrupted(problem, rows):
    labels = problem.labels.clone()
    labels[rows] = labels[rows] + 50.0 if problem.loss == "mse" else (labels[rows] + 1) % problem.num_classes
    return replace(problem, labels=labels)


def test_a_training_label_has_no_say_in_what_is_said_of_its_example(world):
    kind, problem, teacher, _ = world
    rows = folds_in(teacher) == 1
    worse = fit_teachers(corrupted(problem, rows), of_kind(kind, folds=FOLDS), seed=11)[0][kind]
    before, after = (posterior_logits(one, problem.inputs, range(3), 5, IDS) for one in (teacher, worse))
    assert torch.equal(before[:, rows], after[:, rows])
    assert not torch.isclose(before[:, ~rows], after[:, ~rows]).all(-1).any()


def test_without_folds_it_has(world):
    kind, problem, teacher, _ = world
    rows = folds_in(teacher) == 1
    plain, worse = (fit_teachers(one, of_kind(kind), seed=11)[0][kind] for one in (problem, corrupted(problem, rows)))
    before, after = (posterior_logits(one, problem.inputs, [0], 5, IDS) for one in (plain, worse))
    assert not torch.isclose(before[:, rows], after[:, rows]).all(-1).any()


def test_each_fold_is_the_kind_fitted_on_the_other_folds(world):
    kind, problem, teacher, _ = world
    kept = folds_in(teacher) != 2
    own = replace(problem, inputs=problem.inputs[kept], labels=problem.labels[kept], example_ids=IDS[kept])
    seed = derive_seed(derive_seed(11, "teacher", kind), "fold", 2)
    expected = kinds()[kind].fit(own, teacher_options({"kind": kind, **SMALL.get(kind, {}), "folds": FOLDS}), seed)
    found = teacher_of_fold(teacher, 2).parameters
    assert set(found) == set(expected.parameters)
    assert all(torch.equal(found[name], value) for name, value in expected.parameters.items())


def test_training_examples_hear_from_the_fold_that_has_not_seen_them_and_others_from_all(world):
    kind, problem, teacher, _ = world
    inputs = torch.cat([problem.inputs, problem.validation_inputs])
    ids = np.concatenate([IDS, np.setdiff1d(np.arange(500), IDS)[:30]])
    answers = posterior_logits(teacher, inputs, range(4), 5, ids)
    said = [
        kinds()[kind].posterior_logits(teacher_of_fold(teacher, fold), inputs, range(4), derive_seed(5, "fold", fold))
        for fold in range(FOLDS)
    ]
    for fold in range(FOLDS):
        rows = np.flatnonzero(folds_in(teacher) == fold)
        assert torch.equal(answers[:, rows], said[fold][:, rows])
    stacked = torch.stack(said)[:, :, 120:].double()
    if kind in OF_NUMBERS:
        torch.testing.assert_close(answers[:, 120:].double(), stacked.mean(0), rtol=1e-6, atol=1e-6)
    else:
        expected = stacked.softmax(-1).mean(0)
        torch.testing.assert_close(answers[:, 120:].double().exp(), expected, rtol=1e-5, atol=1e-7)
    new = posterior_logits(teacher, inputs, range(4), 5)
    torch.testing.assert_close(new[:, 120:], answers[:, 120:], rtol=0, atol=0)
    assert not torch.equal(new[:, :120], answers[:, :120])


def test_answers_depend_on_seed_and_number_of_the_draw_alone(world):
    """Neither on the size of batches nor on their order, to rounding: BLAS may sum otherwise for fewer rows."""
    _, problem, teacher, _ = world
    everything = posterior_logits(teacher, problem.inputs, range(6), 5, IDS)
    assert everything.shape == (6, 120, problem.num_classes)
    assert torch.equal(posterior_logits(teacher, problem.inputs, [4, 1], 5, IDS), everything[[4, 1]])
    for part in (slice(0, 50), slice(50, 120), slice(3, 10), slice(119, 120)):
        batch = posterior_logits(teacher, problem.inputs[part], range(6), 5, IDS[part])
        torch.testing.assert_close(batch, everything[:, part], rtol=1e-5, atol=1e-5)
    order = np.random.default_rng(1).permutation(120)
    shuffled = posterior_logits(teacher, problem.inputs[order], range(6), 5, IDS[order])
    torch.testing.assert_close(shuffled, everything[:, order], rtol=1e-5, atol=1e-5)


def test_a_saved_teacher_answers_the_same(world, tmp_path):
    kind, problem, teacher, _ = world
    save_nested(to_nested({kind: teacher}), tmp_path / "teachers.safetensors")
    loaded = from_nested(load_nested(tmp_path / "teachers.safetensors"))[kind]
    assert loaded.options == teacher.options
    assert set(loaded.parameters) == set(teacher.parameters)
    ours, theirs = (posterior_logits(one, problem.inputs, range(3), 9, IDS) for one in (teacher, loaded))
    assert torch.equal(ours, theirs)


def test_curves_tell_the_folds_apart(world):
    _, _, _, curves = world
    schemas.teacher_curves(curves)
    assert curves["fold"].unique().tolist() == list(range(FOLDS))
    assert not curves.duplicated(["teacher", "member", "epoch"]).any()
    assert not curves[["member", "fold"]].drop_duplicates().duplicated("member").any()
    sizes = curves.groupby("fold").size()
    assert (sizes == sizes[0]).all()


def test_no_draw_is_cached_twice(classes):
    teachers, _ = fit_teachers(classes, of_kind("deterministic", folds=2) | of_kind("deep_ensemble", folds=2), seed=1)
    tables = stream_responses(
        teachers,
        IDS,
        classes.inputs,
        num_draws=8,
        batch_size=50,
        seed=6,
        classes=["a", "b", "c"],
        device=torch.device("cpu"),
    )
    rows = [(table, table.to_pydict()) for table in tables]
    draws = {row["teacher"][0]: len(row["logits"][0]) for _, row in rows}
    assert draws == {"deterministic": 1, "deep_ensemble": 3}
    told = json.loads(rows[0][0].schema.metadata[b"kd_uncertainty"])["teachers"]["deterministic"]
    assert told == {"kind": "deterministic", "draws": 1, "folds": 2}


def test_the_stages_know_training_examples_again():
    """Through the nodes, files and all: the responses at training examples are those of the fits without them."""
    generator = np.random.default_rng(2)
    labels = np.arange(90) % 3
    inputs = (np.eye(3)[labels] * 3 + generator.normal(size=(90, 3))).astype(np.float32)
    split = np.array(["train"] * 50 + ["validation"] * 20 + ["test"] * 20)[generator.permutation(90)]
    examples = pd.DataFrame({"example_id": np.arange(90), "split": split, "inputs": list(inputs), "target": labels})
    options = TeachersOptions(
        training=TrainingOptions(epochs=3), posteriors={"one": {"kind": "deterministic", "folds": 4}}
    )
    execution, task = ExecutionOptions(device="cpu", progress=False), {"num_classes": 3, "classes": ["a", "b", "c"]}
    nested, _ = fit_node(examples, task, options, execution)
    teacher = from_nested(nested)["one"]
    np.testing.assert_array_equal(teacher.parameters["fold_examples"], np.flatnonzero(split == "train"))
    responses = ResponsesOptions(num_draws=2, batch_size=16)
    found = pd.concat(table.to_pandas() for table in draw_responses(nested, examples, task, responses, execution))
    logits = read_soft_labels(found, np.arange(90), 3).logits["one"][:, 0]
    stream = derive_seed(derive_seed(responses.seed, "responses", "one"), "fold", 2)
    own = kinds()["deterministic"].posterior_logits(teacher_of_fold(teacher, 2), torch.from_numpy(inputs), [0], stream)
    rows = np.flatnonzero(split == "train")[folds_in(teacher) == 2]
    np.testing.assert_allclose(logits[rows], own[0, rows], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["linear_regression", "deep_ensemble"])
def test_numbers_are_cross_fitted_with_their_means(numbers, kind):
    teachers, _ = fit_teachers(numbers, of_kind(kind, folds=FOLDS), seed=2)
    teacher = teachers[kind]
    inputs = torch.cat([numbers.inputs, numbers.validation_inputs])
    ids = np.concatenate([IDS, np.arange(1000, 1030)])
    rows = ValueTensors(ids, inputs, inputs[:, 0].double().numpy())
    tables = stream_values(
        teachers, rows, Scale(1.0, 2.0), num_draws=3, batch_size=40, seed=6, device=torch.device("cpu")
    )
    found = pd.concat(table.to_pandas() for table in tables)
    mean = posterior_mean(teacher, inputs, ids)
    if kind == "deep_ensemble":
        assert mean is None
        mean = posterior_logits(teacher, inputs, range(3), derive_seed(6, "responses", kind), ids).double().mean(0)
    else:
        by_fold = [kinds()[kind].posterior_mean(teacher_of_fold(teacher, fold), inputs) for fold in range(FOLDS)]
        torch.testing.assert_close(mean[120:], torch.stack(by_fold).mean(0)[120:])
        held_out = folds_in(teacher) == 0
        assert torch.equal(mean[:120][held_out], by_fold[0][:120][held_out])
    np.testing.assert_allclose(found["mean"], 1.0 + 2.0 * mean[:, 0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("examples", "folds"), [(10, 3), (12, 4), (7, 7), (101, 20)])
def test_folds_are_a_partition_of_equal_parts(examples, folds):
    numbers = deal_folds(examples, folds, seed=1)
    sizes = np.bincount(numbers, minlength=folds)
    assert sizes.sum() == examples == len(numbers)
    assert sizes.max() - sizes.min() <= 1
    assert not np.array_equal(numbers, deal_folds(examples, folds, seed=2))


def test_teachers_of_other_names_have_other_folds(classes):
    options = of_kind("deterministic", folds=FOLDS)["deterministic"]
    teachers, _ = fit_teachers(classes, {"one": options, "two": options}, seed=11)
    alone, _ = fit_teachers(classes, {"two": options}, seed=11)
    assert not np.array_equal(folds_in(teachers["one"]), folds_in(teachers["two"]))
    assert np.array_equal(folds_in(alone["two"]), folds_in(teachers["two"]))


def test_too_few_examples_and_impossible_folds_are_refused(classes):
    few = replace(classes, inputs=classes.inputs[:4], labels=classes.labels[:4], example_ids=IDS[:4])
    with pytest.raises(UserError, match="'deterministic' has folds: 5 and 4 training examples"):
        fit_teachers(few, of_kind("deterministic", folds=5), seed=1)
    for folds in (0, 21):
        with pytest.raises(ValueError, match="folds"):
            of_kind("deterministic", folds=folds)


def test_a_class_that_a_fit_never_sees_is_warned_of(classes, caplog):
    lonely = replace(classes, labels=torch.where(torch.arange(120) == 7, 2, classes.labels % 2))
    with caplog.at_level(logging.WARNING, logger="kd_uncertainty.teachers.folds"):
        fit_teachers(lonely, of_kind("deterministic", folds=2), seed=1)
        assert "all training examples of class number 2 fall into one fold" in caplog.text
        caplog.clear()
        fit_teachers(classes, of_kind("deterministic", folds=2), seed=1)
        assert not caplog.records
