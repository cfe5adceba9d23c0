"""What all kinds of teachers promise, and what each one's draws must be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.teachers import deep_ensemble, mc_dropout
from kd_uncertainty.teachers.collection import (
    fit_teachers,
    from_nested,
    posterior_logits,
    stream_responses,
    to_nested,
)
from kd_uncertainty.teachers.contract import kinds, teacher_options
from kd_uncertainty.tensors import load_nested, save_nested

POSTERIORS = {
    "deterministic": teacher_options({"kind": "deterministic"}),
    "ensemble": teacher_options({"kind": "deep_ensemble", "members": 3}),
    "dropout": teacher_options({"kind": "mc_dropout", "rate": 0.25}),
}


@pytest.fixture(scope="module")
def fitted(problem):
    return fit_teachers(problem, POSTERIORS, seed=11)


@pytest.fixture(scope="module", params=sorted(POSTERIORS))
def teacher(request, fitted):
    return fitted[0][request.param]


def test_all_kinds_are_tested_here_or_in_a_module_of_their_own():
    here = {options.kind for options in POSTERIORS.values()}
    elsewhere = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert here < set(kinds()) <= here | elsewhere


def test_teachers_learn_the_task(problem, teacher):
    logits = posterior_logits(teacher, problem.validation_inputs, range(4), seed=0)
    probabilities = logits.softmax(-1).mean(0)
    accuracy = (probabilities.argmax(-1) == problem.validation_labels).float().mean()
    assert accuracy > 0.85


def test_draws_are_functions_of_seed_and_number_alone(problem, teacher):
    inputs = problem.inputs
    everything = posterior_logits(teacher, inputs, range(6), seed=5)
    assert everything.shape == (6, len(inputs), 3)
    torch.testing.assert_close(posterior_logits(teacher, inputs, [4, 1], seed=5), everything[[4, 1]])
    batched = torch.cat([posterior_logits(teacher, part, range(6), seed=5) for part in inputs.split(50)], dim=1)
    torch.testing.assert_close(batched, everything)


def test_asking_draws_nothing_from_the_global_generator(problem, teacher):
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    posterior_logits(teacher, problem.inputs, range(2), seed=5)
    assert torch.rand(1) == expected


def test_a_saved_teacher_answers_the_same(problem, fitted, tmp_path):
    save_nested(to_nested(fitted[0]), tmp_path / "teachers.safetensors")
    loaded = from_nested(load_nested(tmp_path / "teachers.safetensors"))
    for name, teacher in fitted[0].items():
        assert loaded[name].options == teacher.options
        ours, theirs = (posterior_logits(one, problem.inputs, range(3), 9) for one in (teacher, loaded[name]))
        assert torch.equal(ours, theirs)


def test_fitting_is_reproducible_and_teachers_do_not_depend_on_each_other(problem, fitted):
    alone, _ = fit_teachers(problem, {"dropout": POSTERIORS["dropout"]}, seed=11)
    for name, value in fitted[0]["dropout"].parameters.items():
        assert torch.equal(alone["dropout"].parameters[name], value)


def test_curves_have_a_row_for_each_member_and_epoch(problem, fitted):
    curves = fitted[1]
    assert curves.groupby("teacher").size().to_dict() == {"deterministic": 20, "ensemble": 60, "dropout": 20}
    last = curves[curves["epoch"] == 20].groupby("teacher")["validation_accuracy"].mean()
    assert (last > 0.8).all()
    first = curves[curves["epoch"] == 1].groupby("teacher")["train_loss"].mean()
    assert (curves[curves["epoch"] == 20].groupby("teacher")["train_loss"].mean() < first).all()


def test_a_deterministic_posterior_is_one_point(problem, fitted):
    logits = posterior_logits(fitted[0]["deterministic"], problem.inputs, range(5), seed=2)
    assert torch.equal(logits, logits[:1].expand_as(logits))


def test_ensemble_draws_are_its_members_each_once_a_round(problem, fitted):
    teacher = fitted[0]["ensemble"]
    draws = posterior_logits(teacher, problem.inputs[:1], range(9), seed=2)[:, 0].numpy()
    for start in (0, 3, 6):
        assert len(np.unique(draws[start : start + 3], axis=0)) == 3
    assert len(np.unique(draws, axis=0)) == 3


def test_another_seed_deals_the_members_in_another_order(problem, fitted):
    teacher = fitted[0]["ensemble"]
    first = {posterior_logits(teacher, problem.inputs[:1], [0], seed=seed).numpy().tobytes() for seed in range(40)}
    assert len(first) == 3


def test_dropout_draws_share_one_mask_over_all_examples(problem, fitted):
    """By hand: the hidden units that a draw drops, and the scaled rest, give the same logits for every example."""
    teacher = fitted[0]["dropout"]
    weights = {name: value[0] for name, value in teacher.parameters.items()}
    hidden = torch.relu(problem.inputs @ weights["0.weight"].T + weights["0.bias"])
    logits = posterior_logits(teacher, problem.inputs, [3], seed=8)[0] - weights["3.bias"]
    # Solve logits = (hidden * scale) @ W.T for the 16 scales, from far more equations than unknowns.
    design = (hidden[:, None, :] * weights["3.weight"][None]).reshape(-1, 16)
    alive = design.abs().sum(0) > 0
    scale = torch.linalg.lstsq(design[:, alive].double(), logits.reshape(-1, 1).double()).solution[:, 0]
    keep = 1 / 0.75
    assert torch.all(((scale - keep).abs() < 1e-3) | (scale.abs() < 1e-3))
    assert 0 < (scale.abs() < 1e-3).sum() < len(scale)


def test_dropout_drops_at_its_rate(problem, fitted):
    """The mean of one hidden unit's scale over draws is 1: dropout is unbiased on what it multiplies."""
    teacher = fitted[0]["dropout"]
    weights = {name: value[0] for name, value in teacher.parameters.items()}
    hidden = torch.relu(problem.inputs @ weights["0.weight"].T + weights["0.bias"])
    exact = hidden @ weights["3.weight"].T + weights["3.bias"]
    draws = posterior_logits(teacher, problem.inputs, range(2000), seed=4)
    error = (draws.mean(0) - exact) / (draws.std(0) / np.sqrt(2000)).clamp_min(1e-9)
    assert error.abs().max() < 5.5


def test_a_network_without_dropout_cannot_be_an_mc_dropout_teacher(problem):
    plain = NetworkOptions.model_validate({"class": "torch.nn.Linear"})
    with pytest.raises(UserError, match=r"no nn\.Dropout layer"):
        mc_dropout.fit(replace(problem, network=plain), mc_dropout.Options(), seed=0)
    assert deep_ensemble.fit(replace(problem, network=plain), deep_ensemble.Options(members=2), 0).parameters


def test_an_unknown_kind_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=rf"'oracle'.*{', '.join(sorted(kinds()))}"):
        teacher_options({"kind": "oracle"})


def test_responses_stream_in_batches_and_cache_one_draw_of_a_point(problem, fitted):
    ids = np.arange(len(problem.inputs))
    tables = list(
        stream_responses(
            fitted[0],
            ids,
            problem.inputs,
            num_draws=4,
            batch_size=50,
            seed=6,
            classes=["a", "b", "c"],
            device=torch.device("cpu"),
        )
    )
    assert [table.num_rows for table in tables] == [50, 50, 20] * 3
    draws = {table["teacher"][0].as_py(): len(table["logits"][0].as_py()) for table in tables}
    assert draws == {"deterministic": 1, "ensemble": 3, "dropout": 4}, "no draw is cached twice"


@pytest.mark.parametrize("kind", [deep_ensemble, mc_dropout])
def test_a_teacher_that_diverges_is_not_called_a_student(problem, kind):
    wild = TrainingOptions(epochs=5, batch_size=20, optimiser="sgd", learning_rate=1e30)
    with pytest.raises(UserError, match=r"^teacher network 0: .* smaller teachers\.training\.learning_rate"):
        kind.fit(replace(problem, training=wild), kind.Options(), seed=0)


def test_a_teachers_network_that_fails_in_training_is_named(problem):
    network = NetworkOptions.model_validate({"class": "tests.population.worlds.Normalised"})
    training = TrainingOptions(epochs=1, batch_size=17)  # 120 = 7 x 17 + 1
    with pytest.raises(
        UserError, match=r"'tests\.population\.worlds\.Normalised'.*another teachers\.training\.batch_size"
    ):
        deep_ensemble.fit(replace(problem, network=network, training=training), deep_ensemble.Options(members=2), 0)


def test_logistic_regression_cannot_be_an_mc_dropout_teacher(problem):
    network = NetworkOptions.model_validate({"class": "kd_uncertainty.networks.MLP", "arguments": {"hidden": []}})
    with pytest.raises(UserError, match="a hidden layer to apply it to"):
        mc_dropout.fit(replace(problem, network=network), mc_dropout.Options(), seed=0)
