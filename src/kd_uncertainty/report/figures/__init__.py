"""The report's figures: pure functions from tables to plotly figures."""

from __future__ import annotations

import plotly.graph_objects as go

from kd_uncertainty.report.arms import Tables, best, read_arms, table
from kd_uncertainty.report.figures.curve import response_curve
from kd_uncertainty.report.figures.quality import student_quality
from kd_uncertainty.report.figures.reliability import expected_calibration_error, reliability_diagram
from kd_uncertainty.report.figures.sources import uncertainty_sources, within_between
from kd_uncertainty.report.figures.style import portable
from kd_uncertainty.report.figures.teachers import teacher_comparison_figure
from kd_uncertainty.report.figures.training import training_curves

__all__ = [
    "CHAIN_FIGURES",
    "FIGURES",
    "expected_calibration_error",
    "make_figures",
    "portable",
    "reliability_diagram",
    "response_curve",
    "student_quality",
    "teacher_comparison_figure",
    "training_curves",
    "uncertainty_sources",
    "within_between",
]

FIGURES = (
    "uncertainty_sources",
    "within_between",
    "response_curve",
    "reliability_diagram",
    "student_quality",
    "training_curves",
    "teacher_comparison",
    "deviation_bins",
    "deviations",
)
"""All figures of the page, in the order in which the node of the report takes them."""
CHAIN_FIGURES = FIGURES[:6]
"""Those that the reporting stage draws; the comparison of teachers and the deviations draw their own."""


def make_figures(tables: Tables, split: str = "test", *, narrow: bool = False) -> dict[str, go.Figure]:
    """All figures by name; a table that is missing gives a figure that says so.

    Args:
        tables: The study's tables by name.
        split: The split to show; the response curve shows the validation split, on which it is fitted.
        narrow: For narrow screens: one panel below the other.
    """
    # Imported here, since the figures of other studies use the modules of this package.
    from kd_uncertainty.report.deviations.figures import bins_figure, deviations_figure

    components = table(tables, "variance_components")
    arms = read_arms({"arm_metrics": table(tables, "arm_metrics")})
    chosen = [best([arm for arm in arms if arm.teacher == name]) for name in sorted({arm.teacher for arm in arms})]
    return {
        "uncertainty_sources": uncertainty_sources(components, split, narrow=narrow),
        "within_between": within_between(components, split, narrow=narrow),
        "response_curve": response_curve(components, table(tables, "response_budget"), narrow=narrow),
        "reliability_diagram": reliability_diagram(
            table(tables, "reliability"), split, [arm.keys() for arm in chosen if arm is not None], narrow=narrow
        ),
        "student_quality": student_quality(
            table(tables, "arm_metrics"), table(tables, "teacher_metrics"), split, narrow=narrow
        ),
        "training_curves": training_curves(
            table(tables, "teacher_curves"), table(tables, "student_curves"), table(tables, "plan"), narrow=narrow
        ),
        "teacher_comparison": teacher_comparison_figure(table(tables, "teacher_comparison"), narrow=narrow),
        "deviation_bins": bins_figure(table(tables, "deviation_bins"), narrow=narrow),
        "deviations": deviations_figure(table(tables, "deviations"), narrow=narrow),
    }
