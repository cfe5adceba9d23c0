"""Tables of the page repeat the study's tables."""

from kd_uncertainty.report.budget import read_budgets
from kd_uncertainty.report.tables import flattened, report_tables, rivals_table, seconds_text, theory_table

from .study import figure_of


def test_rivals_are_ordered_by_validation_and_judged_against_the_first(tables):
    view = rivals_table(tables, "test")
    assert view.rows[0][:2] == ("ensemble", "exact")
    assert view.rows[0][4] == "chosen"
    shown = [float(row[2].split(" ")[0]) for row in view.rows]
    assert shown == sorted(shown)
    assert {row[4] for row in view.rows[1:]} == {"not told apart", "measurably worse"}
    gap = figure_of(
        tables["arm_metrics"], teacher="ensemble", target="label", num_responses=32, metric="nll", split="validation"
    ) - figure_of(tables["arm_metrics"], teacher="ensemble", target="exact", metric="nll", split="validation")
    assert view.rows[1][3].startswith(f"{gap:.3f} [")


def test_theory_table_has_every_fit(tables):
    view = theory_table(read_budgets(tables))
    assert len(view.rows) == 5
    assert view.rows[1][:2] == ("ensemble, label", "−1.02 [−1.09, −0.94]")
    assert view.rows[1][-1] == "yes"
    assert {len(row) for row in view.rows} == {len(view.header)}


def test_every_table_is_rectangular_and_complete(tables):
    views = report_tables(tables, "test")
    assert [len(view.rows) for view in views] == [6, 30, 30, 30, 5]
    for view in views:
        assert {len(row) for row in view.rows} == {len(view.header)}


def test_cells_are_the_tables_figures(tables):
    components = report_tables(tables, "test")[2]
    row = next(row for row in components.rows if row[:2] == ("ensemble", "label, k = 4"))
    for name, cell in zip(("total", "intra", "inter", "inter_unbiased", "response"), row[2:], strict=False):
        value = figure_of(
            tables["variance_components"],
            teacher="ensemble",
            target="label",
            num_responses=4,
            split="test",
            component=name,
        )
        assert abs(float(cell.split(" ")[0]) - value) < 0.51 * 10 ** -len(cell.split(" ")[0].split(".")[1])


def test_what_does_not_apply_is_said(tables):
    quality = report_tables(tables, "test")[1]
    control = next(row for row in quality.rows if row[0] == "control")
    assert control[-1] == "n/a"


def test_missing_tables_are_left_out(tables):
    assert report_tables({}, "test") == []
    assert len(report_tables({"teacher_metrics": tables["teacher_metrics"]}, "test")) == 1


def test_parameters_are_flattened():
    nested = {"a": {"b": 1, "c": {"d": [1, 2]}}, "e": None, "f": {}}
    assert flattened(nested) == [("a.b", "1"), ("a.c.d", "[1, 2]"), ("e", "None"), ("f", "{}")]


def test_durations():
    assert seconds_text(0.42) == "0.4 s"
    assert seconds_text(72.9) == "1 min 12 s"
