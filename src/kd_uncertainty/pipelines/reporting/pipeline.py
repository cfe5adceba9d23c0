"""tables -> summary, figures, report."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.reporting import nodes
from kd_uncertainty.report.figures import FIGURES

TABLES = (
    "teacher_metrics",
    "reliability",
    "student_metrics",
    "arm_metrics",
    "variance_components",
    "response_budget",
    "plan",
    "student_curves",
)
_SECTIONS = ("ingestion", "teachers", "responses", "students", "propagation", "reporting")


def create_pipeline() -> Pipeline:
    """The headline, the pictures, and the page that a person reads."""
    figures = [f"{name}_figure" for name in FIGURES]
    return Pipeline(
        [
            node(
                nodes.summarise,
                ["task", "params:propagation", "params:reporting", *TABLES],
                "summary",
                name="summarise",
            ),
            node(nodes.draw_figures, ["params:reporting", *TABLES], figures, name="draw_figures"),
            node(
                nodes.write_report,
                ["summary", "engine", *(f"params:{section}" for section in _SECTIONS), *figures, *TABLES],
                "report",
                name="write_report",
            ),
        ]
    )
