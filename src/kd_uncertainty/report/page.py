"""The report: one self-contained HTML page that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from kd_uncertainty.report.arms import Tables, read_arms, table
from kd_uncertainty.report.budget import Budget, read_budgets, why_no_budget
from kd_uncertainty.report.comparison import as_estimate
from kd_uncertainty.report.figures import FIGURES, make_figures
from kd_uncertainty.report.rendering import render_page
from kd_uncertainty.report.schedules import recovery_table
from kd_uncertainty.report.tables import report_tables, rivals_table, theory_table
from kd_uncertainty.report.teacher_tables import teacher_tables
from kd_uncertainty.report.wording import listing, number, percent, plural, with_interval

GLOSSARY = (
    (
        "student",
        "one trained network, with three independent seeds: responses, initialisation and order of the batches",
    ),
    ("arm", "one way to train students: teacher, target and number of responses k; its students differ by seeds alone"),
    ("response", "one draw of the teacher's stochastic output for one example: a sampled label or a posterior draw"),
    ("intra-student", "uncertainty that a single student expresses in its own probabilities"),
    ("inter-student", "variance between students of one arm: what another run with other seeds would have changed"),
    ("total", "intra-student plus inter-student, exactly: the uncertainty of the average student"),
    ("residual", "interaction of the sources, and everything that none of them explains alone"),
    ("floor", "inter-student variance that no number of responses removes: b in Var(k) = a/k + b"),
    ("NLL", "negative log-likelihood of the true class in nats; lower is better, and overconfidence costs"),
    ("ECE", "expected calibration error: mean gap between confidence and accuracy"),
)


def render_report(
    summary: Mapping[str, Any],
    figures: Mapping[str, go.Figure],
    tables: Tables,
    provenance: Mapping[str, Any],
    *,
    title: str = "Uncertainty in knowledge distillation",
) -> str:
    """Render the report as one HTML page with everything inlined: styles, figures, plotly.js.

    The page forbids itself any request by its content security policy. Names that a user chose (teachers, classes,
    parameters) are escaped.

    Args:
        summary: From `make_summary`.
        figures: From `make_figures`; any may be missing. Their versions for narrow screens are drawn from ``tables``.
        tables: The study's tables by name; any may be missing.
        provenance: ``command, parameters, seeds, versions, device, backend, backend_reason, seconds, fingerprints,
            created``; any may be missing.
        title: The page's title.
    """
    split = str(summary["split"])
    by_topic: dict[str, list[Mapping[str, Any]]] = {}
    for finding in summary["findings"]:
        by_topic.setdefault(finding["topic"], []).append(finding)
    budgets = read_budgets(tables)
    arms = read_arms(tables)
    return render_page(
        "page.html.jinja",
        (figures, make_figures(tables, split, narrow=True)),
        FIGURES,
        provenance,
        title=title,
        summary=summary,
        split=split,
        topics=by_topic,
        tiles=_tiles(summary),
        basis=_basis(summary),
        split_texts=_split_texts(summary),
        rivals=rivals_table(tables, split),
        theory=theory_table(budgets) if budgets else None,
        agreement=_agreement(budgets),
        no_theory=why_no_budget(arms, summary["num_seeds"].get("response")),
        views=report_tables(tables, split),
        compared=[view for view in teacher_tables(table(tables, "teacher_comparison"), split) if view.rows],
        recovered=recovery_table(tables, split),
        disobeying=bool(len(table(tables, "deviations"))),
        glossary=GLOSSARY,
        has_curves=bool(len(table(tables, "teacher_curves")) or len(table(tables, "student_curves"))),
        number=lambda value, places=2: number(value, places),
        percent=percent,
    )


def _tiles(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Label, figure and small print of the few numbers at the top."""
    choice, split = summary["choice"], summary["split"]
    if choice is None:
        return []
    accuracy, shares = choice["metrics"][split]["accuracy"], choice["shares"]
    tiles = [(f"chosen students' accuracy, {split}", percent(accuracy["estimate"]), _bounds(accuracy, 100.0, 1))]
    name, other = "one-hot control", summary["control"]
    if choice["target"] == "one_hot":
        name, other = "best distilled arm", summary["distilled"]
    if other is not None:
        value = other["metrics"][split]["accuracy"]
        tiles.append((f"{name}, {split}", percent(value["estimate"]), _bounds(value, 100.0, 1)))
    responses = [finding["figures"] for finding in summary["findings"] if finding["topic"] == "responses"]
    if responses and responses[0]:
        first = responses[0]
        k = first["recommended_num_responses"]
        low, high = (number(k[end], 0) if k[end] is not None else "∞" for end in ("lower", "upper"))
        text = "none" if first["unbounded"] else number(k["estimate"], 0)
        small = f"[{low}, {high}]" + (", extrapolated" if first["extrapolated"] and not first["unbounded"] else "")
        unit = {"label": "labels", "posterior": "draws"}.get(first["target"], "responses")
        tiles.append((f"{unit} enough, {first['teacher']}", text, small))
    known = {name: share for name, share in shares.items() if share is not None}
    if known:
        largest = max(known, key=lambda name: known[name])
        tiles.append(("largest inter-student source", largest, f"{known[largest]:.0%} of the variance"))
    return tiles


def _agreement(budgets: Sequence[Budget]) -> list[tuple[str, str]]:
    """Each verdict on the 1/k law, and the curves that it holds for with their slopes."""
    groups: dict[str, list[str]] = {}
    for budget in budgets:
        slope = with_interval(budget.slope, places=2)
        groups.setdefault(budget.theory(), []).append(f"{budget.name}: {slope}")
    return [(f"{word[0].upper()}{word[1:]}", "; ".join(curves)) for word, curves in groups.items()]


def _split_texts(summary: Mapping[str, Any]) -> list[str]:
    """Total, intra and inter of the chosen and of the best distilled arm in words, as variance and as entropy."""
    arms = {arm["arm"]: arm for arm in (summary["choice"], summary["distilled"]) if arm is not None}
    texts = [(arm["name"], _split_text(arm["components"])) for arm in arms.values()]
    return [f"With students trained on {name}, {summary['split']} split: {text}." for name, text in texts if text]


def _split_text(components: Mapping[str, Mapping[str, float | None]]) -> str:
    forms = []
    for form, suffix, unit in (("variance", "", ""), ("entropy", "_entropy", " nats")):
        total, intra, inter = (
            as_estimate(components.get(f"{name}{suffix}", {})) for name in ("total", "intra", "inter")
        )
        if total.estimate > 0.0:
            forms.append(
                f"{form} {with_interval(total)}{unit} = {with_interval(intra)} within students + "
                f"{with_interval(inter)} between them ({percent(inter.estimate / total.estimate)})"
            )
    return "; ".join(forms)


def _bounds(figure: Mapping[str, float | None], scale: float, places: int) -> str:
    low, high = (None if figure[end] is None else scale * float(figure[end] or 0.0) for end in ("lower", "upper"))
    return "" if low is None or high is None else f"[{number(low, places)}, {number(high, places)}]"


def _basis(summary: Mapping[str, Any]) -> list[str]:
    """What the figures rest on."""
    seeds = summary["num_seeds"]
    named = [f"{count} {name}" for name, count in seeds.items()]
    crossed = f", which cross {listing(named)} seeds within an arm" if len(named) == 3 else ""
    population = f"{plural(summary['num_students'], 'student')} in " if summary["num_students"] else ""
    return [
        f"Measured on {population}{plural(summary['num_arms'], 'arm')}{crossed}.",
        f"Brackets are {summary['confidence']:.0%} intervals. Differences combine the intervals of both sides as if "
        "these were independent; arms share their examples, so the intervals of differences err on the wide side.",
        f"Choices use the validation split only; {summary['split']} figures are reported, never used to choose."
        if summary["split"] != "validation"
        else "Choices use the validation split, which is also the one shown, so the chosen arm looks too good.",
    ]
