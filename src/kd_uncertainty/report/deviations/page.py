"""The report of the deviations study: one self-contained HTML page that needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from kd_uncertainty.report.arms import Tables
from kd_uncertainty.report.comparison import as_estimate
from kd_uncertainty.report.deviations.arms import read_arms
from kd_uncertainty.report.deviations.figures import FIGURES, make_figures
from kd_uncertainty.report.deviations.schedules import read_schedules
from kd_uncertainty.report.deviations.tables import arms_table, report_tables, schedules_table
from kd_uncertainty.report.study_page import Part, StudyPage, Tile, tile
from kd_uncertainty.report.wording import listing, metric_with_interval, with_bounds, with_interval

GLOSSARY = (
    ("log-odds", "log p / (1 − p) of the class that the teacher chooses, in nats: X of the teacher, Y of a student"),
    ("exaggeration", "students less sure than the teacher where it is unsure: a slope of Y on X above 1"),
    ("control", "the same network from the same start, trained on the labels alone; it never saw the teacher"),
    ("interpolating", "a teacher that was trained until it fits its training labels, label noise included"),
    ("early-stopped", "a teacher that was stopped before it fits them"),
    ("τ", "the temperature of distillation: logits of teacher and student are divided by it in the loss"),
    ("equal progress", "labels alone, stopped where the training loss is that of the distilled student at its end"),
    ("eigendirection", "an eigenvector of the inputs’ covariance; the top one has the largest eigenvalue"),
    ("destructive entry", "a class, other than the label, that deserves more probability than the student gives it"),
)


PARTS = (
    Part(
        "confidence",
        "confidence",
        "Do students exaggerate?",
        "Students’ log-odds of the class that the teacher chooses, against the teacher’s. That class is chosen for the "
        "teacher’s confidence in it, so any other network lies below; the control shows by how much.",
        ("deviation_bins", "deviations"),
    ),
    Part(
        "gains",
        "gains",
        "Does it pay to disobey?",
        "If deviating from the teacher were what makes students better, arms that deviate more would gain more.",
        ("gains",),
    ),
    Part(
        "switching",
        "switching",
        "When does distillation help?",
        "The loss switches from labels to the teacher or back. Beside both stand students of labels alone that were "
        "stopped early: much of a gain over labels with noise is that.",
        ("switching",),
    ),
    Part(
        "eigenspace",
        "eigenspace",
        "Explanation one: the top directions first",
        "Gradient descent learns the top eigendirections of the inputs first, and a student learns from a teacher that "
        "did so already: the lower ones are filtered twice. For linear models with squared loss it is a theorem.",
        ("eigenspace_trajectories", "eigenspace_pairs"),
    ),
    Part(
        "denoising",
        "denoising",
        "Explanation two: gradients with less noise",
        "One-hot labels push down classes that deserve more. A teacher that was stopped early pushes some of them up, "
        "right ones and wrong ones. What the weights gain depends on where the signal lives.",
        ("denoising_entries", "denoising_alignment"),
    ),
)
PAGE = StudyPage(
    template="deviations.html.jinja",
    parts=PARTS,
    glossary=GLOSSARY,
    figures=FIGURES,
    make_figures=make_figures,
)


def render_report(
    summary: Mapping[str, Any],
    figures: Mapping[str, go.Figure],
    tables: Tables,
    provenance: Mapping[str, Any],
    *,
    title: str = "Does it pay to disobey the teacher?",
) -> str:
    """Render the report as one HTML page with everything inlined; it forbids itself any request.

    Args:
        summary: From ``make_summary``.
        figures: From ``make_figures``; any may be missing.
        tables: The study's tables by name; any may be missing.
        provenance: See ``StudyPage.render``.
        title: The page's title.
    """
    split, arms, schedules = str(summary["split"]), read_arms(tables), read_schedules(tables)
    return PAGE.render(
        summary,
        figures,
        tables,
        provenance,
        title=title,
        tiles=_tiles(summary),
        basis=_basis(summary),
        schedules=schedules_table(schedules, split),
        arms=[arms_table(arms, "train"), arms_table(arms, split)],
        views=report_tables(tables, arms, schedules, split),
    )


def _tiles(summary: Mapping[str, Any]) -> list[Tile]:
    """Label, figure and small print of the few numbers at the top."""
    tiles: list[Tile] = []
    split = summary["split"]
    if summary["choice"] is not None:
        chosen = summary["choice"]
        accuracy = as_estimate(chosen["metrics"].get(split, {}).get("accuracy", {}))
        tiles += tile(f"{split} accuracy, chosen schedule", accuracy, metric_with_interval("accuracy", accuracy))
    by_key = {claim["key"]: claim for claim in summary["claims"]}
    early, pays = (as_estimate(by_key[key]["figure"]) for key in ("equal_progress", "pays"))
    tiles += tile("of the gain, stopping early alone", early, with_interval(early, percentage=True))
    tiles += tile("rank correlation, deviation and gain", pays, with_bounds(pays, 2))
    return tiles


def _basis(summary: Mapping[str, Any]) -> list[str]:
    """What the figures rest on."""
    names = {
        "deviations": "seeds for confidence",
        "switching": "seeds for switching",
        "eigenspace_pairs": "seeds for eigendirections",
        "denoising_entries": "worlds of each kind for denoising",
    }
    parts = [f"{count} {names.get(name, name)}" for name, count in summary["num_seeds"].items()]
    return [
        *([f"The figures rest on {listing(parts)}."] if parts else []),
        f"Brackets are {summary['confidence']:.0%} intervals over them, those of rank correlations over arms. Students "
        "and controls of a seed share start and batches, and differences are paired.",
    ]
