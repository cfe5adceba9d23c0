"""tables -> summary, figures, report."""

from collections.abc import Sequence
from typing import Any

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.reporting import bounds, convergence, deviations, language, nodes, regression
from kd_uncertainty.report import figures as classification
from kd_uncertainty.report.bounds.figures import FIGURES as BOUNDS_FIGURES
from kd_uncertainty.report.convergence.figures import FIGURES as CONVERGENCE_FIGURES
from kd_uncertainty.report.deviations.figures import FIGURES as DEVIATION_FIGURES
from kd_uncertainty.report.language.figures import FIGURES as LANGUAGE_FIGURES
from kd_uncertainty.report.regression import figures as regression_figures

_SECTIONS = (
    "ingestion",
    "teachers",
    "responses",
    "students",
    "propagation",
    "deviations",
    "teacher_comparison",
    "reporting",
)


def create_pipeline(kind: str = "classification") -> Pipeline:
    """The headline, the pictures, and the page that a person reads."""
    known = {
        "regression": _regression,
        "convergence": _convergence,
        "deviations": _deviations,
        "bounds": _bounds,
        "language": _language,
    }
    made = known.get(kind, _classification)
    return made()


def _classification() -> Pipeline:
    drawn, shown = (
        [f"{name}_figure" for name in names] for names in (classification.CHAIN_FIGURES, classification.FIGURES)
    )
    return Pipeline(
        [
            node(
                nodes.summarise,
                ["task", "params:propagation", "params:reporting", "teacher_recommendation", *nodes.TABLES],
                "summary",
                name="summarise",
            ),
            node(nodes.draw_figures, ["params:reporting", *nodes.TABLES], drawn, name="draw_figures"),
            node(
                nodes.write_report,
                ["summary", "engine", *(f"params:{section}" for section in _SECTIONS), *shown, *nodes.TABLES],
                "report",
                name="write_report",
            ),
        ]
    )


def _regression() -> Pipeline:
    sections = [f"params:{section}" for section in regression.SECTIONS]
    return Pipeline(
        [
            node(
                regression.summarise,
                ["task", "params:propagation", "params:reporting", *regression.TABLES],
                "summary",
                name="summarise",
            ),
            node(
                regression.draw_figures,
                ["params:reporting", *regression.TABLES],
                [f"{name}_figure" for name in regression_figures.CHAIN_FIGURES],
                name="draw_figures",
            ),
            node(
                regression.write_report,
                [
                    "summary",
                    "engine",
                    *sections,
                    *(f"{name}_figure" for name in regression_figures.FIGURES),
                    *regression.TABLES,
                ],
                "report",
                name="write_report",
            ),
        ]
    )


def _convergence() -> Pipeline:
    sections = [f"params:{section}" for section in convergence.SECTIONS]
    figures = [f"{name}_figure" for name in CONVERGENCE_FIGURES]
    return Pipeline(
        [
            node(
                convergence.summarise,
                ["task", "params:analysis", *convergence.TABLES],
                "summary",
                name="summarise",
            ),
            node(
                convergence.write_report,
                ["summary", "stability_engine", *sections, *figures, *convergence.TABLES],
                "report",
                name="write_report",
            ),
        ]
    )


def _language() -> Pipeline:
    sections = [f"params:{section}" for section in language.SECTIONS]
    figures = [f"{name}_figure" for name in LANGUAGE_FIGURES]
    return Pipeline(
        [
            node(language.summarise, ["task", "params:propagation", *language.TABLES], "summary", name="summarise"),
            node(language.draw_figures, ["params:propagation", *language.TABLES], figures, name="draw_figures"),
            node(
                language.write_report,
                ["summary", "engine", *sections, *figures, *language.TABLES],
                "report",
                name="write_report",
            ),
        ]
    )


def _deviations() -> Pipeline:
    return _experiments(deviations, DEVIATION_FIGURES)


def _bounds() -> Pipeline:
    return _experiments(bounds, BOUNDS_FIGURES)


def _experiments(study: Any, drawn: Sequence[str]) -> Pipeline:
    """The reporting of a study whose figures are drawn by its stages."""
    sections = [f"params:{section}" for section in study.SECTIONS]
    figures = [f"{name}_figure" for name in drawn]
    return Pipeline(
        [
            node(study.summarise, ["task", "params:analysis", *study.TABLES], "summary", name="summarise"),
            node(study.write_report, ["summary", *sections, *figures, *study.TABLES], "report", name="write_report"),
        ]
    )
