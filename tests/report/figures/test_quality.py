"""Quality: every point and interval is the arm's, references are the teacher's and the control's."""

import pandas as pd
import pytest

from kd_uncertainty.report.figures import student_quality

from ..study import figure_of, rows_of


def test_points_are_the_arms_metrics(tables):
    frame = tables["arm_metrics"]
    figure = student_quality(frame, tables["teacher_metrics"])
    for metric, axis in (("accuracy", "x2"), ("nll", "x5")):
        [trace] = [
            t for t in figure.data if t.name == "sampled labels" and t.xaxis == axis and t.error_y.array is not None
        ]
        own = frame[rows_of(frame, teacher="ensemble", target="label", split="test", metric=metric)]
        own = own.sort_values("num_responses")
        assert list(trace.y) == list(own["estimate"])
        assert list(trace.error_y.array) == pytest.approx(list(own["upper"] - own["estimate"]))
        assert list(trace.error_y.arrayminus) == pytest.approx(list(own["estimate"] - own["lower"]))


def test_references_are_the_teacher_and_the_control(tables):
    figure = student_quality(tables["arm_metrics"], tables["teacher_metrics"], "validation")
    nll = {t.name: t.y[0] for t in figure.data if t.xaxis == "x5" and t.mode == "lines"}
    assert nll["teacher"] == figure_of(tables["teacher_metrics"], teacher="ensemble", metric="nll", split="validation")
    assert nll["one-hot control"] == figure_of(
        tables["arm_metrics"], target="one_hot", metric="nll", split="validation"
    )


def test_one_scale_a_metric(tables):
    layout = student_quality(tables["arm_metrics"], tables["teacher_metrics"]).layout
    assert layout.yaxis.range == layout.yaxis3.range
    assert layout.yaxis4.range == layout.yaxis6.range
    assert layout.yaxis.range != layout.yaxis4.range


def test_without_teacher_metrics_and_control(tables):
    frame = tables["arm_metrics"]
    figure = student_quality(frame[frame["target"] != "one_hot"], pd.DataFrame(), narrow=True)
    assert not [t for t in figure.data if t.name in ("teacher", "one-hot control")]
    assert figure.layout.xaxis.ticktext == ("1", "2", "4", "8", "16", "32", "exact")


def test_four_teachers_wrap_and_five_metrics_do_not_disturb(tables):
    frame = tables["arm_metrics"]
    more = frame[frame["teacher"] == "ensemble"].assign(teacher="swag", arm=lambda data: data["arm"] + 100)
    figure = student_quality(pd.concat([frame, more]), tables["teacher_metrics"])
    titles = [note.text for note in figure.layout.annotations]
    assert "<b>swag: NLL</b>" in titles
    assert len(titles) == 12
    empty = [axis for axis in figure.select_xaxes() if axis.visible is False]
    assert len(empty) == 4
    assert len([trace for trace in figure.data if trace.name == "one-hot control"]) == 8


def test_a_single_teacher_has_both_metrics_abreast(tables):
    frame = tables["arm_metrics"]
    figure = student_quality(frame[frame["teacher"] == "ensemble"], tables["teacher_metrics"])
    assert figure.layout.yaxis.domain == figure.layout.yaxis2.domain
    assert figure.layout.yaxis2.title.text == "NLL"
    assert figure.layout.yaxis2.showticklabels


def test_the_control_alone_is_no_figure(tables):
    frame = tables["arm_metrics"]
    figure = student_quality(frame[frame["target"] == "one_hot"], tables["teacher_metrics"])
    assert "No students of a teacher" in figure.layout.annotations[-1].text
