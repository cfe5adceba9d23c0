"""Training curves: medians and quantiles against numpy."""

import numpy as np
import pandas as pd
import pytest

from kd_uncertainty.report.figures import training_curves


def test_the_line_is_the_median_and_the_band_the_middle_four_fifths(tables):
    frame = tables["teacher_curves"]
    figure = training_curves(frame, tables["student_curves"], tables["plan"])
    own = frame[frame["teacher"] == "ensemble"].pivot_table(index="epoch", columns="member", values="train_loss")
    line = next(trace for trace in figure.data if trace.name == "ensemble teacher")
    assert np.asarray(line.y) == pytest.approx(np.median(own, axis=1))
    for share, name in ((0.9, "ensemble teacher: 90 %"), (0.1, "ensemble teacher: 10 %")):
        edge = next(trace for trace in figure.data if trace.name == name)
        assert np.asarray(edge.y) == pytest.approx(np.quantile(own, share, axis=1))


def test_students_are_grouped_by_target(tables):
    figure = training_curves(pd.DataFrame(), tables["student_curves"], tables["plan"])
    merged = tables["student_curves"].merge(tables["plan"], on="student")
    line = next(trace for trace in figure.data if trace.name == "students: exact mean")
    assert line.y[-1] == pytest.approx(
        merged[(merged["target"] == "exact") & (merged["epoch"] == 20)]["train_loss"].median()
    )
    assert [note.text for note in figure.layout.annotations] == ["<b>students: training loss</b>"]


def test_without_plan_students_are_one_group(tables):
    figure = training_curves(pd.DataFrame(), tables["student_curves"], pd.DataFrame())
    assert [trace.name for trace in figure.data if trace.showlegend] == ["students: students"]


def test_a_name_is_in_the_legend_once(tables):
    figure = training_curves(tables["teacher_curves"], tables["student_curves"], tables["plan"], narrow=True)
    names = [trace.name for trace in figure.data if trace.showlegend]
    assert len(names) == len(set(names)) == 7


def test_no_curves_are_said():
    assert "No training curves" in training_curves(*[pd.DataFrame()] * 3).layout.annotations[-1].text
