"""Figures show the tables' figures, students beside controls; and say so where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest

from kd_uncertainty.report.deviations.figures import FIGURES, make_figures
from kd_uncertainty.report.deviations.figures.bins import bins_figure

from ..pages import named, titles
from .study import STUDENTS, SWITCHES, TEACHER_STEPS, TEACHERS, TEMPERATURES, make_tables

CONTROL = "control: labels alone, trained as long"


@pytest.fixture(scope="module")
def figures():
    return make_figures(make_tables())


def test_figures_are_named_after_tables():
    assert set(make_tables()) - set(FIGURES) == {"switching_teachers"}


def test_students_stand_beside_their_controls(tables, figures):
    figure, frame = figures["deviations"], tables["deviations"]
    assert titles(figure)[:2] == ["slope, least sure quarter: train points", "slope, least sure quarter: test points"]
    assert len(titles(figure)) == 6
    labels = list(figure.layout.yaxis.ticktext)
    assert labels[:2] == ["interpolating, self, τ = 1", "interpolating, self, τ = 4"]
    assert len(labels) == len(TEACHERS) * len(STUDENTS) * len(TEMPERATURES)
    for axis, split in (("x", "train"), ("x2", "test")):
        own = frame[(frame["statistic"] == "slope_low_quartile") & (frame["split"] == split)]
        for name, group in (("students", "student"), (CONTROL, "control")):
            (drawn,) = named(figure, name, axis)
            np.testing.assert_allclose(drawn.x, own.loc[own["group"] == group, "estimate"])
        (stopped,) = named(figure, "control stopped with the teacher", axis)
        assert len(stopped.x) == len(labels) // 2  # of the early-stopped teacher alone
    (student,), (control,) = named(figure, "students", "x"), named(figure, CONTROL, "x")
    assert all(abs(a - b) < 0.5 for a, b in zip(student.y, control.y, strict=True))  # in one row
    assert "the slope is 1.40 and the control’s 0.95" in figure.layout.meta["description"]


def test_bins_are_drawn_with_quartiles_and_the_diagonal(tables, figures):
    figure, frame = figures["deviation_bins"], tables["deviation_bins"]
    assert titles(figure) == [
        f"{teacher} teacher: {split} points"
        for teacher in ("interpolating", "early-stopped")
        for split in ("train", "test")
    ]
    (diagonal,) = named(figure, "student as sure as the teacher", "x")
    assert list(diagonal.x) == list(diagonal.y)
    own = frame[(frame["teacher"] == "interpolating") & (frame["split"] == "train") & (frame["temperature"] == 4.0)]
    for name, group in (("students", "student"), (CONTROL, "control")):
        (drawn,), rows = named(figure, name, "x"), own[own["group"] == group]
        np.testing.assert_allclose(drawn.x, rows["teacher_logit"])
        np.testing.assert_allclose(drawn.y, rows["median"])
        np.testing.assert_allclose(np.array(drawn.y) + drawn.error_y.array, rows["upper_quartile"])
        np.testing.assert_allclose(np.array(drawn.y) - drawn.error_y.arrayminus, rows["lower_quartile"])
    assert named(figure, "control stopped with the teacher", "x3")
    assert not named(figure, "control stopped with the teacher", "x")


def test_bins_of_other_tables_are_drawn(tables):
    frame = tables["deviation_bins"].drop(columns=["student", "temperature"]).assign(target="exact")
    frame = frame.drop_duplicates(["teacher", "split", "group", "bin"]).replace(
        {"teacher": {"interpolating": "ensemble"}}
    )
    figure = bins_figure(frame)
    assert "ensemble teacher: train points" in titles(figure)
    assert named(figure, "students", "x")


def test_gains_against_deviations_and_their_ranks(tables, figures):
    figure, frame = figures["gains"], tables["deviations"]
    for teacher, name in (("interpolating", "interpolating teacher"), ("early_stopped", "early-stopped teacher")):
        (drawn,) = named(figure, name)
        own = frame[frame["teacher"] == teacher]
        slope = own[
            (own["statistic"] == "slope_low_quartile") & (own["split"] == "train") & (own["group"] == "student")
        ]
        gain = own[(own["statistic"] == "accuracy") & (own["split"] == "test") & (own["group"] == "difference")]
        np.testing.assert_allclose(drawn.x, slope["estimate"])
        np.testing.assert_allclose(drawn.y, gain["estimate"])
    (ranks,) = named(figure, "slope above the control")
    np.testing.assert_allclose(ranks.x, [0.7] * 3)
    assert list(figure.layout.yaxis2.ticktext) == ["all arms", "interpolating", "early-stopped"]


def test_switches_run_from_one_schedule_to_the_other(tables, figures):
    figure, frame = figures["switching"], tables["switching"]
    own = frame[(frame["teacher"] == "early_stopped") & (frame["metric"] == "accuracy") & (frame["split"] == "test")]
    (late,), (back,) = (
        named(figure, "labels, then distillation", "x2"),
        named(figure, "distillation, then labels", "x2"),
    )
    gains = own.set_index("schedule")["gain"]
    assert list(late.x) == list(back.x) == [0.0, *SWITCHES, 1.0]
    np.testing.assert_allclose(late.y, [gains["distillation"], *gains["to_distillation"], gains["one_hot"]])
    np.testing.assert_allclose(back.y, [gains["one_hot"], *gains["to_one_hot"], gains["distillation"]])
    (stopped,) = named(figure, "labels alone, stopped early", "x2")
    assert set(stopped.y) == {gains["equal_progress"]}
    assert "recovers 90% (interpolating) and 90% (early-stopped)" in figure.layout.meta["description"]


def test_lower_directions_are_drawn_against_the_top_one(tables, figures):
    figure, frame = figures["eigenspace_trajectories"], tables["eigenspace_trajectories"]
    assert titles(figure) == ["linear squared", "mlp, own start"]
    own = frame[(frame["model"] == "linear_squared") & (frame["teacher_stop"] == 200) & (frame["role"] == "student")]
    (drawn,) = named(figure, "student, direction 4", "x")
    np.testing.assert_allclose(drawn.x, own.loc[own["direction"] == 1, "progress"])
    np.testing.assert_allclose(drawn.y, own.loc[own["direction"] == 4, "progress"])
    assert named(figure, "control, direction 2", "x2")
    assert not named(figure, "control, direction 2", "x")
    # The theorem: at equal progress in the top direction the student is behind in the lower one.
    (teacher,) = named(figure, "teacher, direction 4", "x")
    levels = np.linspace(0.1, 0.9, 9)
    assert (np.interp(levels, drawn.x, drawn.y) < np.interp(levels, teacher.x, teacher.y)).all()


def test_shares_of_pairs_with_what_is_expected(tables, figures):
    figure = figures["eigenspace_pairs"]
    assert titles(figure) == ["gaussian task", "given task"]
    rows = list(figure.layout.yaxis.ticktext)
    assert rows[:3] == ["linear squared, T = 200", "linear squared, T = 1,000", "linear squared, momentum, T = 100"]
    (fine,), (limits,) = named(figure, "student, every step recorded", "x"), named(figure, "expected at least", "x")
    assert dict(zip(rows, fine.x, strict=True))["random features, T = 200"] == pytest.approx(0.9)
    assert set(limits.x) == {0.99, 0.8, 0.5}
    (coarse,) = named(figure, "student recorded every 100 steps only", "x")
    np.testing.assert_allclose(coarse.x, np.array(fine.x) - 0.3)
    assert len(named(figure, "control", "x")[0].x) == 2
    assert len(named(figure, "student, every step recorded", "x2")[0].x) == len(rows) - 1  # no momentum there


def test_flips_fall_beside_false_flips(tables, figures):
    figure, frame = figures["denoising_entries"], tables["denoising_entries"]
    assert titles(figure)[0] == "signal top, student after 0 steps"
    (flips,) = named(figure, "destructive entries, similarity 0.8", "x")
    (false,) = named(figure, "harmless entries, similarity 0.8", "x")
    own = frame[(frame["signal"] == "top") & (frame["similarity"] == 0.8) & (frame["student_step"] == 0)]
    own = own[own["teacher"] == "trained"]
    assert list(flips.x) == list(TEACHER_STEPS)
    np.testing.assert_allclose(flips.y, own["flip"])
    np.testing.assert_allclose(false.y, own["false_flip"])


def test_alignment_where_it_improves_and_where_it_reverses(tables, figures):
    figure, frame = figures["denoising_alignment"], tables["denoising_alignment"]
    assert titles(figure) == [
        "weights: signal top",
        "weights: signal spread",
        "gradient: signal top",
        "gradient: signal spread",
    ]
    for axis, signal in (("x", "top"), ("x2", "spread")):
        own = frame[(frame["signal"] == signal) & (frame["quantity"] == "weights") & (frame["similarity"] == 0.8)]
        (drawn,) = named(figure, "teacher after 3 steps", axis)
        np.testing.assert_allclose(drawn.y, own.loc[own["teacher_step"] == 3, "gain"])
        assert (np.sign(drawn.y) == (1 if signal == "top" else -1)).all()
    (gradient,) = named(figure, "teacher after 3 steps", "x3")
    assert list(gradient.x) == [0.5, 10.0]  # step 0 has a place of its own
    assert list(figure.layout.xaxis3.ticktext) == ["0", "10"]
