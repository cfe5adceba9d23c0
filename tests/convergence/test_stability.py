"""The network experiment: against a plain loop, on common starts and orders, and its tables."""

import functools
import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from kd_uncertainty.convergence.arms import Arm, make_arms, target_tables
from kd_uncertainty.convergence.noise import gradient_variances, step_std, tail_mean, tail_std
from kd_uncertainty.convergence.stability import StabilityOptions, measure_stability, train_arms
from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import MLP
from kd_uncertainty.population.initialisation import initial_states
from kd_uncertainty.population.seeds import batch_orders, derive_seed

from .worlds_networks import logits_of, options, world

KEYS = ["arm", "teacher", "level", "mixing"]
BUILD = functools.partial(MLP, 6, 3, hidden=[7])


@pytest.fixture(scope="module")
def data():
    return world()


@pytest.fixture(scope="module")
def found(data):
    return measure_stability(data, {"exact teacher": logits_of(data.bayes, 2)}, with_teacher())


def with_teacher(**changes):
    blocks = [*options().model_dump(mode="json")["arms"], {"target": "teacher"}]
    return options(**({"arms": blocks} | changes))


def population(data, chosen):
    """Arms, targets and trained students."""
    arms = make_arms(chosen.arms, (), data.bayes is not None)
    targets = target_tables(arms, data.part("train").bayes, {}, chosen.num_seeds, chosen.seed)
    return arms, targets, train_arms(BUILD, data, arms, targets, chosen)


def plain_loop(data, chosen, student, target):
    """One student as a user would train it, evaluated after every segment: parameters, accuracies and nlls."""
    part, validation = data.part("train"), data.part("validation")
    start = initial_states(BUILD, [derive_seed(chosen.seed, "initialisation", student)], torch.device("cpu"))
    network = BUILD()
    network.load_state_dict({name: values[0] for name, values in start.items()})
    training = chosen.training
    optimiser = torch.optim.SGD(network.parameters(), lr=training.learning_rate, momentum=training.momentum)
    order, visits = (derive_seed(chosen.seed, purpose, student) for purpose in ("order", "pass"))
    length = len(part.labels) // chosen.evaluations // training.batch_size * training.batch_size
    accuracies, nlls = [], []
    for number in range(training.epochs):
        permutation = torch.from_numpy(batch_orders([visits], number, len(part.labels))[0])
        for segment in range(chosen.evaluations):
            rows = permutation[segment * length : (segment + 1) * length]
            within = batch_orders([order], number * chosen.evaluations + segment, length)[0]
            for batch in torch.split(rows[torch.from_numpy(within)], training.batch_size):
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(network(part.inputs[batch]), target[batch]).backward()
                optimiser.step()
            with torch.no_grad():
                logits = network(validation.inputs)
            nlls.append(float(torch.nn.functional.cross_entropy(logits, validation.labels)))
            accuracies.append(float((logits.argmax(-1) == validation.labels).float().mean()))
    return {name: values.detach() for name, values in network.state_dict().items()}, accuracies, nlls


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("arm", [Arm("one_hot"), Arm("dirichlet", level=0.5)])
def test_a_student_is_what_a_plain_loop_trains(arm, batch_size):
    data = world(train=90)
    training = options().training.model_dump(mode="json") | {"batch_size": batch_size}
    chosen = options(training=training)
    arms, targets, trained = population(data, chosen)
    row, part = arms.index(arm), data.part("train")
    hard = torch.nn.functional.one_hot(part.labels, 3).float()
    for student in (0, 2):
        target = targets.target(arm, (row, student), hard)
        expected, accuracies, nlls = plain_loop(data, chosen, student, target)
        position = row * chosen.num_seeds + student
        for name, values in expected.items():
            np.testing.assert_allclose(trained.parameters[name][position], values, atol=2e-6)
        np.testing.assert_allclose(trained.validation["validation_accuracy"][position], accuracies, atol=1e-6)
        np.testing.assert_allclose(trained.validation["validation_nll"][position], nlls, atol=2e-6)


def test_arms_differ_in_their_targets_only(data):
    """Supervision that says the label trains the very same students as one-hot labels."""
    hard = torch.nn.functional.one_hot(data.labels, 3).double().numpy()
    chosen = options(arms=[{"target": "exact"}, {"target": "exact", "mixing": [0.3]}])
    _, _, trained = population(data._replace(bayes=hard), chosen)
    for values in trained.parameters.values():
        one_hot, exact, mixed = values.view(3, chosen.num_seeds, -1)
        np.testing.assert_allclose(exact, one_hot, atol=2e-6)
        np.testing.assert_allclose(mixed, one_hot, atol=2e-6)
        assert not torch.allclose(one_hot[0], one_hot[1], atol=1e-3)


def test_students_depend_neither_on_others_nor_on_threads(data):
    chosen = options()
    arms, targets, trained = population(data, chosen)
    threaded = train_arms(BUILD, data, arms, targets, chosen, threads=2)
    blocks = [{"target": "additive", "levels": [0.01]}, {"target": "dirichlet", "levels": [5.0], "mixing": [1.0, 0.4]}]
    more_arms, _, more = population(data, options(arms=blocks, num_seeds=5))
    for name, values in trained.parameters.items():
        assert torch.equal(values, threaded.parameters[name])
        ours, theirs = values.view(len(arms), 3, -1), more.parameters[name].view(len(more_arms), 5, -1)
        for arm in (Arm("one_hot"), Arm("dirichlet", level=5.0)):
            assert torch.equal(ours[arms.index(arm)], theirs[more_arms.index(arm), :3])


def test_tables_are_the_same_whatever_the_threads(data, found):
    again = measure_stability(data, {"exact teacher": logits_of(data.bayes, 2)}, with_teacher(), threads=2)
    for one, other in zip(found, again, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_the_tables_have_a_row_for_every_arm_and_figure(found):
    assert list(found.curves) == [*KEYS, "step", "epoch", "metric", "estimate", "lower", "upper", "num_seeds"]
    assert len(found.curves) == 5 * 2 * 8
    assert sorted(found.curves["step"].unique()) == [60 * (number + 1) for number in range(8)]
    assert found.curves["epoch"].max() == 2.0
    assert list(found.table) == [
        *KEYS, "split", "metric", "estimate", "lower", "upper", "ratio", "ratio_lower", "ratio_upper", "num_seeds",
    ]  # fmt: skip
    tail = {("validation", "tail_accuracy"), ("validation", "tail_nll")}
    figures = set(zip(found.table["split"], found.table["metric"], strict=True))
    noise = {f"noise_{curve}_{kind}" for curve in ("accuracy", "nll") for kind in ("std", "step")}
    final = {(split, metric) for split in ("validation", "test") for metric in ("accuracy", "nll", "ece")}
    assert figures == final | tail | {("validation", metric) for metric in noise} | {
        ("train", "gradient_variance"), ("train", "target_error"),
    }  # fmt: skip
    assert len(found.table) == 5 * len(figures)
    assert (found.table["num_seeds"] == 3).all()
    assert found.table[["estimate", "lower", "upper"]].notna().all(axis=None)
    assert (found.table["lower"] <= found.table["estimate"]).all()


def row_of(table, arm, metric, split="validation"):
    chosen = table[(table["arm"] == arm) & (table["metric"] == metric) & (table["split"] == split)]
    return chosen.iloc[0]


def test_one_hot_over_itself_is_exactly_1(found):
    ours = found.table[found.table["arm"] == "one_hot"]
    assert (ours[["ratio", "ratio_lower", "ratio_upper"]] == 1.0).all(axis=None)


def test_a_teacher_that_knows_the_bayes_probabilities_is_the_exact_arm(found):
    exact, teacher = (found.table[found.table["arm"] == arm] for arm in ("exact", "teacher"))
    assert set(teacher["teacher"]) == {"exact teacher"}
    exact = exact[exact["metric"] != "target_error"]
    teacher = teacher[teacher["metric"] != "target_error"]
    np.testing.assert_allclose(teacher["estimate"], exact["estimate"], rtol=1e-3)
    assert row_of(found.table, "exact", "target_error", "train")["estimate"] == 0.0
    assert row_of(found.table, "teacher", "target_error", "train")["estimate"] < 1e-12


def test_figures_are_means_over_students_with_student_intervals(data, found):
    chosen = with_teacher()
    curves = population(data, chosen)[2].validation
    accuracy = curves["validation_accuracy"].double().numpy()
    last = accuracy[:3, -1]
    row = row_of(found.table, "one_hot", "accuracy")
    assert row["estimate"] == pytest.approx(last.mean())
    half = stats.t.ppf(0.975, 2) * last.std(ddof=1) / np.sqrt(3)
    assert row["upper"] - row["estimate"] == pytest.approx(half)
    for metric, definition in (("std", tail_std), ("step", step_std)):
        noise = definition(accuracy, 0.5).reshape(4, 3).mean(axis=1)
        row = row_of(found.table, "exact", f"noise_accuracy_{metric}")
        assert row["estimate"] == pytest.approx(noise[1])
        assert row["ratio"] == pytest.approx(noise[1] / noise[0])
    shown = found.curves[(found.curves["arm"] == "one_hot") & (found.curves["metric"] == "accuracy")]
    np.testing.assert_allclose(shown["estimate"], accuracy[:3].mean(axis=0))


def test_target_errors_are_those_in_closed_form():
    """1 - |P|^2 for labels, that over 1 + a for Dirichlet, K nu for additive noise: within 4 standard errors."""
    data = world(train=4000)
    blocks = [
        {"target": "dirichlet", "levels": [0.5]},
        {"target": "additive", "levels": [0.02]},
        {"target": "dirichlet", "levels": [0.5], "mixing": [0.6]},
    ]
    training = options().training.model_copy(update={"epochs": 1, "batch_size": 1000}).model_dump(mode="json")
    chosen = options(arms=blocks, training=training, num_seeds=4, tail=1.0)
    table = measure_stability(data, {}, chosen).table
    spread = 1.0 - np.square(data.part("train").bayes).sum(axis=1).mean()
    expected = [spread, spread / 1.5, 3 * 0.02, 0.16 * spread + 0.36 * spread / 1.5]
    errors = table[table["metric"] == "target_error"]["estimate"].to_numpy()
    np.testing.assert_allclose(errors, expected, rtol=4 * 0.02)


def test_exact_supervision_leaves_less_gradient_variance_where_the_task_is_realisable():
    """Softmax regression on a mixture of one covariance, started nowhere near: the gradient at the end is small."""
    data = world(train=1500, variance=4.0)
    network = {"class": "kd_uncertainty.networks.MLP", "arguments": {"hidden": []}}
    chosen = options(network=network, arms=[{"target": "exact"}], gradient_examples=None)
    row = row_of(measure_stability(data, {}, chosen).table, "exact", "gradient_variance", "train")
    assert row["ratio_upper"] < 0.2


def test_gradient_variance_is_under_each_students_own_targets(data, found):
    chosen = with_teacher()
    arms, targets, trained = population(data, chosen)
    part = data.part("train")
    hard = torch.nn.functional.one_hot(part.labels, 3).double()
    position = arms.index(Arm("dirichlet", level=0.5))
    expected = gradient_variances(
        BUILD,
        {name: values[3 * position : 3 * position + 3] for name, values in trained.parameters.items()},
        part.inputs,
        lambda number: targets.target(arms[position], (position, number), hard),
    )
    row = row_of(found.table, "dirichlet", "gradient_variance", "train")
    assert row["estimate"] == pytest.approx(expected.mean())


def test_without_bayes_probabilities_teachers_are_still_compared(data):
    unknown = world(known=False)
    found = measure_stability(unknown, {"a": logits_of(data.bayes)}, with_teacher())
    assert set(found.table["arm"]) == {"one_hot", "teacher"}
    assert "target_error" not in set(found.table["metric"])
    assert "squared_error_to_bayes" not in set(found.teacher_error["metric"])
    with pytest.raises(UserError, match="nothing is left"):
        measure_stability(unknown, {}, options())


def test_evaluation_examples_are_spread_over_the_split(data):
    """Of a table sorted by class, the first would be of one class."""
    few = options(evaluation_examples=30)
    _, _, trained = population(data, few)
    validation = data.part("validation")
    kept = torch.arange(30) * 4
    _, _, expected = population(data._replace(splits=_without(data, validation, kept)), options())
    for name, values in expected.validation.items():
        np.testing.assert_allclose(trained.validation[name], values, atol=1e-6)


def _without(data, validation, kept):
    """Splits in which validation examples that are not kept are nowhere."""
    splits = data.splits.copy()
    rows = data.rows("validation")
    splits[np.delete(rows, kept.numpy())] = "test"
    return splits


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluations": 1}, "too few to measure noise"),
        ({"tail": 0.1}, "too few to measure noise"),
        ({"num_seeds": 1}, "greater than or equal to 2"),
        ({"arms": [{"target": "exact", "level": 1.0}]}, "Extra inputs"),
        ({"training": {"epochs": 3, "schedule": "cosine"}}, "schedule must be constant"),
        ({"training": {"epochs": 3, "warmup_epochs": 1}}, "without warmup_epochs"),
    ],
)
def test_options_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        options(**changes)


def test_the_defaults_are_the_papers_protocol():
    chosen = StabilityOptions()
    training = chosen.training
    assert (training.batch_size, training.optimiser, training.learning_rate) == (1, "sgd", 5e-4)
    assert (training.momentum, training.epochs) == (0.9, 2)
    assert chosen.network.arguments == {"hidden": [128, 128]}
    assert chosen.num_seeds >= 8


def test_progress_is_shown_where_asked_for(data, capsys):
    measure_stability(data, {}, options(), progress=True)
    assert "stability: 100%" in capsys.readouterr().err
    measure_stability(data, {}, options())
    assert capsys.readouterr().err == ""


def test_too_many_evaluations_are_refused(data):
    with pytest.raises(UserError, match="240 training examples cannot be cut into 300 segments"):
        measure_stability(data, {}, options(evaluations=300))


def test_training_that_diverges_says_what_to_change(data):
    training = options().training.model_dump(mode="json") | {"learning_rate": 1e9}
    with pytest.raises(UserError, match=r"^stability: student 0: .* set a smaller stability\.training\.learning_rate"):
        measure_stability(data, {}, options(training=training))


@pytest.mark.slow
def test_less_noise_in_the_targets_is_more_accuracy_and_less_convergence_noise():
    """The order of the paper's synthetic experiment, in steps of at least two standard errors of paired differences.

    Accuracy is that of the last evaluations on average: the last one alone, which fluctuates by a third of a point with
    noisy targets, does not tell one-hot labels from Dirichlet(P / 2).
    """
    data = world(train=11_000, validation=11_000, test=1000, inputs=30, classes=5)
    arms_of_the_paper = [{"target": "exact"}, {"target": "dirichlet", "levels": [0.5, 5.0]}]
    chosen = StabilityOptions.model_validate({"arms": arms_of_the_paper, "num_seeds": 16, "evaluations": 25})
    arms = make_arms(chosen.arms, (), True)
    targets = target_tables(arms, data.part("train").bayes, {}, chosen.num_seeds, chosen.seed)
    build = functools.partial(MLP, 30, 5, hidden=[128, 128])
    curves = train_arms(build, data, arms, targets, chosen, threads=2).validation
    accuracy, nll = (curves[f"validation_{name}"].double().numpy() for name in ("accuracy", "nll"))
    shape = (len(arms), chosen.num_seeds)
    order = [arms.index(Arm("one_hot")), *(arms.index(Arm("dirichlet", level=a)) for a in (0.5, 5.0)), 1]
    for values in (
        tail_mean(accuracy, 0.5).reshape(shape),
        -tail_std(nll, 0.5).reshape(shape),
        -step_std(nll, 0.5).reshape(shape),
    ):
        for worse, better in itertools.pairwise(order):
            gain = values[better] - values[worse]
            assert gain.mean() > 2 * gain.std(ddof=1) / np.sqrt(len(gain)), (arms[worse], arms[better], gain)
