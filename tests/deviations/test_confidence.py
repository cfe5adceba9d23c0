"""The experiment on confidence: its arms against networks trained by hand, and what it finds."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
import torch

from kd_uncertainty.convergence.examples import study_examples
from kd_uncertainty.deviations.confidence import ConfidenceOptions, confidence_experiment
from kd_uncertainty.deviations.statistics import DEVIATIONS, deviation_statistics, log_odds
from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import MLP
from kd_uncertainty.population.contract import Cohort
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.training import predict, train
from kd_uncertainty.tasks.bundled import load_bundled
from kd_uncertainty.tasks.options import IngestionOptions
from kd_uncertainty.tasks.tables import prepare_task
from kd_uncertainty.uncertainty.students import student_mean
from tests.convergence.worlds_networks import world

KEYS = ["teacher", "student", "temperature"]


def options(**changes):
    network = {"class": "kd_uncertainty.networks.MLP", "arguments": {"hidden": [8]}}
    other = {"class": "kd_uncertainty.networks.MLP", "arguments": {"hidden": [5]}}
    settings = {
        "teacher": network,
        "students": {"self": network, "smaller": other},
        "training": {"epochs": 6, "batch_size": 32, "learning_rate": 0.01},
        "early_stop": 2,
        "num_seeds": 3,
        "num_bins": 4,
        "num_bootstrap": 20,
    }
    return ConfidenceOptions.model_validate(settings | changes)


@pytest.fixture(scope="module")
def data():
    return world(train=160, validation=40, test=60, variance=6.0)


@pytest.fixture(scope="module")
def found(data):
    return confidence_experiment(data, options())


def by_hand(data, role, epochs, targets=None, temperature=1.0):
    """Networks of the experiment's seeds, trained on labels or on targets (seeds, examples, classes); all logits."""
    part, chosen = data.part("train"), options()
    seeds = [
        [derive_seed(chosen.seed, role, kind, number) for number in range(3)] for kind in ("initialisation", "order")
    ]
    labels = torch.nn.functional.one_hot(part.labels, 3).float().expand(3, -1, -1)
    cohort = Cohort(
        labels if targets is None else targets,
        torch.full((3,), 0.0 if targets is None else 1.0),
        torch.full((3,), temperature),
        tuple(seeds[0]),
        tuple(seeds[1]),
    )
    build = functools.partial(MLP, 6, 3, hidden=[8])
    training = chosen.training.model_copy(update={"epochs": epochs})
    trained = train(build, part.inputs, part.labels, cohort, training)
    return predict(build, trained.parameters, data.inputs).numpy()


@pytest.mark.parametrize(("name", "epochs"), [("interpolating", 6), ("early_stopped", 2)])
def test_students_and_controls_are_those_trained_by_hand(data, found, name, epochs):
    rows = data.rows("train")
    teachers = by_hand(data, "teacher", epochs)
    targets = torch.softmax(torch.from_numpy(teachers[:, rows]).double() / 4.0, dim=-1).float()
    students, control = by_hand(data, "student", 6, targets, 4.0), by_hand(data, "student", 6)
    groups = {"student": students, "control": control}
    if name == "early_stopped":
        groups["stopped_control"] = by_hand(data, "student", 2)
    for split in ("train", "test"):
        rows = data.rows(split)
        table = found.deviations
        table = table[(table[KEYS] == [name, "self", 4.0]).all(axis=1) & (table["split"] == split)]
        figures = {
            group: deviation_statistics(*log_odds(teachers[:, rows], logits[:, rows]))
            for group, logits in groups.items()
        }
        for group, values in figures.items():
            estimates = table[table["group"] == group].set_index("statistic")["estimate"]
            for statistic in DEVIATIONS:
                assert estimates[statistic] == pytest.approx(values[statistic].mean(), rel=1e-4, abs=1e-5)
        row = table[(table["group"] == "difference") & (table["statistic"] == "median_shift_low")].iloc[0]
        of_pairs = figures["student"]["median_shift_low"] - figures["control"]["median_shift_low"]
        assert (row["lower"], row["upper"]) == pytest.approx(student_mean(of_pairs)[1:], rel=1e-3)


def test_tables_have_every_arm_split_and_group_once(found):
    table = found.deviations
    assert not table.duplicated([*KEYS, "split", "statistic", "group"]).any()
    assert len(table[KEYS].drop_duplicates()) == 2 * 2 * 2
    groups = table.groupby("teacher")["group"].unique().map(set)
    assert groups["interpolating"] == {"student", "control", "difference", "teacher"}
    assert groups["early_stopped"] == groups["interpolating"] | {"stopped_control", "stopped_difference"}
    assert not found.bins.duplicated([*KEYS, "split", "group", "bin"]).any()
    assert set(found.gains["arms"]) == {"all", "interpolating", "early_stopped"}
    assert found.gains.groupby("arms")["num_arms"].unique().map(list).to_dict() == {
        "all": [8],
        "early_stopped": [4],
        "interpolating": [4],
    }


def test_the_difference_is_that_of_the_estimates(found):
    table = found.deviations[found.deviations["statistic"] == "median_shift_low"]
    wide = table.pivot_table(index=[*KEYS, "split"], columns="group", values="estimate")
    np.testing.assert_allclose(wide["difference"], wide["student"] - wide["control"], atol=1e-12)
    stopped = wide.dropna()
    np.testing.assert_allclose(
        stopped["stopped_difference"], stopped["student"] - stopped["stopped_control"], atol=1e-12
    )


def test_no_arm_depends_on_the_others_or_on_threads(data, found):
    chosen = options()
    few = chosen.model_copy(update={"students": {"self": chosen.students["self"]}, "temperatures": (4.0,)})
    alone = confidence_experiment(data, few, threads=2)
    for one, all_of_them in ((alone.deviations, found.deviations), (alone.bins, found.bins)):
        same = all_of_them[(all_of_them["student"] == "self") & (all_of_them["temperature"] == 4.0)]
        pd.testing.assert_frame_equal(one, same.reset_index(drop=True), check_exact=True)


def test_a_teacher_that_does_not_fit_its_labels_is_named(data, caplog):
    confidence_experiment(data, options(students={"self": options().students["self"]}))
    assert "the interpolating teacher fits" in caplog.text
    assert "raise training.epochs" in caplog.text


def test_progress_is_shown_where_asked_for(data, capsys):
    chosen = options(students={"self": options().students["self"]}, temperatures=[2.0])
    confidence_experiment(data, chosen, progress=True)
    assert "confidence: 100%" in capsys.readouterr().err
    confidence_experiment(data, chosen)
    assert capsys.readouterr().err == ""


def test_training_that_diverges_says_what_to_change(data):
    training = {"epochs": 6, "optimiser": "sgd", "learning_rate": 1e12}
    with pytest.raises(UserError, match=r"^confidence: .* set a smaller confidence\.training\.learning_rate"):
        confidence_experiment(data, options(training=training))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"early_stop": 6}, r"must be fewer epochs than training\.epochs"),
        ({"num_seeds": 2}, "greater than or equal to 3"),
        ({"training": {"epochs": 6, "schedule": "step", "milestones": [3]}}, "must be constant or cosine"),
        ({"training": {"epochs": 6, "warmup_epochs": 2}}, "warmup_epochs fewer than early_stop"),
        ({"students": {}}, "at least 1 item"),
        ({"mixing": 0.0}, "greater than 0"),
        ({"temperature": 4.0}, "Extra inputs"),
    ],
)
def test_options_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        options(**changes)


def on_digits(seed=0, **changes):
    """Deviations on the bundled digits with a fifth of the training labels flipped: the default options."""
    task = prepare_task(load_bundled("digits"), IngestionOptions(target="target", label_noise=0.2, seed=seed))
    chosen = ConfidenceOptions().model_copy(update=changes)
    return confidence_experiment(study_examples(task.examples, 10), chosen, threads=2).deviations


def rows_of(table, teacher, student, temperature, split):
    """Rows of an arm by (statistic, group)."""
    place = [teacher, student, temperature, split]
    rows = table[(table[[*KEYS, "split"]] == place).all(axis=1)]
    return rows.set_index(["statistic", "group"])


@pytest.fixture(scope="module")
def digits():
    return on_digits(num_seeds=16)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_students_exaggerate_an_interpolating_teacher_on_its_training_set(seed):
    """Of the training set, at temperature 4 and in self-distillation, whatever the split and the label noise's draw."""
    chosen = {"students": {"self": ConfidenceOptions().students["self"]}, "temperatures": (4.0,), "num_seeds": 8}
    rows = rows_of(on_digits(seed, **chosen), "interpolating", "self", 4.0, "train")
    assert rows.loc[("accuracy", "teacher"), "estimate"] > 0.99
    assert rows.loc[("slope_low_quartile", "student"), "lower"] > 1.0
    assert rows.loc[("slope_low_quartile", "difference"), "standard_errors"] > 2.0
    assert rows.loc[("low_decile_below", "student"), "estimate"] >= 0.8
    assert rows.loc[("low_decile_below", "control"), "estimate"] <= 0.5
    assert rows.loc[("low_decile_below", "difference"), "standard_errors"] > 2.0


@pytest.mark.slow
def test_on_the_test_set_the_control_deviates_as_much(digits):
    """Most of the lowest decile lies below the diagonal, and as much of it for a network that had no teacher."""
    rows = rows_of(digits, "interpolating", "self", 4.0, "test").loc["low_decile_below"]
    assert rows.loc["control", "lower"] > 0.5
    assert abs(rows.loc["difference", "standard_errors"]) < 3.0
    slope = rows_of(digits, "interpolating", "self", 4.0, "test").loc["slope_low_quartile"]
    assert slope.loc["difference", "standard_errors"] < 2.0


@pytest.mark.slow
def test_without_interpolation_or_without_temperature_there_is_no_exaggeration(digits):
    stopped = rows_of(digits, "early_stopped", "self", 4.0, "train")["estimate"]
    assert stopped["slope_low_quartile", "student"] == pytest.approx(1.0, abs=0.05)
    assert stopped["low_decile_below", "student"] == pytest.approx(0.5, abs=0.1)
    cold = rows_of(digits, "interpolating", "self", 1.0, "train")["estimate"]
    assert cold["slope_low_quartile", "difference"] < 0.15
    assert rows_of(digits, "interpolating", "self", 4.0, "train")["estimate"]["slope_low_quartile", "difference"] > 0.3


@pytest.mark.slow
def test_across_architectures_slopes_exceed_those_of_the_control_and_shares_need_not(digits):
    """A smaller network is less sure of everything: its control lies below the teacher's least sure tenth as well."""
    for student in ("smaller", "larger"):
        rows = rows_of(digits, "interpolating", student, 4.0, "train")
        assert rows.loc[("slope_low_quartile", "student"), "lower"] > 1.0
        assert rows.loc[("slope_low_quartile", "difference"), "standard_errors"] > 2.0
        assert rows.loc[("low_decile_below", "student"), "estimate"] >= 0.8
    shares = {student: rows_of(digits, "interpolating", student, 4.0, "train") for student in ("smaller", "larger")}
    assert shares["smaller"].loc[("low_decile_below", "control"), "estimate"] > 0.8
    assert shares["larger"].loc[("low_decile_below", "control"), "estimate"] < 0.2
