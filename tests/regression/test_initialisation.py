"""The section on initialisation: starts against their distributions, cells against populations trained by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from kd_uncertainty.networks import MLP
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.regression.initialisation import (
    InitialisationOptions,
    Start,
    flat_parameters,
    initialisation_table,
    kaiming_states,
    perturbed_states,
    start_states,
)
from kd_uncertainty.regression.networks import StudentSeeds, train_networks
from tests.regression.worlds import QUICK, task

COLUMNS = [
    "targets", "initialisation", "sigma", "num_students", "parameter_dispersion", "parameter_dispersion_lower",
    "parameter_dispersion_upper", "trained_dispersion", "trained_dispersion_lower", "trained_dispersion_upper",
    "inter_variance", "inter_variance_lower", "inter_variance_upper", "test_mse", "test_mse_lower", "test_mse_upper",
    "teacher_mse",
]  # fmt: skip
BOUNDS = ("", "_lower", "_upper")


def options(**settings):
    return InitialisationOptions(**{"teacher": QUICK, "student": QUICK, "num_students": 6, **settings})


def build():
    return MLP(5, 1, hidden=(7,))


def test_kaiming_starts_are_normal_with_variance_two_over_fan_in_and_biases_of_zero():
    students = 4000
    states = kaiming_states(build, range(students))
    assert {name: tuple(values.shape[1:]) for name, values in states.items()} == {
        "0.weight": (7, 5), "0.bias": (7,), "2.weight": (1, 7), "2.bias": (1,),
    }  # fmt: skip
    for name, fan_in in (("0.weight", 5), ("2.weight", 7)):
        values = states[name].double().numpy().ravel()
        variance = 2 / fan_in
        assert abs(values.mean()) < 4 * np.sqrt(variance / values.size)
        assert abs((values**2).mean() - variance) < 4 * variance * np.sqrt(2 / values.size)
        assert abs((values**4).mean() - 3 * variance**2) < 4 * variance**2 * np.sqrt(96 / values.size)
    assert not states["0.bias"].any()
    assert not states["2.bias"].any()


def test_all_but_weights_and_biases_stays_as_the_network_makes_it():
    def normalised():
        return nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))

    states = perturbed_states(kaiming_states(normalised, [4]), 0.5, range(3))
    assert (states["1.weight"] == 1).all()
    assert (states["1.running_var"] == 1).all()
    assert not states["1.num_batches_tracked"].any()
    assert states["1.bias"].unique().numel() == 9  # perturbed as all biases are


def test_dispersion_of_the_perturbed_start_is_that_of_its_closed_form():
    students, sigma = 4000, 0.3
    start = kaiming_states(build, [1])
    states = perturbed_states(start, sigma, range(students))
    for name, values in states.items():
        common = start[name].double().numpy()[0].ravel()
        expected = np.full(common.shape, 0.01 * sigma**2) if name.endswith("bias") else (sigma * common) ** 2
        found = values.double().numpy().reshape(students, -1)
        error = np.sqrt(2 / (students - 1)) * np.sqrt((expected**2).sum()) / expected.size
        assert abs(found.var(axis=0, ddof=1).mean() - expected.mean()) < 4 * error
        assert (np.abs(found.mean(axis=0) - common) < 5 * np.sqrt(expected / students)).all()


def test_perturbations_are_independent_between_parameters_and_students():
    students = 4000
    noise = (
        flat_parameters(
            perturbed_states(
                {name: torch.ones_like(v) for name, v in kaiming_states(build, [1]).items()}, 1.0, range(students)
            )
        )
        - 1
    )
    correlation = np.corrcoef(noise.T)
    assert np.abs(correlation[np.triu_indices(len(correlation), 1)]).max() < 5 / np.sqrt(students)
    neighbours = (noise[1:] * noise[:-1]).mean() / (noise**2).mean()
    assert abs(neighbours) < 4 / np.sqrt(noise.size)


def test_perturbation_scales_with_sigma_on_common_random_numbers():
    start = start_states(build, Start(0.0), 4, seed=3)
    for values in start.values():
        assert (values == values[:1]).all()
    flat, small, large = (flat_parameters(start_states(build, Start(sigma), 4, seed=3)) for sigma in (0.0, 0.1, 0.4))
    np.testing.assert_allclose(large - flat, 4 * (small - flat), atol=2e-6)
    more = flat_parameters(start_states(build, Start(0.1), 6, seed=3))
    np.testing.assert_array_equal(more[:4], small)


def test_without_perturbation_nothing_differs_and_the_control_does():
    found = initialisation_table(task(), options(sigmas=(0.0,)))
    perturbed = found[found["initialisation"] == "perturbed"]
    for name in ("parameter_dispersion", "trained_dispersion", "inter_variance"):
        assert (perturbed[[name + bound for bound in BOUNDS]] == 0.0).all(axis=None)
    control = found[found["initialisation"] == "independent"]
    assert len(control) == 2
    assert control["sigma"].isna().all()
    assert (control[["parameter_dispersion_lower", "trained_dispersion_lower", "inter_variance_lower"]] > 0).all(
        axis=None
    )


def test_dispersion_and_variance_between_students_grow_with_sigma():
    found = initialisation_table(
        task(), options(sigmas=(0.05, 0.4), num_students=40, independent=False, targets=("teacher",))
    )
    small, large = found.itertuples()
    assert large.parameter_dispersion == pytest.approx(64 * small.parameter_dispersion, rel=1e-4)
    assert large.trained_dispersion_lower > small.trained_dispersion_upper
    assert large.inter_variance_lower > small.inter_variance_upper


def test_cells_are_populations_trained_by_hand():
    data, seed = task(30, 3, 10), 6
    found = initialisation_table(data, options(sigmas=(0.2,), num_students=4, independent=False)).set_index("targets")

    def network():
        return MLP(3, 1, hidden=(16,))

    def trained(targets, initial, students):
        seeds = StudentSeeds((0,) * students, (0,) * students, (0,) * students)
        return train_networks(data, targets[None], QUICK, seeds, initial=initial)

    teacher = trained(data.train_targets, kaiming_states(network, [derive_seed(seed, "teacher start")]), 1)
    (answers,) = teacher.predict(data.train_inputs)
    teacher_mse = ((teacher.predict(data.test_inputs)[0] - data.test_targets) ** 2).mean()
    start = kaiming_states(network, [derive_seed(seed, "start")])
    initial = perturbed_states(start, 0.2, [derive_seed(seed, "perturbation", student) for student in range(4)])
    for target, labels in (("teacher", answers), ("ground_truth", data.train_targets)):
        students, row = trained(labels, initial, 4), found.loc[target]
        predictions = students.predict(data.test_inputs)
        assert row["inter_variance"] == pytest.approx(predictions.var(axis=0, ddof=1).mean(), rel=1e-9)
        assert row["test_mse"] == pytest.approx(((predictions - data.test_targets) ** 2).mean(), rel=1e-9)
        assert row["teacher_mse"] == pytest.approx(teacher_mse, rel=1e-9)
        for name, states in (("parameter_dispersion", initial), ("trained_dispersion", students.parameters)):
            flat = np.concatenate([values.double().flatten(1).numpy() for values in states.values()], axis=1)
            assert row[name] == pytest.approx(flat.var(axis=0, ddof=1).mean(), rel=1e-9)


def test_rows_are_functions_of_the_seed_alone():
    data, settings = task(30, 3, 10), {"sigmas": (0.1, 0.3), "num_students": 5}
    first = initialisation_table(data, options(**settings))
    assert list(first.columns) == COLUMNS
    assert first["targets"].tolist() == ["teacher"] * 3 + ["ground_truth"] * 3
    assert first["initialisation"].tolist() == ["perturbed", "perturbed", "independent"] * 2
    pd.testing.assert_frame_equal(initialisation_table(data, options(**settings), threads=2), first, check_exact=True)
    alone = initialisation_table(
        data, options(sigmas=(0.3,), num_students=5, independent=False, targets=("ground_truth",))
    )
    pd.testing.assert_frame_equal(alone, first.iloc[[4]].reset_index(drop=True), check_exact=True)
    assert not initialisation_table(data, options(**settings, seed=7)).equals(first)


def test_progress_counts_every_student(capsys):
    initialisation_table(task(), options(sigmas=(0.1,)), progress=True)
    assert "24/24" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sigmas": ()}, "at least 1 item"),
        ({"sigmas": (-0.1,)}, "greater than or equal to 0"),
        ({"targets": ("teacher", "teacher")}, "names a value twice"),
        ({"targets": ("truth",)}, "ground_truth"),
        ({"num_students": 2}, "greater than or equal to 3"),
    ],
)
def test_impossible_options_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        InitialisationOptions(**settings)
