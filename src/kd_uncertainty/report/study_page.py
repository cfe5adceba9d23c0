"""The page that studies with claims share: advice, doubts, evidence by parts, verdicts, tables, what was run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import plotly.graph_objects as go

from kd_uncertainty.report.arms import Tables
from kd_uncertainty.report.claims import verdicts_text
from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.rendering import Figures, render_page
from kd_uncertainty.report.tables import TableView

Tile = tuple[str, str, str]
"""Label, figure and small print of a number at the top of the page."""


class MakeFigures(Protocol):
    """A study's ``make_figures``."""

    def __call__(self, tables: Tables, *, confidence: float = ..., narrow: bool = ...) -> dict[str, go.Figure]:
        """All figures by name."""
        ...


@dataclass(frozen=True)
class Part:
    """A part of the evidence: its claims' section, its heading and text, and its figures."""

    name: str
    claims: str
    title: str
    text: str
    figures: tuple[str, ...]


@dataclass(frozen=True)
class StudyPage:
    """What sets a study's page apart.

    Attributes:
        template: Extends ``study.html.jinja``; in this package.
        parts: The parts of the evidence, in order.
        glossary: Words and what they mean here.
        figures: The names of the figures that the page knows.
        make_figures: Draws them, for narrow screens.
        doubts: Topics of findings that say how sure the advice is; the others are what to do.
        measured: What the claims' table calls our figure.
    """

    template: str
    parts: tuple[Part, ...]
    glossary: tuple[tuple[str, str], ...]
    figures: tuple[str, ...]
    make_figures: MakeFigures
    doubts: tuple[str, ...] = ("rivals",)
    measured: str = "our figure [interval]"

    def render(
        self,
        summary: Mapping[str, Any],
        figures: Figures,
        tables: Tables,
        provenance: Mapping[str, Any],
        *,
        title: str,
        tiles: Sequence[Tile],
        basis: Sequence[str],
        **context: Any,
    ) -> str:
        """Render the report as one HTML page with everything inlined; it forbids itself any request.

        Args:
            summary: From the study's ``make_summary``.
            figures: From ``make_figures``; any may be missing. Narrow versions are drawn from ``tables``.
            tables: The study's tables by name; any may be missing.
            provenance: ``command, parameters, seeds, versions, device, backend, backend_reason, seconds, fingerprints,
                created``; any may be missing.
            title: The page's title.
            tiles: The study's own numbers for the top; how many claims hold is added.
            basis: What the figures rest on, in sentences; where verdicts come from is added.
            **context: What the study's template takes beside these, ``views`` (the tables at the end) among it.
        """
        confidence = float(summary["confidence"])
        findings = summary["findings"]
        return render_page(
            self.template,
            (figures, self.make_figures(tables, confidence=confidence, narrow=True) if figures else {}),
            self.figures,
            provenance,
            title=title,
            summary=summary,
            lead=lead(summary),
            actions=[finding for finding in findings if finding["topic"] not in self.doubts][1:],
            doubts=[finding for finding in findings if finding["topic"] in self.doubts],
            tiles=[*tiles, *verdicts_tile(summary["claims"])],
            basis=[*basis, "A claim’s verdict follows from the figures by the rule beside it."],
            parts=self.parts,
            by_section=by_section(summary["claims"]),
            verdicts=verdicts_text(summary["verdicts"]),
            claims=claims_table(summary["claims"], self.measured),
            glossary=self.glossary,
            **context,
        )


def lead(summary: Mapping[str, Any]) -> str:
    """The first sentence of the advice."""
    if not summary["recommendation"]:
        return "Nothing can be recommended: no part of the study was measured."
    return str(summary["recommendation"][0])


def by_section(claims: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The claims (as JSON) of each section."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for claim in claims:
        found.setdefault(claim["section"], []).append(claim)
    return found


def tile(label: str, figure: Estimate, text: str) -> list[Tile]:
    """A figure with its interval as a tile; none where it was not measured.

    Args:
        label: What the figure is.
        figure: The figure.
        text: How it is written, its interval after the first space.
    """
    if not figure.known:
        return []
    head, _, bounds = text.partition(" ")
    return [(label, head, bounds)]


def verdicts_tile(claims: Sequence[Mapping[str, Any]]) -> list[Tile]:
    """How many of the claims that were measured hold; none where no claim was."""
    measured = [claim for claim in claims if claim["verdict"] != "not measured"]
    if not measured:
        return []
    holds = sum(claim["verdict"] == "holds" for claim in measured)
    part = sum(claim["verdict"] == "holds in part" for claim in measured)
    return [("claims that hold", f"{holds} of {len(measured)}", f"{part} more in part" if part else "")]


def claims_table(claims: Sequence[Mapping[str, Any]], measured: str = "our figure [interval]") -> TableView:
    """Every claim with our figure, the verdict, and when the claim fails.

    Args:
        claims: As JSON.
        measured: The header of our figures.
    """
    rows = tuple(
        (
            str(claim["section"]),
            str(claim["claim"]) + (" (ours)" if claim["ours"] else ""),
            str(claim["measured"]),
            str(claim["verdict"]),
            str(claim["fails"]),
        )
        for claim in claims
    )
    return TableView("Claims and verdicts", ("part", "claim", measured, "verdict", "fails when"), rows, 2)
