"""The report of the language study: one self-contained HTML page that needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from kd_uncertainty.report.arms import Tables
from kd_uncertainty.report.comparison import as_estimate
from kd_uncertainty.report.language.arms import TRAIN, read_study
from kd_uncertainty.report.language.figures import FIGURES, make_figures
from kd_uncertainty.report.language.tables import ERRORS, choice_table, metrics_table, report_tables, variance_table
from kd_uncertainty.report.language.wording import METRIC_NAMES, metric_text, share_text
from kd_uncertainty.report.study_page import Part, StudyPage, Tile, tile
from kd_uncertainty.report.wording import plural

GLOSSARY = (
    ("response", "one sampled answer of the teacher to one prompt; k of them are bought for each"),
    ("V", "variance of the teacher’s responses to a prompt, mean over prompts"),
    ("intra-student", "variance of the answers that one student samples to a prompt"),
    ("inter-student", "variance between students, of the mean of what each answers"),
    ("embeddings", "answers as vectors of length 1; the variance is the trace of their covariance"),
    ("normalised answers", "answers as words without case, punctuation and articles; the variance is 1 − Σ p²"),
    ("all k answers", "students are trained on all k responses to a prompt"),
    ("averaging", "they are trained on the one response that is nearest to the mean embedding of k"),
    ("variance weighting", "on the response nearest to the inverse-variance mean of teacher and student"),
    ("as published", "the student’s side of that mean is what the untrained student answers"),
    ("honest", "its side is what students of a pilot answer, each trained on a single response"),
    ("token probabilities", "they are trained on the teacher’s cached probabilities at each token of k responses"),
    ("modal answer", "the most frequent one"),
    ("systematic noise", "ours: share of prompts whose modal answer over all students is wrong while students agree"),
    ("hallucination", "ours: share of prompts and students whose modal answer is wrong and given nearly every time"),
    ("keeps the modal answer", "share of prompts and students whose modal answer is the teacher’s"),
)

PARTS = (
    Part(
        "surrogate",
        "surrogate",
        "What must hold?",
        "A table instead of a model: prompts with known answer probabilities, and students that answer as often as "
        "they were told. Everything can be enumerated, and the law intra = (1 − 1/k) V, inter = V/k is exact.",
        ("language_surrogate",),
    ),
    Part(
        "variance",
        "variance",
        "Do real students follow?",
        "Students are fine-tuned on k sampled answers of the teacher to each prompt and asked many times.",
        ("language_law", "training_curves"),
    ),
    Part(
        "methods",
        "methods",
        "Which way to use k answers?",
        "Each method sees the same k responses. Averaging and variance weighting choose one of them, so that a "
        "student that fits it has no randomness left, whatever k.",
        (),
    ),
    Part(
        "mistakes",
        "mistakes",
        "What becomes of mistakes?",
        "Students never see a reference answer: what they know of a prompt they have from their teacher.",
        ("language_errors", "language_answers"),
    ),
)
PAGE = StudyPage(
    template="language.html.jinja",
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
    title: str = "What becomes of a language model’s answers in its students",
) -> str:
    """Render the report as one HTML page with everything inlined; it forbids itself any request.

    Args:
        summary: From ``make_summary``.
        figures: From ``make_figures``; any may be missing.
        tables: The study's tables by name; any may be missing.
        provenance: See ``StudyPage.render``.
        title: The page's title.
    """
    study = read_study(tables)
    return PAGE.render(
        summary,
        figures,
        tables,
        provenance,
        title=title,
        tiles=_tiles(summary),
        basis=_basis(summary),
        variances=variance_table(study, TRAIN),
        ways=choice_table(study),
        errors=[metrics_table(study, split, ERRORS, "Answers and mistakes") for split in study.splits],
        views=report_tables(tables, study),
    )


def _tiles(summary: Mapping[str, Any]) -> list[Tile]:
    """Label, figure and small print of the few numbers at the top."""
    tiles: list[Tile] = []
    choice, space, guard = summary["choice"], summary["space"], summary["guard"]
    if choice is not None:
        share = as_estimate(choice["shares"].get("train", {}).get(space, {}).get("inter", {}))
        tiles += tile(f"inter-student variance over V, {choice['label']}", share, share_text(share))
        figure = as_estimate(choice["metrics"].get("test", {}).get(guard, {}))
        tiles += tile(f"{METRIC_NAMES.get(guard, '')}, held-out prompts", figure, metric_text(str(guard), figure))
    by_key = {claim["key"]: claim for claim in summary["claims"]}
    kept = as_estimate(by_key["single_suppressed"]["figure"])
    return tiles + tile("of V that a student of a single response keeps", kept, share_text(kept))


def _basis(summary: Mapping[str, Any]) -> list[str]:
    """What the figures rest on."""
    counts = []
    if summary["num_students"]:
        counts.append(plural(summary["num_students"], "student"))
    if summary["arms"]:
        counts.append(plural(len(summary["arms"]), "arm"))
    prompts = summary["task"].get("num_prompts")
    size = f"{' in '.join(counts)}" if counts else ""
    on = f"{plural(int(prompts), 'prompt')}" if prompts else ""
    rests = " and ".join(part for part in (size, on) if part)
    return [
        *([f"The figures rest on {rests}."] if rests else []),
        f"Brackets are {summary['confidence']:.0%} intervals over prompts and students; those of ratios and "
        "differences take both sides as independent and err wide where they share prompts or responses.",
    ]
