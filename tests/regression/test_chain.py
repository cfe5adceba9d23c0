"""The chain of the regression study in parts: plan, responses, targets, linear students, networks, metrics."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import MLP
from kd_uncertainty.population.counter import as_seeds
from kd_uncertainty.population.linear.design import make_design
from kd_uncertainty.population.linear.population import train_students
from kd_uncertainty.population.linear.shared import noisy_students
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.targets import deal_draws
from kd_uncertainty.regression.job import ValueJob
from kd_uncertainty.regression.linear import fit_linear_students, predict_linear_students, value_targets
from kd_uncertainty.regression.metrics import metrics_of, prediction_matrix, student_table, teacher_table
from kd_uncertainty.regression.options import ValueArmOptions, ValueStudentsOptions
from kd_uncertainty.regression.plan import check_draws, make_value_plan
from kd_uncertainty.regression.responses import ValueResponses, read_values, value_schema, value_table
from kd_uncertainty.schemas import SEED_COLUMNS, VALUE_ARM_KEYS

DRAWS = {"linear": 64, "ensemble": 8}


def options(*arms, **settings):
    return ValueStudentsOptions.model_validate({"arms": list(arms), **settings})


@pytest.fixture
def world():
    """50 examples (30 to train on) with responses of one teacher, in units far from 1."""
    generator = np.random.default_rng(1)
    inputs = generator.normal(size=(50, 3))
    targets = 100.0 + inputs @ [5.0, -3.0, 1.0] + 4.0 * generator.normal(size=50)
    means = 100.0 + inputs @ [4.8, -2.9, 1.2]
    ids = np.arange(50)
    responses = ValueResponses(ids, {"t": means}, {"t": means[:, None] + generator.normal(size=(50, 12))})
    split = np.array(["train"] * 30 + ["validation"] * 10 + ["test"] * 10, dtype=object)
    examples = pd.DataFrame({"example_id": ids, "split": split, "inputs": list(inputs), "target": targets})
    return inputs, targets, responses, examples


PLAN = options(
    {"model": "linear", "target": "noise", "noise": [0.5, 2.0], "num_responses": [1, 4]},
    {"target": "posterior", "num_responses": [1, 2]},
    {"target": "exact"},
    {"target": "ground_truth"},
    response_seeds=3,
    initialisation_seeds=2,
    order_seeds=2,
    linear_response_seeds=7,
)


def test_the_plan_crosses_its_seeds_and_a_linear_student_has_one_of_two():
    plan = make_value_plan(PLAN, {"t": 12})
    sizes = plan.groupby(["model", "target"])["student"].count().to_dict()
    assert sizes == {
        ("linear", "noise"): 4 * 7,
        ("linear", "posterior"): 2 * 3,
        ("network", "posterior"): 2 * 12,
        ("linear", "exact"): 1,
        ("network", "exact"): 4,
        ("linear", "ground_truth"): 1,
        ("network", "ground_truth"): 4,
    }
    assert plan["student"].tolist() == list(range(len(plan)))
    assert list(plan.columns) == ["student", "arm", *VALUE_ARM_KEYS, *SEED_COLUMNS]
    linear = plan[plan["model"] == "linear"]
    for column in ("initialisation_seed", "order_seed"):
        assert linear.groupby("arm")[column].agg(set).map(len).eq(1).all()
    assert not plan[list(SEED_COLUMNS)].isin([0]).any(axis=None)


def test_posterior_arms_leave_out_points_and_noise_is_that_of_noisy_arms():
    plan = make_value_plan(options({"target": "posterior"}, {"target": "noise", "noise": 0.3}), {"p": 1, "q": 5})
    assert set(plan.loc[plan["target"] == "posterior", "teacher"]) == {"q"}
    assert set(plan.loc[plan["target"] == "posterior", "noise"]) == {0.0}
    assert set(plan.loc[plan["target"] == "noise", "teacher"]) == {"p", "q"}


@pytest.mark.parametrize(
    ("arms", "complaint"),
    [
        (
            [{"target": "exact", "teachers": "x"}],
            r"arms\[0\].teachers: there is no teacher 'x'; known: linear, ensemble",
        ),
        ([{"target": "exact"}, {"target": "exact", "teachers": "linear"}], "is declared twice"),
        ([{"target": "posterior", "teachers": []}], None),
    ],
)
def test_plans_that_cannot_be(arms, complaint):
    if complaint is None:
        with pytest.raises(ValueError, match="at least 1 item"):
            options(*arms)
        return
    with pytest.raises(UserError, match=complaint):
        make_value_plan(options(*arms), DRAWS)


@pytest.mark.parametrize(
    ("arm", "complaint"),
    [
        ({"target": "exact", "noise": 0.5}, "noise is that of target: noise"),
        ({"target": "exact", "num_responses": 2}, "leave num_responses at 1"),
        ({"target": "ground_truth", "teachers": ["t"]}, "leave teachers out"),
        ({"target": "ground_truth", "mixing": 0.5}, "nothing to mix"),
        ({"target": "noise", "noise": 0.0}, "greater than 0"),
        ({"target": "noise"}, "needs noise, the variance of a response"),
        ({"target": "noise", "model": "tree"}, "'linear' or 'network'"),
    ],
)
def test_arms_that_make_no_sense(arm, complaint):
    with pytest.raises(ValueError, match=complaint):
        ValueArmOptions.model_validate(arm)


def test_too_few_draws_are_said_with_the_numbers():
    plan = make_value_plan(options({"target": "posterior", "num_responses": 4}, response_seeds=3), DRAWS)
    with pytest.raises(
        UserError, match=r"need 12 draws of teacher 'ensemble' \(3 response seeds x 4 .*, and 8 are cached"
    ):
        check_draws(plan, DRAWS)
    check_draws(plan, {"linear": 12, "ensemble": 12})


def test_linear_students_are_least_squares_on_their_own_responses(world):
    inputs, targets, responses, _ = world
    plan = make_value_plan(PLAN, responses.num_draws)
    maker = value_targets(plan, responses.rows(np.arange(30)), targets[:30], 7.0)
    table = fit_linear_students(plan, inputs[:30], maker)
    rows = plan[plan["model"] == "linear"]
    assert table["student"].tolist() == rows["student"].tolist()
    design = np.column_stack([inputs[:30], np.ones(30)])
    for parameters, row in zip(table["parameters"], rows.itertuples(), strict=True):
        expected = np.linalg.lstsq(design, maker.target(row))[0]
        np.testing.assert_allclose(parameters, expected, rtol=1e-9)
    found = predict_linear_students(table, inputs)
    np.testing.assert_allclose(found[0], np.column_stack([inputs, np.ones(50)]) @ table["parameters"][0])


def test_noisy_targets_are_those_of_the_linear_population(world):
    """The same responses, whichever way a linear student is trained."""
    inputs, targets, responses, _ = world
    plan = make_value_plan(PLAN, responses.num_draws)
    maker = value_targets(plan, responses.rows(np.arange(30)), targets[:30], 7.0)
    arm = plan[(plan["target"] == "noise") & (plan["noise"] == 2.0) & (plan["num_responses"] == 4)]
    ours = np.stack(fit_linear_students(arm, inputs[:30], maker)["parameters"].to_list())
    train = noisy_students(make_design(inputs[:30]), responses.means["t"][:30], np.sqrt(2.0 * 7.0), num_responses=4)
    np.testing.assert_allclose(ours, train_students(train, as_seeds(arm["response_seed"])), rtol=1e-10)


def test_responses_average_and_share_nothing(world):
    _, targets, responses, _ = world
    plan = make_value_plan(PLAN, responses.num_draws)
    maker = value_targets(plan, responses, targets, 7.0)
    posterior = plan[(plan["target"] == "posterior") & (plan["model"] == "linear")]
    draws, used = responses.draws["t"], {}
    for row in posterior.itertuples():
        target = maker.target(row)
        pairs = [(i, j) for i in range(12) for j in range(i + 1)]
        (which,) = {
            frozenset(pair)
            for pair in pairs
            if len(set(pair)) == row.num_responses and np.allclose(draws[:, list(set(pair))].mean(1), target)
        }
        used.setdefault(row.response_seed, set()).update(which)
    sets = list(used.values())
    assert all(not (one & other) for i, one in enumerate(sets) for other in sets[:i])


def test_mixing_is_towards_the_datas_own_targets(world):
    _, targets, responses, _ = world
    plan = make_value_plan(options({"target": "exact", "model": "linear", "mixing": [0.25, 1.0]}), responses.num_draws)
    maker = value_targets(plan, responses, targets, 7.0)
    first, second = plan.itertuples()
    np.testing.assert_allclose(maker.mixed(first), 0.75 * targets + 0.25 * responses.means["t"])
    np.testing.assert_allclose(maker.mixed(second), responses.means["t"])


def job(world, **changes):
    inputs, targets, responses, _ = world
    plan = make_value_plan(PLAN, responses.num_draws)
    train = responses.rows(np.arange(30))
    center, std = targets[:30].mean(), targets[:30].std()
    return ValueJob(
        **{
            "plan": plan[plan["model"] == "network"],
            "inputs": inputs[:30].astype(np.float32),
            "labels": ((targets[:30] - center) / std).astype(np.float32)[:, None],
            "soft_labels": {"t": (train.draws["t"] - center) / std},
            "prediction_inputs": inputs.astype(np.float32),
            "num_classes": 1,
            "network_class": "kd_uncertainty.networks.MLP",
            "network_arguments": {"hidden": [8]},
            "training": TrainingOptions(epochs=3, batch_size=10, learning_rate=0.01),
            "shard_size": 10,
            "means": {"t": (train.means["t"] - center) / std},
            "whole_plan": plan,
            **changes,
        }
    )


def test_networks_learn_their_targets_by_squared_error(world):
    """A student of the job against plain PyTorch on the same target, initialisation and order."""
    ours = job(world, training=TrainingOptions(epochs=4, batch_size=100, optimiser="sgd", learning_rate=0.05))
    shard = ours.train_shard(0, "loop", torch.device("cpu"), 4)
    assert shard["logits"].shape == (10, 50, 1)
    row = next(ours.plan.itertuples())
    target = torch.from_numpy(ours.value_targets.target(row)).float()[:, None]
    from kd_uncertainty.population.initialisation import initial_states

    network = MLP(3, 1, hidden=[8])
    state = initial_states(ours.build, [row.initialisation_seed], torch.device("cpu"))
    network.load_state_dict({name: values[0] for name, values in state.items()})
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05)
    inputs = torch.from_numpy(ours.inputs)
    for _ in range(4):
        optimiser.zero_grad()
        (network(inputs) - target).square().mean().backward()
        optimiser.step()
    expected = network(torch.from_numpy(ours.prediction_inputs)).detach()
    torch.testing.assert_close(shard["logits"][0], expected, rtol=1e-5, atol=1e-6)


def test_the_identity_knows_what_results_depend_on(world):
    first = job(world)
    assert first.identity("loop") == job(world).identity("loop")
    other_means = {"t": first.means["t"] + 1e-6}
    labels = first.labels + np.float32(1e-3)
    for changes in ({"means": other_means}, {"labels": labels}, {"network_arguments": {"hidden": [9]}}):
        assert job(world, **changes).identity("loop") != first.identity("loop")


def test_metrics_by_hand(world):
    _, targets, *_ = world
    predictions = np.stack([targets, targets + 2.0, np.full(50, targets.mean())])
    found = metrics_of(predictions, targets)
    np.testing.assert_allclose(found["mse"], [0.0, 4.0, targets.var()])
    np.testing.assert_allclose(found["mae"][:2], [0.0, 2.0])
    np.testing.assert_allclose(found["r2"], [1.0, 1.0 - 4.0 / targets.var(), 0.0], atol=1e-12)


def test_student_metrics_against_loops(world):
    inputs, targets, responses, examples = world
    plan = make_value_plan(PLAN, responses.num_draws)
    plan = plan[plan["model"] == "linear"].reset_index(drop=True)
    maker = value_targets(plan, responses.rows(np.arange(30)), targets[:30], 7.0)
    table = fit_linear_students(plan, inputs[:30], maker)
    matrix = predict_linear_students(table, inputs)
    long = pd.DataFrame(
        {
            "student": np.repeat(plan["student"].to_numpy(), 50),
            "example_id": np.tile(np.arange(50), len(plan)),
            "prediction": matrix.ravel(),
        }
    ).sample(frac=1.0, random_state=0)
    found = student_table(long, plan, responses, examples, maker, linear_parameters=4)
    assert np.array_equal(prediction_matrix(long, plan["student"].to_numpy(), np.arange(50)), matrix)
    test = found[found["split"] == "test"].set_index("student")
    for position, row in enumerate(plan.itertuples()):
        mine = test.loc[row.student]
        assert mine["mse"] == pytest.approx(np.mean((matrix[position, 40:] - targets[40:]) ** 2))
        residuals = matrix[position, :30] - maker.target(row)
        assert mine["residual_variance"] == pytest.approx(residuals @ residuals / (30 - 4))
        if row.teacher == "none":
            assert np.isnan(mine["mse_to_teacher"])
        else:
            teacher = np.mean((matrix[position, 40:] - responses.means["t"][40:]) ** 2)
            assert mine["mse_to_teacher"] == pytest.approx(teacher)


def test_teacher_metrics_have_intervals_that_hold_the_estimate(world):
    *_, responses, examples = world
    table = teacher_table(responses, examples, confidence=0.9, num_bootstrap=400, seed=1)
    assert set(table["metric"]) == {"mse", "mae", "r2"}
    assert (table["lower"] < table["estimate"]).all()
    assert (table["estimate"] < table["upper"]).all()
    test = examples["split"] == "test"
    errors = (examples["target"] - responses.means["t"])[test]
    mse = table.query("split == 'test' and metric == 'mse'").iloc[0]
    assert mse["estimate"] == pytest.approx(np.mean(errors**2))
    half = 1.645 * np.std(errors**2, ddof=1) / np.sqrt(10)
    assert (mse["upper"] - mse["lower"]) == pytest.approx(2 * half, rel=0.35)


def written(responses):
    schema = value_schema({"seed": 1})
    draws = responses.draws["t"].T
    return value_table("t", responses.example_ids, responses.means["t"], draws, schema)


def test_responses_come_back_as_they_went(world):
    *_, responses, _ = world
    table = written(responses)
    shuffled = table.take(pa.array(np.random.default_rng(0).permutation(50)))
    found = read_values(shuffled, np.arange(50))
    assert np.array_equal(found.means["t"], responses.means["t"])
    assert np.array_equal(found.draws["t"], responses.draws["t"])
    some = found.rows(np.array([3, 17]))
    assert np.array_equal(some.draws["t"], responses.draws["t"][[3, 17]])
    assert found.num_draws == {"t": 12}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda t: t.drop_columns("mean"), "column 'mean' is missing"),
        (lambda t: t.slice(0, 48), r"lacks 2 of 50 examples \(the first is example_id 48\)"),
        (lambda t: pa.concat_tables([t, t.slice(5, 1)]), "has example 5 twice"),
        (lambda t: t.slice(0, 0), "the table has no rows"),
        (
            lambda t: t.set_column(2, "mean", pa.array(np.full(50, np.nan))),
            "has values that are missing or infinite",
        ),
        (
            lambda t: t.set_column(3, "draws", pa.array([[1.0]] * 49 + [[1.0, 2.0]])),
            "rows with different numbers of draws",
        ),
    ],
)
def test_responses_of_ones_own_are_checked(world, change, complaint):
    *_, responses, _ = world
    with pytest.raises(UserError, match=complaint):
        read_values(change(written(responses)), np.arange(50))


def test_draws_are_dealt_over_the_whole_plan(world):
    """Linear students and networks of a response seed see the same draws."""
    *_, responses, _ = world
    plan = make_value_plan(PLAN, responses.num_draws)
    networks = plan[plan["model"] == "network"]
    assert deal_draws(plan) == deal_draws(networks)
