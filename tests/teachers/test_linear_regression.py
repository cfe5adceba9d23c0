"""Linear regression as a teacher: least squares and its normal posterior, against the closed form."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.teachers import linear_regression
from kd_uncertainty.teachers.collection import fit_teachers, from_nested, posterior_logits, to_nested
from kd_uncertainty.teachers.contract import Problem, teacher_options
from kd_uncertainty.tensors import load_nested, save_nested

OPTIONS = linear_regression.Options()


@pytest.fixture(scope="module")
def numbers():
    """40 examples of 3 inputs with a noisy linear target, scaled as the study scales it."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(60, 3))
    targets = inputs @ [0.5, -0.6, 0.1] + 0.6 * generator.normal(size=60)
    targets = (targets - targets[:40].mean()) / targets[:40].std()
    inputs, targets = torch.from_numpy(inputs).float(), torch.from_numpy(targets).float()[:, None]
    return Problem(
        inputs=inputs[:40],
        labels=targets[:40],
        validation_inputs=inputs[40:],
        validation_labels=targets[40:],
        num_classes=1,
        network=NetworkOptions.model_validate({"class": "kd_uncertainty.networks.MLP", "arguments": {"hidden": [8]}}),
        training=TrainingOptions(epochs=30, batch_size=20, learning_rate=0.01),
        device=torch.device("cpu"),
        loss="mse",
    )


@pytest.fixture(scope="module")
def teacher(numbers):
    return fit_teachers(numbers, {"linear": OPTIONS}, seed=1)[0]["linear"]


def closed_form(problem):
    """Coefficients with the intercept last, and their covariance, by the textbook's formulas."""
    design = np.column_stack([problem.inputs.double().numpy(), np.ones(len(problem.inputs))])
    targets = problem.labels.double().numpy()[:, 0]
    inverse = np.linalg.inv(design.T @ design)
    mean = inverse @ design.T @ targets
    residuals = targets - design @ mean
    return mean, residuals @ residuals / (len(targets) - design.shape[1]) * inverse


def test_the_posterior_is_the_textbooks(numbers):
    fitted = linear_regression.fit(numbers, OPTIONS, seed=0)
    mean, covariance = closed_form(numbers)
    np.testing.assert_allclose(fitted.parameters["mean"][0], mean, rtol=1e-10)
    root = fitted.parameters["root"][0].numpy()
    np.testing.assert_allclose(root.T @ root, covariance, rtol=1e-9)


def test_draws_have_the_posteriors_moments(numbers, teacher):
    points = numbers.validation_inputs[:4]
    draws = posterior_logits(teacher, points, range(40_000), seed=3)[..., 0].numpy()
    mean, covariance = closed_form(numbers)
    extended = np.column_stack([points.double().numpy(), np.ones(4)])
    exact = extended @ covariance @ extended.T
    error = np.sqrt(np.diagonal(exact) / len(draws))
    assert (np.abs(draws.mean(0) - extended @ mean) < 4 * error).all()
    spread = np.sqrt((exact**2 + np.outer(np.diagonal(exact), np.diagonal(exact))) / len(draws))
    assert (np.abs(np.cov(draws.T) - exact) < 4 * spread).all()
    known = linear_regression.posterior_mean(teacher, points)[:, 0].numpy()
    np.testing.assert_allclose(known, extended @ mean, rtol=1e-10)


def test_draws_are_functions_of_seed_and_number_alone(numbers, teacher):
    inputs = numbers.inputs
    everything = posterior_logits(teacher, inputs, range(6), seed=5)
    torch.testing.assert_close(posterior_logits(teacher, inputs, [4, 1], seed=5), everything[[4, 1]])
    batched = torch.cat([posterior_logits(teacher, part, range(6), seed=5) for part in inputs.split(7)], dim=1)
    torch.testing.assert_close(batched, everything)
    assert not torch.equal(posterior_logits(teacher, inputs, [0], seed=6), everything[:1])


def test_a_point_has_one_draw_and_it_is_the_mean(numbers):
    options = linear_regression.Options(posterior="point")
    assert options.cached_draws(64) == 1
    assert OPTIONS.cached_draws(64) == 64
    point = fit_teachers(numbers, {"linear": options}, seed=1)[0]["linear"]
    draws = posterior_logits(point, numbers.inputs, [0, 5], seed=2)
    assert torch.equal(draws[0], draws[1])
    assert torch.equal(draws[0], linear_regression.posterior_mean(point, numbers.inputs))


def test_a_saved_teacher_answers_the_same(numbers, teacher, tmp_path):
    save_nested(to_nested({"linear": teacher}), tmp_path / "teachers.safetensors")
    loaded = from_nested(load_nested(tmp_path / "teachers.safetensors"))["linear"]
    ours, theirs = (posterior_logits(one, numbers.inputs, range(3), 9) for one in (teacher, loaded))
    assert torch.equal(ours, theirs)


def test_more_features_than_examples_leave_no_residual_variance(numbers):
    few = replace(numbers, inputs=numbers.inputs[:3], labels=numbers.labels[:3])
    fitted = linear_regression.fit(few, OPTIONS, seed=0)
    assert torch.equal(fitted.parameters["root"], torch.zeros_like(fitted.parameters["root"]))


def test_classes_are_refused(problem):
    with pytest.raises(UserError, match="linear_regression predicts numbers, not classes"):
        linear_regression.fit(problem, OPTIONS, seed=0)


def test_the_other_kinds_learn_numbers_too(numbers):
    """Networks with a single output; the ensemble's mean comes near least squares on a linear truth."""
    kinds = {"point": {"kind": "deterministic"}, "several": {"kind": "deep_ensemble", "members": 4}}
    kinds["masks"] = {"kind": "mc_dropout", "rate": 0.1}
    fitted, curves = fit_teachers(numbers, {name: teacher_options(one) for name, one in kinds.items()}, seed=2)
    assert {"train_loss", "validation_mse"} < set(curves.columns)
    for teacher in fitted.values():
        answers = posterior_logits(teacher, numbers.validation_inputs, range(4), seed=1)
        assert answers.shape == (4, 20, 1)
        assert float((answers.mean(0) - numbers.validation_labels).square().mean()) < 0.75
