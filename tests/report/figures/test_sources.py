"""Bars hold the tables' components, negative ones included, and add up."""

import pytest

from kd_uncertainty.report.figures import uncertainty_sources, within_between
from kd_uncertainty.report.wording import SOURCE_NAMES

from ..study import figure_of, put, rows_of

TEACHERS = ("deterministic", "ensemble", "dropout")


def bars(figure, name: str) -> list:
    return [trace for trace in figure.data if trace.type == "bar" and trace.name == name]


def of_arm(frame, teacher: str, **keys: object) -> float:
    return figure_of(frame, teacher=teacher, **keys)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_every_bar_is_a_component(tables, split):
    frame = tables["variance_components"]
    figure = uncertainty_sources(frame, split)
    for source, name in SOURCE_NAMES.items():
        for teacher, trace in zip(TEACHERS, bars(figure, name), strict=True):
            own = frame[rows_of(frame, component=source, split=split)]
            expected = own[own["teacher"].isin([teacher, "none"])]["estimate"]
            assert sorted(trace.x) == pytest.approx(sorted(expected))


def test_the_tick_is_the_sum_with_its_interval(tables):
    frame = tables["variance_components"]
    figure = uncertainty_sources(frame)
    ticks = [trace for trace in figure.data if trace.name == "sum, with interval"]
    own = frame[rows_of(frame, teacher="ensemble", component="inter_unbiased", split="test")]
    for row in own.to_dict("records"):
        index = list(ticks[1].x).index(row["estimate"])
        assert ticks[1].error_x.array[index] == pytest.approx(row["upper"] - row["estimate"])
        assert ticks[1].error_x.arrayminus[index] == pytest.approx(row["estimate"] - row["lower"])
        height = ticks[1].y[index]
        parts = [trace for trace in figure.data if trace.type == "bar" and trace.xaxis == ticks[1].xaxis]
        assert sum(part.x[list(part.y).index(height)] for part in parts) == pytest.approx(row["estimate"])


def test_negative_estimates_stay_negative_and_are_explained(tables):
    frame = tables["variance_components"]
    put(frame, -0.004, 0.001, teacher="ensemble", target="exact", component="order")
    figure = uncertainty_sources(frame)
    assert min(bars(figure, "order")[1].x) == -0.004
    assert figure.layout.barmode == "relative"
    assert figure.layout.xaxis.range[0] <= -0.004
    assert "below zero" in figure.layout.meta["notes"][0]


def test_without_negative_estimates_there_is_no_note(tables):
    frame = tables["variance_components"]
    put(frame, 0.0001, 0.0001, component="response", target="exact")
    put(frame, 0.0001, 0.0001, component="response", target="one_hot")
    figure = uncertainty_sources(frame)
    assert figure.layout.meta["notes"] == []
    assert figure.layout.xaxis.range[0] == 0


def test_intra_and_inter_end_at_the_total_and_are_labelled_with_the_share(tables):
    frame = tables["variance_components"]
    figure = within_between(frame)
    for teacher, intra, inter in zip(
        TEACHERS, bars(figure, "intra-student"), bars(figure, "inter-student"), strict=True
    ):
        for target, k in (("label", 4), ("exact", 1)):
            keys = {"split": "test", "target": target, "num_responses": k}
            total, within, between = (
                of_arm(frame, teacher, component=name, **keys) for name in ("total", "intra", "inter")
            )
            index = list(inter.x).index(between)
            assert intra.x[index] == within
            assert intra.x[index] + inter.x[index] == pytest.approx(total)
            assert inter.text[index] == f"{100 * between / total:.0f}%"


def test_all_panels_share_one_scale_and_narrow_ones_are_stacked(tables):
    for draw in (uncertainty_sources, within_between):
        wide, narrow = draw(tables["variance_components"]), draw(tables["variance_components"], narrow=True)
        assert wide.layout.xaxis.range == wide.layout.xaxis3.range
        assert narrow.layout.xaxis.domain == narrow.layout.xaxis3.domain
        assert wide.layout.xaxis.domain != wide.layout.xaxis3.domain
        assert narrow.layout.height > wide.layout.height
        assert [list(a.x) for a in wide.data] == [list(b.x) for b in narrow.data]


def test_rows_name_a_target_once_and_then_k(tables):
    texts = uncertainty_sources(tables["variance_components"]).layout.yaxis.ticktext
    assert texts == ("label, k = 1", "2", "4", "8", "16", "32", "posterior, k = 1", "2", "4", "8", "exact", "one-hot")


def test_arms_that_differ_in_mixing_have_rows_of_their_own(tables):
    frame = tables["variance_components"]
    frame.loc[frame["num_responses"] == 8, "mixing"] = 0.5
    assert "label, k = 8, mixing 0.5" in uncertainty_sources(frame).layout.yaxis.ticktext


def test_a_teacher_may_be_called_anything(tables):
    frame = tables["variance_components"].replace({"teacher": {"dropout": "<b>x</b>"}})
    texts = [note.text for note in uncertainty_sources(frame).layout.annotations]
    assert "<b>&lt;b&gt;x&lt;/b&gt;</b>" in texts


def test_nothing_to_show_is_said(tables):
    for draw in (uncertainty_sources, within_between):
        figure = draw(tables["variance_components"].iloc[:0])
        assert len(figure.data) == 0
        assert "test split" in figure.layout.annotations[-1].text
