"""Bounds on real networks: everything listed where it can be, and what holds of any run."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits

from kd_uncertainty.bounds._networks_measures import WEIGHTS, Runs, label_shifts, measure, pseudo_labelled
from kd_uncertainty.bounds._networks_training import with_replacements
from kd_uncertainty.bounds.finite_population import (
    TrainingSets,
    draw_sets,
    empirical_risk,
    known_population,
    losses_of,
    risk,
)
from kd_uncertainty.bounds.networks import PROXIES, network_bounds, quantities, quantity_rows
from kd_uncertainty.convergence.examples import StudyExamples
from kd_uncertainty.errors import UserError
from kd_uncertainty.population.initialisation import initial_states
from kd_uncertainty.population.prediction import predict
from kd_uncertainty.population.seeds import batch_orders, derive_seed
from kd_uncertainty.uncertainty.students import student_mean

from ..convergence.worlds_networks import world
from .network_worlds import minimisers_of, options, truth_of, two_points

MLP = {"class": "kd_uncertainty.networks.MLP", "arguments": {"hidden": [5]}}


@pytest.fixture(scope="module")
def listed():
    """The two points: options, figures of 300 training sets, and the truth by enumeration."""
    chosen = options(num_sets=300)
    population = known_population(two_points(), 0.1)
    return chosen, measure(minimisers_of(population, chosen), population, 3, chosen), truth_of(population, chosen)


def within(values, truth, errors=4.0):
    values = np.asarray(values).ravel()
    return abs(values.mean() - truth) < errors * values.std(ddof=1) / np.sqrt(len(values))


def test_gaps_are_those_of_all_training_sets_listed(listed):
    """Means over 300 training sets within 4 standard errors of the sum over all 64, which also differ enough."""
    _, found, truth = listed
    assert within(found.teacher, truth.gen_teacher)
    assert within(found.student_pseudo, truth.gen_student_pseudo)
    assert within(found.student_true, truth.gen_student_true)
    for one, other in itertools.combinations(truth[:3], 2):
        assert abs(one - other) > 4 * np.std(found.student_true) / np.sqrt(300)


def test_divergences_hold_the_listed_ones_between_them(listed):
    """The dataset shift lies between its bounds, of which each gains by its parameter; the upper one is far better."""
    chosen, found, truth = listed
    assert within(found.label_shift, truth.mean_label_shift)
    memory, below = found.memory.mean(axis=0), found.reference_shift.mean(axis=0)
    assert memory[0] == below[0] == 0.0
    assert 0.0 < below.max() < truth.dataset_shift < truth.mean_label_shift - memory.max() < truth.mean_label_shift
    assert memory.max() < truth.mean_label_shift - truth.dataset_shift  # which is the mutual information
    assert memory.max() > 0.6 * (truth.mean_label_shift - truth.dataset_shift)
    assert within(2 * chosen.teacher.noise**2 * found.algorithm_shift, truth.algorithm_distance)
    assert (found.function_space <= found.algorithm_shift).all()
    every = quantities(found, 3)
    assert every["dataset_shift"] == pytest.approx(found.label_shift.mean() - memory.max())
    assert every["divergence_lower_estimate"] < truth.dataset_shift + found.algorithm_shift.mean() < every["divergence"]


def test_a_teacher_that_knows_its_labels_by_heart_hardly_shifts_them():
    """Its pseudo-labels are the true labels, independent draws of P: the bound from above is almost 0, not n H(P)."""
    population = known_population(two_points(), 0.1)
    sets = TrainingSets(np.tile([[0], [1]], (100, 1)), np.zeros((200, 1), dtype=np.int64))
    generator = np.random.default_rng(0)
    sets.labels[:] = generator.random((200, 1)) < population.probabilities[sets.points, 1]
    logits = 30.0 * np.eye(2)[sets.labels][:, None] * np.ones((1, 1, 2, 1))  # of the one label at both points
    found = label_shifts(logits, sets, population)
    entropy = -(population.probabilities * np.log(population.probabilities)).sum(axis=1).mean()
    assert found.label_shift.mean() == pytest.approx(entropy, rel=0.1)
    assert 0.0 <= found.label_shift.mean() - found.memory.mean(axis=0).max() < 0.005 * entropy


def test_label_shifts_by_hand():
    """Two sets with a common input, against sums written out."""
    population = known_population(two_points(), 0.1)
    logits = np.random.default_rng(0).standard_normal((2, 3, 2, 2))
    sets = TrainingSets(np.array([[0, 1, 1], [1, 0, 0]]), np.array([[0, 1, 0], [1, 1, 0]]))
    found = label_shifts(logits, sets, population)
    said = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    for row in range(2):
        others = said[1 - row].mean(axis=0)
        shift, (memory, reference) = 0.0, np.zeros((2, len(WEIGHTS)))
        for point, label in zip(sets.points[row], sets.labels[row], strict=True):
            truth, equal = population.probabilities[point], np.arange(2) == label
            for p in said[row, :, point]:
                shift += (p * np.log(p / truth)).sum() / 3
                for place, weight in enumerate(WEIGHTS):
                    told = np.log(weight * equal + 1 - weight) - np.log(weight * truth + 1 - weight)
                    memory[place] += (p * told).sum() / 3
                    mixed = weight * others[point] + (1 - weight) * truth
                    reference[place] += (p * np.log(mixed / truth)).sum() / 3
        assert found.label_shift[row] == pytest.approx(shift, rel=1e-12)
        np.testing.assert_allclose(found.memory[row], memory, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(found.reference_shift[row], reference, rtol=1e-10, atol=1e-12)


def test_pseudo_labels_are_drawn_from_the_teacher():
    """Frequencies over 4000 draws within 4 standard errors, at the inputs of the set."""
    logits = np.log(np.array([[0.9, 0.1], [0.3, 0.7]]))
    sets = TrainingSets(np.tile([0, 1], (1, 2000)), np.zeros((1, 4000), dtype=np.int64))
    found = pseudo_labelled(logits[None], sets, seed=1)
    np.testing.assert_array_equal(found.points, sets.points)
    for point, probability in enumerate((0.1, 0.7)):
        mean = found.labels[sets.points == point].mean()
        assert abs(mean - probability) < 4 * math.sqrt(probability * (1 - probability) / 2000)


def test_a_network_is_trained_on_its_rows_with_their_own_labels():
    """Against a plain loop; one input is there twice with different labels."""
    chosen = options()
    population = known_population(two_points(), 0.1)
    sets = TrainingSets(np.array([[0, 0, 1], [1, 1, 0]]), np.array([[0, 1, 1], [1, 0, 0]]))
    minimisers = minimisers_of(population, chosen)
    found = minimisers.fit(sets, "student")
    start = initial_states(minimisers.build, [derive_seed(chosen.seed, "initialisation")], torch.device("cpu"))
    for row in range(2):
        network = minimisers.build()
        network.load_state_dict({name: values[0] for name, values in start.items()})
        optimiser = torch.optim.SGD(network.parameters(), lr=0.2)
        inputs, labels = population.inputs[sets.points[row]], torch.from_numpy(sets.labels[row])
        for epoch in range(2):
            order = torch.from_numpy(batch_orders([derive_seed(chosen.seed, "order")], epoch, 3)[0])
            for batch in torch.split(order, 2):
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(network(inputs[batch]), labels[batch]).backward()
                optimiser.step()
        for name, values in network.state_dict().items():
            np.testing.assert_allclose(found[name][row], values, atol=1e-6)


def test_noise_is_the_kernel_s_own():
    """Teachers and students of equal means: spreads are those of the options, draws are uncorrelated, copies share."""
    student = options().student.model_dump(mode="json") | {"noise": 0.02}
    teacher = student | {"noise": 0.01}
    chosen = options(teacher=teacher, student=student, num_sets=200, num_draws=2)
    population = known_population(two_points(), 0.1)
    minimisers = minimisers_of(population, chosen)
    means = {name: torch.zeros(200, *values.shape) for name, values in minimisers.build().named_parameters()}
    runs = Runs(minimisers, population, chosen)
    teachers, students = (
        runs.logits(means, role).reshape(400, -1).astype(np.float64) for role in ("teacher", "student")
    )
    norms = np.sqrt(1 + (population.inputs.numpy() ** 2).sum(axis=1)).repeat(2)  # of (x, 1), in order (points, classes)
    for found, noise in ((teachers, 0.01), (students, 0.02)):
        np.testing.assert_allclose(found.std(axis=0), noise * norms, rtol=4 / np.sqrt(2 * 400))
    assert abs(np.corrcoef(teachers[:, 0], students[:, 0])[0, 1]) < 4 / np.sqrt(400)
    assert abs(np.corrcoef(teachers[::2, 0], teachers[1::2, 0])[0, 1]) < 4 / np.sqrt(200)
    copies = runs.logits(means, "teacher", copies=2)
    np.testing.assert_array_equal(copies[::2], copies[1::2])


def test_replacements_change_one_example_and_are_measured():
    chosen = options(num_sets=3, num_replacements=2, num_draws=2)
    population = known_population(two_points(), 0.1)
    minimisers = minimisers_of(population, chosen)
    sets = draw_sets(population, 3, 3, derive_seed(chosen.seed, "sets"))
    fresh = draw_sets(population, 3, 2, derive_seed(chosen.seed, "fresh"))
    changed = with_replacements(sets, fresh, 2)
    differ = (changed.points != sets.points.repeat(2, 0)) | (changed.labels != sets.labels.repeat(2, 0))
    assert not differ[::2, 1:].any()  # the first replacement is of the first example
    assert not differ[1::2, [0, 2]].any()
    np.testing.assert_array_equal(changed.points[::2, 0], fresh.points[:, 0])
    np.testing.assert_array_equal(changed.labels[1::2, 1], fresh.labels[:, 1])
    found = measure(minimisers, population, 3, chosen)
    gap, loss = {}, {}
    for name, some in (("before", sets), ("after", changed)):
        logits = predict(minimisers.build, minimisers.fit(some, "teacher"), population.inputs).double().numpy()
        losses = losses_of(logits[:, None], "brier")
        gap[name], loss[name] = (risk(losses, population) - empirical_risk(losses, some))[:, 0], losses[:, 0]
    moved = np.abs(gap["after"] - gap["before"].repeat(2)).reshape(3, 2)
    apart = np.abs(loss["after"] - loss["before"].repeat(2, axis=0)).max(axis=(1, 2)).reshape(3, 2)
    np.testing.assert_allclose(found.differences, moved, atol=1e-4)  # but for noise of 1e-6
    np.testing.assert_allclose(found.stability, apart, atol=1e-4)
    assert moved.max() > 0.01


def test_equal_algorithms_do_not_shift():
    teacher = options().teacher.model_dump(mode="json")
    found = network_bounds(two_points(), options(student=teacher)).table.set_index("quantity")["estimate"]
    assert found["algorithm_shift"] == 0.0
    assert found["divergence"] == found["dataset_shift"]


@pytest.fixture(scope="module")
def small():
    """Networks of one hidden layer on a mixture: data, options and table."""
    data = world(train=60, validation=20, test=20, known=False)
    fit = {"training": {"epochs": 6, "batch_size": 8, "learning_rate": 0.02}, "noise": 0.05}
    student = fit | {"training": fit["training"] | {"epochs": 4}}
    chosen = options(
        network=MLP, teacher=fit, student=student, num_examples=[10, 30], label_noise=[0.1, 0.3], num_sets=5,
        num_draws=3, num_replacements=2,
    )  # fmt: skip
    return data, chosen, network_bounds(data, chosen).table


def test_the_table_has_every_quantity_of_every_cell(small):
    _, chosen, table = small
    assert list(table) == [
        "num_examples", "label_noise", "quantity", "estimate", "lower", "upper", "num_sets", "inside", "inside_true",
    ]  # fmt: skip
    of_proxies = {f"{kind}_{proxy}" for kind in ("sigma", "upper", "lower", "tightness") for proxy in PROXIES}
    divergences = {"divergence", "dataset_shift", "algorithm_shift", "divergence_lower_estimate", "dataset_shift_lower",
                   "algorithm_shift_function_space"}  # fmt: skip
    gaps = {"gen_teacher", "gen_student_pseudo", "gen_student_true", "risk_teacher", "risk_student"}
    assert set(table["quantity"]) == gaps | divergences | of_proxies
    assert len(table) == 4 * len(gaps | divergences | of_proxies)
    assert (table["num_sets"] == chosen.num_sets).all()
    bounds = table["quantity"].str.match("(upper|tightness)_|lower_(?!estimate)")
    assert table.loc[bounds, ["inside", "inside_true"]].notna().all(axis=None)
    assert table.loc[~bounds, ["inside", "inside_true"]].isna().all(axis=None)


def test_quantities_fit_together(small):
    _, _, table = small
    for _, cell in table.groupby(["num_examples", "label_noise"]):
        found, inside = cell.set_index("quantity")["estimate"], cell.set_index("quantity")["inside"]
        assert found["divergence"] == pytest.approx(found["dataset_shift"] + found["algorithm_shift"])
        assert 0.0 <= found["dataset_shift_lower"] <= found["dataset_shift"]
        assert found["divergence_lower_estimate"] <= found["divergence"]
        assert found["sigma_std"] <= found["sigma_cumulant"] <= found["sigma_hoeffding"] == 1.0
        for proxy in PROXIES:
            half = found[f"sigma_{proxy}"] * math.sqrt(2 * found["divergence"])
            assert found[f"upper_{proxy}"] == pytest.approx(found["gen_teacher"] + half)
            assert found[f"lower_{proxy}"] == pytest.approx(found["gen_teacher"] - half)
            assert found[f"tightness_{proxy}"] == pytest.approx(2 * half / abs(found["gen_student_pseudo"]))
            gap = found["gen_student_pseudo"]
            assert inside[f"tightness_{proxy}"] == (found[f"lower_{proxy}"] <= gap <= found[f"upper_{proxy}"])
        assert inside["tightness_hoeffding"]


def test_the_table_is_the_same_whatever_the_threads(small):
    data, chosen, table = small
    pd.testing.assert_frame_equal(network_bounds(data, chosen, threads=2).table, table)


def test_a_cell_does_not_depend_on_the_others(small):
    data, chosen, table = small
    alone = network_bounds(data, chosen.model_copy(update={"num_examples": (30,), "label_noise": (0.3,)})).table
    cell = table[(table["num_examples"] == 30) & (table["label_noise"] == 0.3)].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, cell)


def test_intervals_of_means_are_student_s(listed):
    _, found, _ = listed
    found = found._replace(**{name: values[:12] for name, values in found._asdict().items()})
    rows = {row["quantity"]: row for row in quantity_rows(found, 3, 0.9)}
    for name, values in (("gen_teacher", found.teacher), ("algorithm_shift", found.algorithm_shift)):
        expected = student_mean(values.reshape(12, -1).mean(axis=1), 0.9)
        np.testing.assert_allclose([rows[name][c] for c in ("estimate", "lower", "upper")], expected, rtol=1e-9)
    assert math.isnan(rows["sigma_stability"]["upper"])
    assert rows["sigma_hoeffding"]["lower"] == rows["sigma_hoeffding"]["upper"] == 1.0
    # Delete-one pseudo-values of the cumulant proxy's interval are more than those of its parts: it moves with both.
    assert rows["upper_cumulant"]["lower"] < rows["upper_cumulant"]["estimate"] < rows["upper_cumulant"]["upper"]


def test_sigmas_by_hand(listed):
    _, found, _ = listed
    gaps = np.array([[0.1, 0.3], [0.2, -0.1], [0.0, 0.1]])
    some = found._replace(
        **{name: values[:3] for name, values in found._asdict().items()},
    )._replace(teacher=gaps, differences=np.array([[0.2], [0.1], [0.3]]), stability=np.array([[0.4], [0.5], [0.1]]))
    every = quantities(some, 7)
    assert every["sigma_std"] == pytest.approx(gaps.std())
    slopes = np.linspace(0.1, 200.0, 20_001)
    slopes = np.concatenate([-slopes, slopes])[:, None]
    cumulants = np.log(np.exp(slopes * (gaps.ravel() - gaps.mean())).mean(axis=1))
    assert every["sigma_cumulant"] == pytest.approx(np.sqrt(2 * cumulants / slopes[:, 0] ** 2).max(), rel=1e-4)
    assert every["sigma_bounded_difference"] == pytest.approx(math.sqrt(7 * 0.3**2 + 0.3**2) / 2)
    assert every["sigma_stability"] == pytest.approx(math.sqrt(7 * (2 * 0.5 + 1 / 7) ** 2 + 0.3**2) / 2)


def test_what_cannot_be_measured_is_refused():
    data = two_points()
    certain = data._replace(bayes=None)
    with pytest.raises(UserError, match="label_noise above 0"):
        network_bounds(certain, options(label_noise=[0.0]))
    with pytest.raises(UserError, match="no density"):
        network_bounds(data, options(network={"class": f"{__package__}.test_gaussian_kernels.WithBatchNorm"}))
    steep = options().teacher.model_dump(mode="json")
    steep["training"] |= {"learning_rate": 1e38}
    with pytest.raises(UserError, match=r"networks\.teacher\.training\.learning_rate"):
        network_bounds(data, options(teacher=steep))


def digits():
    inputs, labels = load_digits(return_X_y=True)
    spread = inputs.std(axis=0)
    inputs = (inputs - inputs.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    splits = np.array(["train"] * len(labels), dtype=object)
    return StudyExamples(torch.from_numpy(inputs).float(), torch.from_numpy(labels).long(), splits, None, 10)


@pytest.mark.slow
def test_real_networks_are_consistent_with_the_bounds():
    """Default run on digits: both gaps inside every interval; the one that certifies is vacuous by far."""
    chosen = type(options())()
    table = network_bounds(digits(), chosen).table
    assert chosen.num_sets >= 20
    flags = table.dropna(subset=["inside"])
    assert flags["inside"].all()
    assert flags["inside_true"].all()
    cells = table.pivot_table(index=["label_noise", "num_examples"], columns="quantity", values="estimate")
    assert (cells["sigma_std"] <= cells["sigma_cumulant"]).all()
    assert (cells["sigma_cumulant"] <= cells["sigma_hoeffding"]).all()
    assert (cells["gen_student_pseudo"] > cells["gen_student_true"]).all()
    assert (cells["tightness_hoeffding"] > 50).all()  # vacuous, and no accident
    assert (cells["upper_hoeffding"] > 1.0).all()
    smaller = cells.xs(50, level="num_examples"), cells.xs(400, level="num_examples")
    assert (smaller[0]["gen_teacher"] > smaller[1]["gen_teacher"]).all()
