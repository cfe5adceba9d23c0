"""The section on teacher output against the closed forms of linear students."""

import numpy as np
import pytest
from pydantic import ValidationError

from kd_uncertainty.population.linear.noise import standard_normals
from kd_uncertainty.regression._cells import seeds_of
from kd_uncertainty.regression.networks import StudentSeeds, train_networks
from kd_uncertainty.regression.teacher_output import TeacherOutputOptions, teacher_output_table
from tests.regression.worlds import QUICK, task, with_intercept

COLUMNS = [
    "model", "noise", "noise_variance", "num_students", "inter_variance", "inter_variance_lower",
    "inter_variance_upper", "closed_form_variance", "test_mse", "test_mse_lower", "test_mse_upper", "closed_form_mse",
    "teacher_mse",
]  # fmt: skip


def linear(**settings):
    return TeacherOutputOptions(models=("linear",), **settings)


def table(data, options, **arguments):
    return teacher_output_table(data, options, **arguments)


def test_linear_students_have_the_variance_and_the_error_of_theory():
    data, students = task(), 20_000
    found = table(data, linear(noise=(0.25, 1.0), num_students=students, num_responses=2))
    ordinary, where = with_intercept(data.train_inputs), with_intercept(data.test_inputs)
    shape = where @ np.linalg.inv(ordinary.T @ ordinary) @ where.T
    teacher = where @ np.linalg.lstsq(ordinary, data.train_targets)[0]
    for row in found.itertuples():
        sigma_squared = row.noise * data.train_targets.var()
        variance = sigma_squared * np.diag(shape).mean() / 2
        assert row.noise_variance == pytest.approx(sigma_squared, rel=1e-12)
        assert row.closed_form_variance == pytest.approx(variance, rel=1e-10)
        # the variance of a mean over points of squared normals is twice the sum of squared covariances
        error = np.sqrt(2 * ((sigma_squared * shape / 2) ** 2).mean() / (students - 1))
        assert abs(row.inter_variance - variance) < 4 * error
        assert row.teacher_mse == pytest.approx(((teacher - data.test_targets) ** 2).mean(), rel=1e-10)
        assert row.closed_form_mse == pytest.approx(row.teacher_mse + variance, rel=1e-10)
        quarter = (row.test_mse_upper - row.test_mse_lower) / (2 * 1.96)
        assert abs(row.test_mse - row.closed_form_mse) < 4 * quarter


def test_intervals_hold_the_closed_form_at_their_rate():
    data, repetitions = task(20, 2, 6), 300
    held = {"variance": 0, "mse": 0}
    for seed in range(repetitions):
        (row,) = table(data, linear(noise=(1.0,), num_students=60, seed=seed), confidence=0.9).itertuples()
        held["variance"] += row.inter_variance_lower <= row.closed_form_variance <= row.inter_variance_upper
        held["mse"] += row.test_mse_lower <= row.closed_form_mse <= row.test_mse_upper
    for count in held.values():
        assert abs(count / repetitions - 0.9) < 4 * np.sqrt(0.9 * 0.1 / repetitions)


def test_without_noise_linear_students_are_the_teacher_and_networks_differ():
    found = table(task(), TeacherOutputOptions(noise=(0.0,), num_students=8, network=QUICK)).set_index("model")
    row = found.loc["linear"]
    assert row[["inter_variance", "inter_variance_lower", "inter_variance_upper"]].tolist() == [0.0, 0.0, 0.0]
    assert row["test_mse"] == pytest.approx(row["teacher_mse"], rel=1e-10)
    assert found.loc["network", "inter_variance_lower"] > 0.0


def test_noise_scales_the_variance_of_linear_students_on_common_random_numbers():
    found = table(task(), linear(noise=(0.1, 0.3, 2.0), num_students=50))
    np.testing.assert_allclose(found["inter_variance"] / found["noise"], found["inter_variance"][0] / 0.1, rtol=1e-9)
    more = table(task(), linear(noise=(0.1,), num_students=4000, num_responses=4))
    one = table(task(), linear(noise=(0.1,), num_students=4000))
    assert more["inter_variance"][0] * 4 == pytest.approx(one["inter_variance"][0], rel=4 * np.sqrt(2 / 4000))


def test_networks_are_those_trained_by_hand_on_the_same_responses():
    data = task(30, 3, 10)
    options = TeacherOutputOptions(models=("network",), noise=(0.5,), num_students=4, num_responses=2, network=QUICK)
    (row,) = table(data, options).itertuples()

    def trained(targets, purpose):
        seeds = [tuple(seeds_of(5, f"{purpose} {part}", len(targets)).tolist()) for part in ("initialisation", "order")]
        return train_networks(data, targets, QUICK, StudentSeeds(*seeds, tuple(range(len(targets)))))

    teacher = trained(data.train_targets[None], "teacher")
    noise = sum(standard_normals(seeds_of(5, "response", 4), stream, 30) for stream in range(2)) / 2
    targets = teacher.predict(data.train_inputs) + np.sqrt(0.5 * data.train_targets.var()) * noise
    predictions = trained(targets, "student").predict(data.test_inputs)
    # float32 training; the last bits of the targets differ
    assert row.inter_variance == pytest.approx(predictions.var(axis=0, ddof=1).mean(), rel=1e-4)
    assert row.test_mse == pytest.approx(((predictions - data.test_targets) ** 2).mean(), rel=1e-4)
    teacher_mse = ((teacher.predict(data.test_inputs) - data.test_targets) ** 2).mean()
    assert row.teacher_mse == pytest.approx(teacher_mse, rel=1e-4)
    assert np.isnan(row.closed_form_variance)
    assert np.isnan(row.closed_form_mse)


def test_noise_of_responses_makes_networks_differ_more():
    options = TeacherOutputOptions(models=("network",), noise=(0.0, 2.0), num_students=20, network=QUICK)
    found = table(task(), options)
    assert found["inter_variance_lower"][1] > found["inter_variance_upper"][0]


def test_rows_are_functions_of_the_seed_alone():
    data, options = task(30, 3, 10), TeacherOutputOptions(noise=(0.1, 1.0), num_students=12, network=QUICK)
    first = table(data, options)
    assert list(first.columns) == COLUMNS
    assert first[["model", "noise"]].values.tolist() == [
        ["linear", 0.1], ["linear", 1.0], ["network", 0.1], ["network", 1.0],
    ]  # fmt: skip
    assert table(data, options, threads=2).equals(first)
    alone = table(data, options.model_copy(update={"noise": (1.0,)}))
    assert alone.equals(first[first["noise"] == 1.0].reset_index(drop=True))
    assert not table(data, options.model_copy(update={"seed": 6})).equals(first)


def test_progress_counts_every_student(capsys):
    table(task(), TeacherOutputOptions(noise=(0.1, 1.0), num_students=4, network=QUICK), progress=True)
    assert "16/16" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise": (1.0, 1.0)}, "names a value twice"),
        ({"noise": ()}, "at least 1 item"),
        ({"noise": (-0.1,)}, "greater than or equal to 0"),
        ({"num_students": 3}, "greater than or equal to 4"),
        ({"num_responses": 0}, "greater than 0"),
        ({"models": ("forest",)}, "linear"),
    ],
)
def test_impossible_options_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        TeacherOutputOptions(**settings)
