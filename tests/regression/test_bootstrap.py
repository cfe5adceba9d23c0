"""The section on bootstrap resamples against closed forms and brute force."""

import numpy as np
import pytest
from pydantic import ValidationError

from kd_uncertainty.population.linear.bootstrap import bootstrap_weights
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.regression._cells import seeds_of
from kd_uncertainty.regression.bootstrap import (
    BootstrapOptions,
    bootstrap_rows,
    bootstrap_table,
    linear_predictions,
    teacher_answers,
)
from kd_uncertainty.regression.networks import NetworkFit, StudentSeeds, train_networks
from tests.regression.worlds import QUICK, task, with_intercept

COLUMNS = [
    "model", "targets", "fraction", "size", "num_students", "inter_variance", "inter_variance_lower",
    "inter_variance_upper", "test_mse", "test_mse_lower", "test_mse_upper", "teacher_mse",
]  # fmt: skip
VARIANCE = ["inter_variance", "inter_variance_lower", "inter_variance_upper"]


def options(*models, **settings):
    return BootstrapOptions(**{"models": models, "teacher": QUICK, "student": QUICK, **settings})


def test_rows_are_what_the_weights_of_linear_students_count():
    seeds = seeds_of(7, "resample", 50)
    rows = bootstrap_rows(seeds, 30, 40)
    counts = np.stack([np.bincount(drawn, minlength=30) for drawn in rows])
    np.testing.assert_array_equal(counts, bootstrap_weights(seeds, 30, 40))
    np.testing.assert_array_equal(bootstrap_rows(seeds, 30, 15), rows[:, :15])  # smaller resamples are nested


def test_linear_students_of_a_linear_teacher_are_the_teacher_whatever_the_size():
    data = task(60, 4, 25)
    train, test = teacher_answers("linear", data, options("linear"), 1)
    ordinary = np.linalg.lstsq(with_intercept(data.train_inputs), data.train_targets)[0]
    np.testing.assert_allclose(test, with_intercept(data.test_inputs) @ ordinary, rtol=1e-10)
    predictions = linear_predictions(data, train, 12, seeds_of(7, "resample", 200))
    np.testing.assert_allclose(predictions, np.broadcast_to(test, predictions.shape), rtol=1e-9)
    found = bootstrap_table(data, options("linear", targets=("teacher",), fractions=(0.2, 1.0)))
    assert (found[VARIANCE] == 0.0).all(axis=None)
    np.testing.assert_allclose(found["test_mse"], found["teacher_mse"], rtol=1e-9)


def test_resamples_without_full_rank_leave_variance_even_on_a_linear_teacher():
    found = bootstrap_table(task(40, 6, 10), options("linear", targets=("teacher",), fractions=(0.1,)))
    assert found["size"][0] == 4
    assert found["inter_variance_lower"][0] > 1.0


def test_students_that_fit_a_mean_have_the_variance_of_a_bootstrap_mean():
    data = task(40, 1, 3)
    data = data._replace(train_inputs=np.zeros((40, 1)), test_inputs=np.zeros((3, 1)))
    students = 20_000
    found = bootstrap_table(data, options("linear", targets=("ground_truth",), num_students=students))
    for row in found.itertuples():
        assert row.size == round(row.fraction * 40)
        variance = data.train_targets.var() / row.size
        kurtosis = (((data.train_targets - data.target_mean) / data.target_std) ** 4).mean() - 3
        error = variance * np.sqrt((2 + max(kurtosis, 0) / row.size) / students)
        assert abs(row.inter_variance - variance) < 4 * error
        bias = (data.target_mean - data.test_targets) ** 2
        assert row.teacher_mse == pytest.approx(bias.mean(), rel=1e-10)
        assert row.test_mse == pytest.approx(bias.mean() + variance, abs=4 * (row.test_mse_upper - row.test_mse) / 1.96)


def test_linear_students_of_the_ground_truth_are_least_squares_on_their_rows():
    data = task(50, 3, 20)
    (row,) = bootstrap_table(
        data, options("linear", targets=("ground_truth",), fractions=(0.4,), num_students=15)
    ).itertuples()
    predictions = []
    for drawn in bootstrap_rows(seeds_of(7, "resample", 15), 50, 20):
        fitted = np.linalg.lstsq(with_intercept(data.train_inputs[drawn]), data.train_targets[drawn])[0]
        predictions.append(with_intercept(data.test_inputs) @ fitted)
    predictions = np.array(predictions)
    assert row.inter_variance == pytest.approx(predictions.var(axis=0, ddof=1).mean(), rel=1e-9)
    assert row.test_mse == pytest.approx(((predictions - data.test_targets) ** 2).mean(), rel=1e-9)


def test_networks_are_those_trained_one_by_one_on_a_table_of_their_rows():
    data = task(30, 3, 10)
    found = bootstrap_table(data, options("network", fractions=(0.5,), num_students=4)).set_index("targets")

    def trained(inputs, targets, purpose, *number):
        alone = data._replace(train_inputs=inputs, train_targets=targets)  # scaled as the whole table
        seeds = [(derive_seed(*purpose, part, *number),) for part in ("initialisation", "order")]
        return train_networks(alone, targets[None], QUICK, StudentSeeds(*seeds, (0,)))

    teacher = trained(data.train_inputs, data.train_targets, (derive_seed(7, "teacher"),))
    labels = {"teacher": teacher.predict(data.train_inputs)[0], "ground_truth": data.train_targets}
    for target, row in found.iterrows():
        predictions = np.concatenate(
            [
                trained(data.train_inputs[drawn], labels[target][drawn], (7,), student).predict(data.test_inputs)
                for student, drawn in enumerate(bootstrap_rows(seeds_of(7, "resample", 4), 30, 15))
            ]
        )
        assert row["inter_variance"] == pytest.approx(predictions.var(axis=0, ddof=1).mean(), rel=1e-3)
        assert row["test_mse"] == pytest.approx(((predictions - data.test_targets) ** 2).mean(), rel=1e-3)


def test_a_common_start_leaves_only_the_resamples():
    untrained = NetworkFit(training=TrainingOptions(epochs=1, batch_size=1_000_000, learning_rate=1e-12))
    variance = {
        common: bootstrap_table(
            task(),
            options("network", student=untrained, fractions=(0.5,), targets=("teacher",), common_start=common),
        )["inter_variance"][0]
        for common in (True, False)
    }
    assert variance[True] < 1e-6 * variance[False]


def test_variance_between_students_falls_with_the_size_of_the_resample():
    found = bootstrap_table(task(80, 3, 20), options("linear", "network", targets=("ground_truth",), num_students=100))
    for _, rows in found.groupby("model"):
        assert (rows["inter_variance"].diff()[1:] < 0).all()
        assert rows["inter_variance_upper"].iloc[-1] < rows["inter_variance_lower"].iloc[0]


def test_rows_are_functions_of_the_seed_alone():
    data, chosen = task(30, 3, 10), options("linear", "network", fractions=(0.5, 1.0), num_students=5)
    first = bootstrap_table(data, chosen)
    assert list(first.columns) == COLUMNS
    assert first["model"].tolist() == ["linear"] * 4 + ["network"] * 4
    assert first["targets"].tolist() == ["teacher", "teacher", "ground_truth", "ground_truth"] * 2
    assert bootstrap_table(data, chosen, threads=2).equals(first)
    alone = bootstrap_table(data, options("network", targets=("ground_truth",), fractions=(0.5,), num_students=5))
    assert alone.equals(first.iloc[[6]].reset_index(drop=True))
    assert not bootstrap_table(data, chosen.model_copy(update={"seed": 8})).equals(first)


def test_progress_counts_every_student(capsys):
    bootstrap_table(task(), options("linear", "network", fractions=(0.5,), num_students=5), progress=True)
    assert "20/20" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fractions": ()}, "at least 1 item"),
        ({"fractions": (0.0,)}, "greater than 0"),
        ({"models": ("linear", "linear")}, "names a value twice"),
        ({"targets": ()}, "at least 1 item"),
        ({"num_students": 2}, "greater than or equal to 3"),
    ],
)
def test_impossible_options_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        BootstrapOptions(**settings)
