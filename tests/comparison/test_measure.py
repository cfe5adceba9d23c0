"""Targets against their definition, teachers' figures against a direct computation, and what students share."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from kd_uncertainty import calibration
from kd_uncertainty.comparison.measure import make_targets
from kd_uncertainty.comparison.plan import Cell, student_draws, teacher_cells
from kd_uncertainty.comparison.students import Classroom, labels_only, training_of
from kd_uncertainty.population.options import TrainingOptions

from .worlds import FIT, SIZES, compared, logits_of, make_data, options, planted, posterior

DATA = make_data()


def test_a_target_is_the_mean_of_the_first_k_draws_of_its_student():
    logits = np.random.default_rng(1).standard_normal((7, 40, 3)).astype(np.float32)
    draws = student_draws(5, 40, 8, seed=0)
    cells = [Cell("it", 8), Cell("it", 1), Cell("it", 8, temperature=4.0)]
    targets = make_targets(cells, logits, draws)
    for cell in cells:
        for student in range(5):
            own = logits[:, draws[student, : cell.num_draws]].astype(np.float64)
            expected = softmax(own / cell.temperature, axis=-1).mean(axis=1)
            np.testing.assert_allclose(targets.tables[targets.used[cell][student]], expected, atol=1e-6)


def test_students_of_the_same_draws_share_a_table():
    logits = np.random.default_rng(1).standard_normal((7, 8, 3)).astype(np.float32)
    targets = make_targets([Cell("it", 8), Cell("it", 8, 0.5)], logits, student_draws(5, 8, 8, seed=0))
    assert len(targets.tables) == 1


def test_figures_of_a_teacher_are_those_of_its_mean():
    teacher = posterior("noisy", "swag", logits_of(DATA), 1.0, None)
    (lesson,) = compared(DATA, [teacher]).lessons
    mean = softmax(teacher.answers(40).astype(np.float64), axis=-1).mean(axis=1)
    test = DATA.split_of(mean, "test")
    assert lesson.quality["test", "nll"][0] == pytest.approx(calibration.nll(np.log(test), DATA.labels_of("test")))
    right = (test.argmax(axis=1) == DATA.labels_of("test")).mean()
    assert lesson.quality["test", "accuracy"][0] == pytest.approx(right)


def test_the_error_is_that_of_the_students_targets():
    teacher = posterior("noisy", "swag", logits_of(DATA), 1.0, None)
    (lesson,) = compared(DATA, [teacher]).lessons
    draws = softmax(teacher.answers(40)[: SIZES["train"]].astype(np.float64), axis=-1)
    expected = (
        ((draws[:, :5] - DATA.bayes["train"][:, None]) ** 2).sum(axis=-1).mean()
    )  # the first draw of each student
    assert lesson.error[1][0] == pytest.approx(expected, rel=1e-5)
    assert lesson.error[8][0] < 0.5 * lesson.error[1][0]
    assert lesson.error[1][1] < expected < lesson.error[1][2]


def test_the_exact_teacher_has_no_error_and_without_truth_there_is_none():
    exact = [one for one in planted(DATA) if one.name == "exact"]
    (lesson,) = compared(DATA, exact).lessons
    assert lesson.error[1][0] < 1e-12
    (unknown,) = compared(make_data(known=False), exact).lessons
    assert unknown.error == {}
    assert ("test", "bayes_error") not in unknown.outcomes[unknown.base].metrics


def test_losses_and_metrics_are_of_the_same_students():
    (lesson,) = compared(DATA, planted(DATA)[:1]).lessons
    for outcome in lesson.outcomes.values():
        np.testing.assert_allclose(outcome.losses.mean(axis=1), outcome.metrics["validation", "nll"])


def test_only_the_first_cell_is_watched():
    (lesson,) = compared(DATA, planted(DATA)[:1]).lessons
    watched = [cell for cell, outcome in lesson.outcomes.items() if ("validation", "noise_nll_std") in outcome.metrics]
    assert watched == [lesson.base]
    noise = lesson.outcomes[lesson.base].metrics
    assert all(noise["validation", f"noise_{name}"].min() > 0.0 for name in ("nll_std", "nll_step", "accuracy_std"))
    assert noise["train", "gradient_variance"].min() > 0.0


def test_too_few_epochs_have_no_noise():
    chosen = options()
    room = Classroom(DATA, chosen, FIT._replace(training=TrainingOptions(epochs=2, batch_size=32)))
    cell = Cell("none", 0, mixing=0.0)
    outcome = room.teach([cell], labels_only([cell], room.one_hot, 5))[cell]
    assert np.isnan(outcome.metrics["validation", "noise_nll_std"]).all()


def test_a_cell_does_not_depend_on_the_others_or_on_threads():
    teacher = planted(DATA)[2]
    (alone,) = compared(DATA, [teacher], fractions=[1.0], mixing=[1.0], temperature=[1.0]).lessons
    (among,) = compared(DATA, [teacher], threads=2).lessons
    for cell in alone.outcomes:
        assert np.array_equal(alone.outcomes[cell].losses, among.outcomes[cell].losses)


def test_mixing_one_forgets_the_labels_and_students_of_labels_the_teacher():
    chosen, flipped = options(), make_data()
    labels = (flipped.train.labels + 1) % 3
    flipped = flipped._replace(train=flipped.train._replace(labels=labels))
    cell = Cell("exact", 1)
    table = make_targets([cell], logits_of(DATA)[: SIZES["train"], None].astype(np.float32), student_draws(5, 1, 1, 0))
    ours, theirs = (Classroom(data, chosen, FIT).teach([cell], table)[cell].losses for data in (DATA, flipped))
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(("size", "epochs"), [(1077, 20), (54, 340), (539, 38)])
def test_few_shot_students_take_as_many_steps(size, epochs):
    training = TrainingOptions(epochs=20, batch_size=64, schedule="step", milestones=(10, 15), warmup_epochs=2)
    scaled = training_of(options(), training, 1077, size)
    assert scaled.epochs == epochs
    assert abs(scaled.epochs * -(-size // 64) - 20 * 17) <= -(-size // 64) / 2
    assert scaled.milestones == (round(epochs / 2), round(epochs * 0.75))
    assert training_of(options(few_shot_training="epochs"), training, 1077, size) == training


def test_students_of_a_subset_see_nothing_else():
    """Targets outside of every subset may be anything."""
    chosen = options(fractions=[0.25])
    room = Classroom(DATA, chosen, FIT)
    cell = Cell("exact", 1, fraction=0.25)
    logits = logits_of(DATA)[: SIZES["train"], None].astype(np.float32)
    targets = make_targets([cell], logits, student_draws(5, 1, 1, 0))
    rows = room._cohort([cell], targets, 0.25).rows
    assert rows.shape == (5, 40)
    spoilt = targets._replace(tables=targets.tables.clone())
    outside = torch.tensor(sorted(set(range(SIZES["train"])) - set(rows.ravel().tolist())))
    assert len(outside)
    spoilt.tables[:, outside] = 1.0 / 3.0
    ours, theirs = (room.teach([cell], one)[cell].losses for one in (targets, spoilt))
    assert np.array_equal(ours, theirs)


def test_cells_of_the_control_are_never_taught():
    cells = teacher_cells(options(), "it", 1)
    assert all(cell.mixing > 0.0 for cell in cells)
