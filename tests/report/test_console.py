"""The table of the terminal: figures of the summary, at most 80 columns, no markup from names."""

import io

import pandas as pd
import pytest
from rich.console import Console

from kd_uncertainty.report import make_summary, summary_table

from .study import FLOOR, FLOOR_PARTS, figure_of, put
from .teaching import teacher_recommendation


def printed(summary, width: int = 80) -> str:
    output = io.StringIO()
    Console(file=output, width=width).print(summary_table(summary))
    return output.getvalue()


@pytest.mark.parametrize("width", [80, 100])
def test_it_fits_and_nothing_is_cut(tables, task, width):
    text = printed(make_summary(task, tables), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    for word in ("deterministic", "ensemble", "dropout", "no teacher", "posterior 7"):
        assert word in text


def test_figures_are_the_tables_figures(tables, task):
    text = printed(make_summary(task, tables))
    keys = {"teacher": "ensemble", "split": "test"}
    teacher = figure_of(tables["teacher_metrics"], metric="accuracy", **keys)
    students = figure_of(tables["arm_metrics"], metric="accuracy", target="exact", **keys)
    assert f"{100 * teacher:.1f}%" in text
    assert f"{100 * students:.1f}% [{100 * students - 0.4:.1f}, {100 * students + 0.4:.1f}]" in text
    for share in FLOOR_PARTS.values():
        assert f"{1000 * FLOOR * share:.2f}" in text
    assert "34*" in text
    assert "[27, 44]" in text


def test_open_ends(tables, task):
    budget = tables["response_budget"].astype({"recommended_num_responses_upper": object})
    budget["recommended_num_responses_upper"] = pd.NA
    tables["response_budget"] = budget
    assert "∞]" in printed(make_summary(task, tables))
    tables["response_budget"] = budget.assign(recommended_num_responses=pd.NA)
    assert "none suffices" in " ".join(printed(make_summary(task, tables)).split())


def test_names_are_text(tables, task):
    frames = {
        n: f.replace({"teacher": {"dropout": "[red]x[/red]"}}) if "teacher" in f else f for n, f in tables.items()
    }
    assert "[red]x[/red]" in printed(make_summary(task, frames), 100)


def test_the_longest_arm_name_fits(tables, task):
    put(tables["arm_metrics"], 0.0, 0.001, teacher="ensemble", target="posterior", num_responses=8, metric="nll")
    text = printed(make_summary(task, tables))
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "95.2% [" not in text.split("dropout")[0].split("ensemble")[1]
    assert "…" not in text


def test_missing_pieces(tables, task):
    bare = {"arm_metrics": tables["arm_metrics"].query("target != 'one_hot'")}
    text = printed(make_summary(task, bare))
    assert "n/a" in text
    assert "no teacher" not in text
    assert "ensemble" not in printed(make_summary(task, {}))


def test_the_teacher_to_take_is_the_last_line(tables, task):
    taught = teacher_recommendation()
    text = printed(make_summary(task, tables, teacher_recommendation=taught))
    assert "teacher for new students: ensemble, k = 4, mixing 1, temperature 1" in text
    assert "teacher for new students" not in printed(make_summary(task, tables))
    summary = make_summary(task, tables, teacher_recommendation=taught)
    summary["teacher_recommendation"]["in_short"] = "[red]x[/red]"
    assert "[red]x[/red]" in printed(summary, 100)
