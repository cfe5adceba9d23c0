"""tables -> summary, figures, report."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.reporting import nodes, regression
from kd_uncertainty.report.figures import FIGURES
from kd_uncertainty.report.regression.figures import CHAIN_FIGURES
from kd_uncertainty.report.regression.figures import FIGURES as ALL_FIGURES

_SECTIONS = ("ingestion", "teachers", "responses", "students", "propagation", "reporting")


def create_pipeline(kind: str = "classification") -> Pipeline:
    """The headline, the pictures, and the page that a person reads."""
    return _regression() if kind == "regression" else _classification()


def _classification() -> Pipeline:
    figures = [f"{name}_figure" for name in FIGURES]
    return Pipeline(
        [
            node(
                nodes.summarise,
                ["task", "params:propagation", "params:reporting", *nodes.TABLES],
                "summary",
                name="summarise",
            ),
            node(nodes.draw_figures, ["params:reporting", *nodes.TABLES], figures, name="draw_figures"),
            node(
                nodes.write_report,
                ["summary", "engine", *(f"params:{section}" for section in _SECTIONS), *figures, *nodes.TABLES],
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
                [f"{name}_figure" for name in CHAIN_FIGURES],
                name="draw_figures",
            ),
            node(
                regression.write_report,
                [
                    "summary",
                    "engine",
                    *sections,
                    *(f"{name}_figure" for name in ALL_FIGURES),
                    *regression.TABLES,
                ],
                "report",
                name="write_report",
            ),
        ]
    )
