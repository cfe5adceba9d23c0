"""The section's tables: contents, limits, and the statements that they put to the test."""

import math

import numpy as np
import pandas as pd
import pytest

from kd_uncertainty.deviations._denoising_descent import descend, metric, smoothness
from kd_uncertainty.deviations._denoising_worlds import draw_worlds, softmax
from kd_uncertainty.deviations.denoising import BAYES, ONE_HOT, DenoisingOptions, Teacher, denoising, measure
from kd_uncertainty.uncertainty.students import student_mean

QUICK = {
    "num_examples": 60, "tail_size": 90, "similarities": [0.0, 0.8], "teacher_steps": [1, 10, 200],
    "alignment_teachers": [3, 200], "student_steps": [1, 20], "num_seeds": 6,
}  # fmt: skip


def bounds(*names):
    return [f"{name}{suffix}" for name in names for suffix in ("", "_lower", "_upper")]


@pytest.fixture(scope="module")
def tables():
    return denoising(DenoisingOptions(**QUICK))


def rows(table, **keys):
    for key, value in keys.items():
        table = table[table[key] == value]
    return table


def test_columns(tables):
    assert list(tables.entries) == [
        "signal", "similarity", "student_step", "teacher", "teacher_step",
        *bounds(
            "destructive", "destructive_change", "flip", "flip_change", "false_flip", "false_flip_change",
            "teacher_accuracy",
        ),
        "num_seeds",
    ]  # fmt: skip
    assert list(tables.alignment) == [
        "signal", "similarity", "quantity", "student_step", "teacher", "teacher_step", *bounds("cosine", "gain"),
        "num_seeds",
    ]  # fmt: skip
    assert len(tables.entries) == 2 * 2 * 2 * 4
    assert len(tables.alignment) == 2 * 2 * (2 + 2 + 2) * 4
    assert tables.entries["student_step"].dtype == np.int64
    assert tables.entries["teacher_step"].isna().tolist() == (tables.entries["teacher"] == "bayes").tolist()
    assert tables.alignment["teacher_step"].notna().tolist() == (tables.alignment["teacher"] == "trained").tolist()
    assert (tables.entries["num_seeds"] == 6).all()
    for name in ("destructive", "flip", "false_flip", "teacher_accuracy"):
        assert tables.entries[name].between(0.0, 1.0).all()
        assert (tables.entries[f"{name}_lower"] <= tables.entries[f"{name}_upper"]).all()
    assert tables.alignment["cosine"].between(-1.0, 1.0).all()


def test_the_bayes_teacher_flips_exactly_what_is_destructive(tables):
    bayes = rows(tables.entries, teacher="bayes")
    assert (bayes[bounds("flip")] == 1.0).all(axis=None)
    assert (bayes[bounds("false_flip")] == 0.0).all(axis=None)


def test_a_teacher_that_has_memorised_flips_nothing(tables):
    late = rows(tables.entries, teacher_step=200.0)
    assert (late["teacher_accuracy"] == 1.0).all()
    assert late["flip"].max() < 0.01
    early = rows(tables.entries, teacher_step=1.0, student_step=0)
    assert (early["flip_lower"] > early["false_flip_upper"]).all()


def test_changes_are_paired_differences(tables):
    """Against figures of each seed, put together by hand for one row."""
    options = DenoisingOptions(**QUICK)
    first, last = (measure(draw_worlds(options, "top", similarity), options) for similarity in (0.0, 0.8))
    row = rows(tables.entries, signal="top", similarity=0.8, student_step=0, teacher_step=10.0).iloc[0]
    teacher, earliest = Teacher("trained", 10), Teacher("trained", 1)
    expected = {
        "destructive": last.counts[0][teacher].destructive,
        "destructive_change": last.counts[0][teacher].destructive - first.counts[0][teacher].destructive,
        "flip": last.counts[0][teacher].flip,
        "flip_change": last.counts[0][teacher].flip - last.counts[0][earliest].flip,
        "false_flip_change": last.counts[0][teacher].false_flip - last.counts[0][earliest].false_flip,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(row[bounds(name)].to_list(), student_mean(values), atol=1e-15)
    line = rows(tables.alignment, signal="top", similarity=0.8, quantity="weights", student_step=20, teacher="bayes")
    of = last.cosines["weights", 20]
    np.testing.assert_allclose(line.iloc[0][bounds("gain")].to_list(), student_mean(of[BAYES] - of[ONE_HOT]))
    same = rows(tables.alignment, teacher="one_hot")
    assert (same[bounds("gain")] == 0.0).all(axis=None)


def test_figures_are_those_of_models_trained_by_hand():
    """One teacher and its student, found anew from the worlds, and shares by their definition."""
    options = DenoisingOptions(**QUICK, entry_steps=[4])
    worlds = draw_worlds(options, "spread", 0.8)
    cell = measure(worlds, options)
    plain = metric(worlds)
    rates = 1.0 / smoothness(plain.gram)
    taught = softmax(descend(plain.gram, worlds.one_hot[:, None], rates, [10])[10].logits)
    student = descend(plain.gram, taught, rates, [4])[4]
    counted = cell.counts[4][Teacher("trained", 10)]
    for seed in range(options.num_seeds):
        truth, p, q = worlds.probabilities[seed], softmax(student.logits[seed, 0]), taught[seed, 0]
        others = np.ones(truth.shape, dtype=bool)
        others[np.arange(60), worlds.labels[seed]] = False
        harmful = others & (truth - p > 0)
        assert counted.destructive[seed] == harmful.sum() / others.sum()
        assert counted.flip[seed] == (p[harmful] - q[harmful] < 0).mean()
        assert counted.false_flip[seed] == (p[others & ~harmful] - q[others & ~harmful] < 0).mean()
        assert counted.teacher_accuracy[seed] == (q.argmax(axis=1) == worlds.labels[seed]).mean()


def test_cosines_are_those_of_weights_trained_by_hand():
    """A teacher and its student as plain matrices of weights: in weights, in the covariance, and of the gradient."""
    options = DenoisingOptions(**QUICK, entry_steps=[4])
    worlds = draw_worlds(options, "spread", 0.8)
    cell = measure(worlds, options)
    root = np.sqrt(worlds.variances)[:, None]

    def cosine(one, other):
        return (one * other).sum() / np.linalg.norm(one) / np.linalg.norm(other)

    for seed in range(options.num_seeds):
        x, truth = worlds.inputs[seed], worlds.weights[seed]
        rate = 2.0 / np.linalg.eigvalsh(x.T @ x / len(x))[-1]

        def train(targets, steps, x=x, rate=rate):
            weights = np.zeros((x.shape[1], 9))
            for _ in range(steps):
                weights -= rate / len(x) * x.T @ (softmax(x @ weights) - targets)
            return weights

        taught = softmax(x @ train(worlds.one_hot[seed], 3))
        young, grown = train(taught, 4), train(taught, 20)
        pull = x.T @ (taught - softmax(x @ young))
        expected = {
            ("weights", 20): cosine(grown, truth),
            ("logits", 20): cosine(root * grown, root * truth),
            ("gradient", 4): cosine(pull, truth - young),
        }
        for key, value in expected.items():
            assert cell.cosines[key][Teacher("trained", 3)][seed] == pytest.approx(value, abs=1e-11)


def test_the_first_gradient_is_the_first_step(tables):
    first = rows(tables.alignment, quantity="gradient", student_step=0)
    step = rows(tables.alignment, quantity="weights", student_step=1)
    np.testing.assert_allclose(first[bounds("cosine", "gain")], step[bounds("cosine", "gain")], atol=1e-12)


def test_without_any_signal_every_class_deserves_what_it_has():
    """W* near 0: probabilities are 1/K, entries split by rounding of chance, and no teacher aligns with anything."""
    found = denoising(DenoisingOptions(**{**QUICK, "logit_deviation": 1e-3, "num_seeds": 12}))
    at_start = rows(found.entries, student_step=0)
    assert (at_start["destructive"] - 0.5).abs().max() < 0.05
    one_hot = rows(found.alignment, teacher="one_hot", quantity="weights")
    assert one_hot["cosine"].abs().max() < 0.1


def test_near_certain_labels_leave_nothing_destructive():
    """Without similarity and with large logits P* is nearly one-hot: the label says all."""
    settings = {**QUICK, "similarities": [0.0], "logit_deviation": 4000.0, "entry_steps": [0]}
    sure = denoising(DenoisingOptions(**settings)).entries
    assert sure["destructive"].max() < 1e-3
    assert (sure["false_flip"] < 0.5).all()


def test_near_certain_groups_leave_the_label_to_chance():
    """Similar classes that nothing tells apart: each has 1/3, and 2 of 8 other entries are destructive."""
    settings = {**QUICK, "similarities": [1.0 - 1e-12], "logit_deviation": 4000.0, "entry_steps": [0]}
    found = denoising(DenoisingOptions(**settings)).entries
    assert found["destructive"].sub(0.25).abs().max() < 0.005


def test_seeds_without_destructive_entries_have_no_rate():
    settings = {**QUICK, "similarities": [0.0], "logit_deviation": 1e8, "entry_steps": [0], "num_seeds": 3}
    found = denoising(DenoisingOptions(**settings)).entries
    assert (found["destructive"] == 0.0).all()
    assert found["flip"].isna().all()
    assert found["false_flip"].notna().all()


def test_the_same_options_give_the_same_tables_and_progress_changes_nothing(tables, capsys):
    again = denoising(DenoisingOptions(**QUICK), progress=True)
    assert "denoising" in capsys.readouterr().err
    for one, other in zip(tables, again, strict=True):
        pd.testing.assert_frame_equal(one, other)
    moved = denoising(DenoisingOptions(**QUICK, seed=5))
    assert not tables.entries["flip"].equals(moved.entries["flip"])


def test_neither_neighbours_nor_the_order_of_options_change_a_figure(tables):
    settings = {
        **QUICK, "similarities": [0.8], "signals": ["spread"], "teacher_steps": [200, 10],
        "alignment_teachers": [200], "student_steps": [20],
    }  # fmt: skip
    fewer = denoising(DenoisingOptions(**settings))
    keys = {"signal": "spread", "similarity": 0.8}
    for step in (10.0, 200.0):
        one, other = (rows(table.entries, **keys, teacher_step=step) for table in (fewer, tables))
        unpaired = bounds("destructive", "flip", "false_flip", "teacher_accuracy")
        np.testing.assert_array_equal(one[unpaired], other[unpaired])
    one, other = (
        rows(table.alignment, **keys, student_step=20, teacher_step=200.0)[bounds("cosine", "gain")]
        for table in (fewer, tables)
    )
    np.testing.assert_array_equal(one, other)


def test_more_seeds_keep_the_first():
    few, more = (DenoisingOptions(**{**QUICK, "num_seeds": count}) for count in (3, 5))
    first, second = (measure(draw_worlds(options, "top", 0.8), options) for options in (few, more))
    for key, values in first.cosines.items():
        for teacher, cosine in values.items():
            np.testing.assert_array_equal(cosine, second.cosines[key][teacher][:3])
    for step, counts in first.counts.items():
        for teacher, counted in counts.items():
            for one, other in zip(counted, second.counts[step][teacher], strict=True):
                np.testing.assert_array_equal(one, other[:3])


def test_confidence_widens_intervals(tables):
    narrow = denoising(DenoisingOptions(**QUICK), confidence=0.5)
    assert (narrow.alignment["cosine"] == tables.alignment["cosine"]).all()
    widths = [table.alignment["cosine_upper"] - table.alignment["cosine_lower"] for table in (narrow, tables)]
    assert (widths[0] < widths[1]).all()


def errors_from_zero(row, name):
    """Estimate in standard errors, from the half width of a 95 % interval of Student's t with 15 degrees of freedom."""
    half = (row[f"{name}_upper"] - row[f"{name}_lower"]) / 2.0
    return row[name] / (half / 2.13145) if half else math.copysign(math.inf, row[name])


@pytest.mark.slow
def test_the_default_options_show_the_statements_and_where_they_fail():
    """The whole of the section with its defaults, 16 seeds; every statement clears 4 standard errors."""
    found = denoising(DenoisingOptions())
    counted, aligned = found.entries, found.alignment

    start = rows(counted, student_step=0, teacher="trained")
    for signal in ("top", "spread"):
        by = rows(start, signal=signal, teacher_step=1.0)
        assert (np.diff(by["destructive"]) > 0.0).all()  # with similarity
        assert errors_from_zero(by.iloc[-1], "destructive_change") > 4
        for similarity in (0.0, 0.4, 0.8):
            curve = rows(start, signal=signal, similarity=similarity).sort_values("teacher_step")
            assert (np.diff(curve["flip"]) <= 0.0).all()  # with the teacher's time
            assert (np.diff(curve["false_flip"]) <= 0.0).all()
            assert errors_from_zero(rows(curve, teacher_step=10.0).iloc[0], "flip_change") < -4
            assert curve["flip"].iloc[-1] < 0.005
    early = rows(start, similarity=0.8, teacher_step=3.0).set_index("signal")
    assert early.loc["top", "flip_lower"] > 0.65
    assert early.loc["spread", "flip_upper"] < 0.6  # a worse teacher where the signal is spread ...
    assert early.loc["spread", "false_flip_lower"] > early.loc["top", "false_flip_upper"]  # ... in both respects

    def gain(signal, quantity, student_step, **teacher):
        found = rows(aligned, similarity=0.8, signal=signal, quantity=quantity, student_step=student_step, **teacher)
        assert len(found) == 1
        return errors_from_zero(found.iloc[0], "gain")

    for step in (1, 3, 10, 30, 100, 300):
        assert gain("top", "weights", step, teacher_step=3.0) > 4
        assert gain("top", "weights", step, teacher="bayes") > 4
        assert gain("spread", "weights", step, teacher="bayes") > 4  # soft labels are not what fails
    for step in (1, 3, 10, 30):
        assert gain("spread", "weights", step, teacher_step=3.0) < -4  # the reversal
    assert gain("top", "gradient", 0, teacher_step=3.0) > 4
    assert gain("spread", "gradient", 0, teacher_step=3.0) < -4
    # Where the statement does not hold: in function space, the first steps lose even with the signal at the top,
    assert gain("top", "logits", 1, teacher_step=3.0) < -4
    assert gain("top", "logits", 300, teacher_step=3.0) > 4
    # and a teacher stopped less early lets late students gain a little even where the signal is spread.
    assert gain("spread", "weights", 300, teacher_step=30.0) > 4
