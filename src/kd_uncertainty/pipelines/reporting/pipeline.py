"""tables -> summary, figures, report."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.reporting import nodes
from kd_uncertainty.report.figures import FIGURES

_SECTIONS = ("ingestion", "teachers", "responses", "students", "propagation", "reporting")


def create_pipeline() -> Pipeline:
    """The headline, the pictures, and the page that a person reads."""
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
