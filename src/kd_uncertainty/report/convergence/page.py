"""The report of the convergence study: one self-contained HTML page that needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from kd_uncertainty.report.arms import Tables
from kd_uncertainty.report.comparison import as_estimate
from kd_uncertainty.report.convergence.arms import read_arms
from kd_uncertainty.report.convergence.figures import FIGURES, make_figures
from kd_uncertainty.report.convergence.tables import noise_table, quality_table, report_tables
from kd_uncertainty.report.study_page import Part, StudyPage, Tile, tile
from kd_uncertainty.report.wording import listing, metric_with_interval, number, with_bounds

GLOSSARY = (
    ("labels", "what a student is trained on: (1 − λ) one-hot + λ teacher"),
    ("one-hot", "the data’s own labels, one draw from the true class probabilities P"),
    ("exact", "P itself, which a synthetic task knows"),
    (
        "Dirichlet, a",
        "probabilities drawn from Dirichlet(a P): a teacher that is right on average, noisier for small a",
    ),
    ("additive, ν", "P plus noise of variance ν in every class"),
    ("gradient noise σ*", "E‖g‖² over examples and labels at the optimum; σ₁ of one-hot labels, σₜ of the teacher’s"),
    ("plateau", "the excess risk at which SGD with a constant step stays, in nats"),
    ("convergence noise", "how much a network still moves at the end; several definitions, none settled"),
    ("L", "the largest curvature of one example’s loss; 1/L and 1/(2L) are the steps that the theorem allows"),
)


PARTS = (
    Part(
        "mixing",
        "mixture",
        "Which weight for the teacher?",
        "Labels that mix one-hot and teacher have the gradient noise (1 − λ)² σ₁ + λ² σₜ, if the two are independent "
        "given the input. It is least at λ* = σ₁/(σ₁ + σₜ): the inverse-variance rule of uncertainty propagation "
        "(arXiv 2601.18909) is the mixing of Bayesian distillation (arXiv 2601.01484).",
        ("mixture",),
    ),
    Part(
        "noise",
        "gradient noise",
        "How noisy are the gradients?",
        "At the optimum of a linear softmax student the noise has a closed form for every kind of labels.",
        ("gradient_noise",),
    ),
    Part(
        "descent",
        "descent",
        "Where does SGD stay?",
        "With noisy labels SGD with a constant step stays at an excess risk of about α σ*/4; with exact "
        "probabilities it goes on to the optimum.",
        ("descent", "plateau"),
    ),
    Part(
        "steps",
        "step",
        "How large a step?",
        "The theorem allows steps up to 1/(2L) with noisy labels and 1/L with exact probabilities.",
        ("step_sweep",),
    ),
    Part(
        "networks",
        "networks",
        "Do networks follow?",
        "Networks are trained by SGD with batches of one example; all kinds of labels share starts and orders.",
        ("stability_curves", "stability"),
    ),
    Part(
        "teachers",
        "teachers",
        "Which teacher?",
        "Labels are the posterior means of fitted teachers. What should count is how near they are to the true "
        "probabilities on the points that they label.",
        ("teacher_error",),
    ),
)
PAGE = StudyPage(
    template="convergence.html.jinja",
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
    title: str = "How the noise of labels moves the convergence of students",
) -> str:
    """Render the report as one HTML page with everything inlined; it forbids itself any request.

    Args:
        summary: From ``make_summary``.
        figures: From ``make_figures``; any may be missing.
        tables: The study's tables by name; any may be missing.
        provenance: See ``StudyPage.render``.
        title: The page's title.
    """
    split, arms = str(summary["split"]), read_arms(tables)
    return PAGE.render(
        summary,
        figures,
        tables,
        provenance,
        title=title,
        tiles=_tiles(summary),
        basis=_basis(summary),
        quality=quality_table(arms, split),
        noises=noise_table(arms),
        views=report_tables(tables, arms, split),
    )


def _tiles(summary: Mapping[str, Any]) -> list[Tile]:
    """Label, figure and small print of the few numbers at the top."""
    tiles: list[Tile] = []
    split = summary["split"]
    if summary["choice"] is not None:
        chosen = summary["choice"]
        accuracy = as_estimate(chosen["metrics"].get(split, {}).get("accuracy", {}))
        tiles += tile(f"{split} accuracy, {chosen['label']}", accuracy, metric_with_interval("accuracy", accuracy))
        nll = as_estimate(chosen["metrics"].get(split, {}).get("nll", {}))
        tiles += tile(f"{split} NLL, {chosen['label']}", nll, with_bounds(nll))
    for one in summary["mixtures"][-1:]:
        minimum = as_estimate(one["minimum"])
        small = f"measured {with_bounds(minimum, 2)}" if minimum.known else ""
        tiles.append((f"weight λ*, {one['teacher']}", number(one["lambda_star"], 2), small))
    return tiles


def _basis(summary: Mapping[str, Any]) -> list[str]:
    """What the figures rest on."""
    names = {"gradient_noise": "draws of all labels for the gradient noise"}
    counts = summary["num_seeds"]
    parts = [f"{count} {names.get(name, 'seeds for the ' + name.replace('_', ' '))}" for name, count in counts.items()]
    return [
        *([f"The figures rest on {listing(parts)}."] if parts else []),
        f"Brackets are {summary['confidence']:.0%} intervals over them, for this data set and these teachers. Ratios "
        "to one-hot labels are paired: the two share starts and orders.",
    ]
