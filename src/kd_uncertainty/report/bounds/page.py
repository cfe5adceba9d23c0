"""The report of the bounds study: one self-contained HTML page that needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.bounds.design import MEANINGS, TERMS, TOTAL, read_checklist
from kd_uncertainty.report.bounds.figures import FIGURES, make_figures
from kd_uncertainty.report.bounds.networks import read_cells
from kd_uncertainty.report.bounds.summary import DOUBTS
from kd_uncertainty.report.bounds.tables import checklist_view, interval_table, report_tables
from kd_uncertainty.report.study_page import Part, StudyPage, Tile
from kd_uncertainty.report.wording import listing, number, value_text

GLOSSARY = (
    ("gap h", "loss on the population minus loss on the training set: how much a model overfits"),
    ("gen_T, gen_S", "the mean gap of teacher and student; the student’s is against its pseudo-labels"),
    ("pseudo-labels", "hard labels drawn from the teacher’s probabilities, on which the student is trained"),
    ("divergence K", "KL of (pseudo-labelled set, student) from (training set, teacher), in nats"),
    ("shifts", "K is the data’s shift plus the algorithm’s shift, both at the pseudo-labelled set (chain rule)"),
    ("σ", "the constant with which the teacher’s gap is sub-Gaussian; a certificate is surely large enough"),
    ("interval", "gen_T ± σ √(2 K), in which gen_S must lie"),
    *((f"{name}", MEANINGS[term]) for term, name in TERMS.items()),
)


PARTS = (
    Part(
        "design",
        "linear-Gaussian",
        "What is the divergence made of?",
        "A Gibbs teacher of a linear model with Gaussian noise labels data for a student of rank r. Every law is "
        "Gaussian (or a mixture that is estimated), and the divergence has a bound of five terms, each with a dial "
        "that moves it.",
        ("decomposition_sweeps",),
    ),
    Part(
        "enumerated",
        "processes",
        "Do the bounds hold?",
        "A few inputs and hypotheses, Gibbs teacher and student: all data sets are enumerated, and gaps, divergence "
        "and constants are known without error. One violation would refute a bound.",
        ("processes", "sharpness"),
    ),
    Part(
        "networks",
        "networks",
        "What are they worth for networks?",
        "Networks are trained on many training sets of each size and noised, or trained by Langevin dynamics, so that "
        "their laws have densities. The divergence is bounded from above, with Langevin dynamics by that of paths; of "
        "the constants Hoeffding’s alone is a certificate.",
        ("network_bounds",),
    ),
)
PAGE = StudyPage(
    template="bounds.html.jinja",
    parts=PARTS,
    glossary=GLOSSARY,
    figures=FIGURES,
    make_figures=make_figures,
    doubts=DOUBTS,
    measured="our figure",
)


def render_report(
    summary: Mapping[str, Any],
    figures: Mapping[str, go.Figure],
    tables: Tables,
    provenance: Mapping[str, Any],
    *,
    title: str = "How well a distilled student generalises: bounds and what they are worth",
) -> str:
    """Render the report as one HTML page with everything inlined; it forbids itself any request.

    Args:
        summary: From ``make_summary``.
        figures: From ``make_figures``; any may be missing.
        tables: The study's tables by name; any may be missing.
        provenance: See ``StudyPage.render``.
        title: The page's title.
    """
    sweeps = table(tables, "decomposition_sweeps")
    return PAGE.render(
        summary,
        figures,
        tables,
        provenance,
        title=title,
        tiles=_tiles(summary),
        basis=_basis(summary),
        checklist=checklist_view(read_checklist(table(tables, "decomposition_checklist"), sweeps)),
        intervals=[
            interval_table(read_cells(table(tables, "network_bounds"))),
            interval_table(read_cells(table(tables, "langevin_bounds")), "Langevin dynamics"),
        ],
        views=report_tables(tables),
    )


def _tiles(summary: Mapping[str, Any]) -> list[Tile]:
    """Label, figure and small print of the few numbers at the top."""
    tiles: list[Tile] = []
    by_key = {claim["key"]: claim for claim in summary["claims"]}
    whole = next((item for item in summary["checklist"] if item["term"] == TOTAL and item["dial"]), None)
    if whole is not None:
        small = f"from {value_text(whole['before'], 1)} nats"
        tiles.append(("bound after the first turn", f"{value_text(whole['after'], 1)} nats", small))
    literal = by_key.get("literal", {})
    if literal.get("verdict", "not measured") != "not measured":
        violated, count = literal["figures"]["violated"], literal["figures"]["count"]
        tiles.append(
            (
                "form as printed, violated in",
                f"{violated:,} of {count:,}",
                f"the corrected form in {by_key['corrected']['figures']['violated']:,}",
            )
        )
    if summary["intervals"]:
        last = summary["intervals"][-1]
        ends = last["intervals"].get("hoeffding")
        gap = last["gaps"].get("gen_student_pseudo", {}).get("estimate")
        if ends and gap is not None:
            tiles.append(
                ("certified interval, networks", f"{number(ends[0], 1)} to {number(ends[1], 1)}", f"gap {number(gap)}")
            )
    return tiles


def _basis(summary: Mapping[str, Any]) -> list[str]:
    """What the figures rest on."""
    parts = [f"{count:,} {name}" for name, count in summary["counts"].items()]
    return [
        *([f"The figures rest on {listing(parts)}."] if parts else []),
        "Figures of enumerated processes and of students of full rank are exact. Elsewhere brackets are "
        f"{summary['confidence']:.0%} intervals: over draws in the linear-Gaussian case, over training sets for "
        "networks.",
    ]
