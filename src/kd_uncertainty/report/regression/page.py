"""The report of the regression study: one self-contained HTML page that needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.claims import verdicts_text
from kd_uncertainty.report.comparison import as_estimate
from kd_uncertainty.report.regression.figures import FIGURES, make_figures
from kd_uncertainty.report.regression.tables import (
    advice_table,
    budget_table,
    claims_table,
    floor_table,
    report_tables,
    section_table,
)
from kd_uncertainty.report.rendering import render_page
from kd_uncertainty.report.study_page import Tile, by_section, verdicts_tile
from kd_uncertainty.report.wording import listing, plural, with_bounds

GLOSSARY = (
    ("student", "one regression model: linear in closed form, or a network with its own start and order of batches"),
    ("response", "one draw of the teacher's output for one example: its mean plus Gaussian noise, or a posterior draw"),
    ("noise", "variance of a response, in multiples of the variance of the training targets, Var(y)"),
    ("arm", "one way to train students: model, teacher, target, noise and number of responses k"),
    ("inter-student", "variance between students of one arm, mean over the examples, in squared units of the target"),
    ("intra-student", "a student's own residual variance on its training targets"),
    ("floor", "inter-student variance that no number of responses removes: b in Var(k) = a/k + b"),
    ("average", "a student is trained on the mean of k responses"),
    ("inverse variance", "the mean of k responses and a student's estimate, weighted by what each is sure of"),
    ("oracle", "as in the paper's public code: the weights and the estimate come from the teacher's true mean"),
    ("pilot", "a student whose predictions are combined with the responses, or taught alone to show what they bring"),
    ("BLUE", "the best linear unbiased estimate, which also knows that the two are correlated"),
)


@dataclass(frozen=True)
class PaperSection:
    """A section of the paper: what it does, and where ours differs from its public code."""

    name: str
    claims: str
    title: str
    text: str


SECTIONS = (
    PaperSection(
        "teacher_output",
        "4 teacher output",
        "Section 4: teacher output",
        "Responses are the teacher's mean plus noise of variance s Var(y). Every student gets draws of its own, and "
        "its error is compared with the same test targets.",
    ),
    PaperSection(
        "initialisation",
        "5 initialisation",
        "Section 5: model-driven, initialisation",
        "All students start from one network, each with its own perturbation W(1 + σε). The paper's public code trains "
        "them on ground truth; here both are shown. The dispersion is measured on the perturbed weights.",
    ),
    PaperSection(
        "bootstrap",
        "5 bootstrap",
        "Section 5: data-driven, bootstrap",
        "Each student sees its own bootstrap sample of the training examples, labelled by the teacher or by the data.",
    ),
    PaperSection(
        "student_output",
        "6 student output",
        "Section 6: student output",
        "The paper trains classification students on the teacher's argmax. Soft labels and labels sampled from the "
        "teacher stand beside it here.",
    ),
    PaperSection(
        "remedies",
        "7 remedies",
        "Section 7: remedies",
        "Averaging k responses against weighting them with a student's own estimate. The paper's public code weights "
        "with oracles, the true variance and the teacher's noise-free mean; the estimated variant has to find both, "
        "and its pilots cost responses. A pilot's predictions alone show what the second training brings without any "
        "weighting.",
    ),
)


def render_report(
    summary: Mapping[str, Any],
    figures: Mapping[str, go.Figure],
    tables: Tables,
    provenance: Mapping[str, Any],
    *,
    title: str = "How uncertainty propagates to regression students",
) -> str:
    """Render the report as one HTML page with everything inlined; it forbids itself any request.

    Args:
        summary: From ``make_summary``.
        figures: From ``make_figures``; any may be missing. Their versions for narrow screens are drawn from ``tables``.
        tables: The study's tables by name; any may be missing.
        provenance: ``command, parameters, seeds, versions, device, backend, backend_reason, seconds, fingerprints,
            created``; any may be missing.
        title: The page's title.
    """
    split = str(summary["split"])
    topics: dict[str, list[Mapping[str, Any]]] = {}
    for finding in summary["findings"]:
        topics.setdefault(finding["topic"], []).append(finding)
    return render_page(
        "regression.html.jinja",
        (figures, make_figures(tables, split, narrow=True) if figures else {}),
        FIGURES,
        provenance,
        title=title,
        summary=summary,
        topics=topics,
        lead=_lead(summary),
        actions=_actions(summary),
        tiles=_tiles(summary),
        basis=_basis(summary),
        advice=advice_table(tables),
        budgets=budget_table(tables),
        floor=floor_table(summary["floor_checks"]),
        claims=claims_table(summary["claims"]),
        by_section=by_section(summary["claims"]),
        verdicts=verdicts_text(summary["verdicts"]),
        sections=[(section, section_table(section.name, table(tables, section.name))) for section in SECTIONS],
        views=report_tables(tables, split),
        glossary=GLOSSARY,
    )


def _lead(summary: Mapping[str, Any]) -> str:
    if not summary["recommendation"]:
        return "Nothing can be recommended: no arm of the crossed design was measured."
    return str(summary["recommendation"][0])


def _actions(summary: Mapping[str, Any]) -> list[str]:
    """What else to do: the other ways to deploy, the numbers of responses, the choice of an arm."""
    told = [finding["sentence"] for finding in summary["findings"] if finding["topic"] in ("rivals", "sources")]
    return [text for text in summary["recommendation"][1:] if text not in told]


def _tiles(summary: Mapping[str, Any]) -> list[Tile]:
    """Label, figure and small print of the few numbers at the top."""
    tiles: list[Tile] = []
    split = summary["split"]
    for row in summary["models"]:
        arm = row["best_arm"] or row["control"]
        mse = as_estimate(arm["metrics"].get(split, {}).get("mse", {})) if arm else None
        if mse is not None and mse.known:
            head, _, bounds = with_bounds(mse).partition(" ")
            tiles.append((f"{split} MSE, best {row['model']} students", head, bounds))
    networks = [budget for budget in summary["response_budget"] if budget["model"] == "network"]
    for budget in ([budget for budget in networks if budget["target"] == "noise"] or networks)[-1:]:
        head, _, bounds = str(budget["recommended_text"]).partition(" ")
        name = f"noise {budget['noise']:g}" if budget["target"] == "noise" else budget["target"]
        small = f"{bounds}, extrapolated" if budget["extrapolated"] and not budget["unbounded"] else bounds
        tiles.append((f"responses enough for networks, {name}", head if not budget["unbounded"] else "no end", small))
    return tiles + verdicts_tile(summary["claims"])


def _basis(summary: Mapping[str, Any]) -> list[str]:
    """What the figures rest on."""
    named = [f"{count} {name}" for name, count in summary["num_seeds"].items()]
    crossed = f" Networks of an arm cross {listing(named)} seeds." if len(named) == 3 else ""
    size = f"{plural(summary['num_students'], 'student')} in {plural(summary['num_arms'], 'arm')}"
    return [
        f"The crossed design holds {size}.{crossed}",
        "The paper's sections train populations of their own, whose sizes are in their tables.",
        f"Brackets are {summary['confidence']:.0%} intervals over students, conditional on the examples. A claim's "
        "verdict follows from them by the rule beside it.",
    ]
