"""Classification tables -> student_output, its table and figure."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.student_output import nodes


def create_pipeline() -> Pipeline:
    """Run the section, then draw it."""
    return Pipeline(
        [
            node(
                nodes.measure_student_output,
                [
                    "digits",
                    "wine",
                    "breast_cancer",
                    "params:student_output",
                    "params:propagation",
                    "params:execution",
                ],
                "student_output",
                name="measure_student_output",
            ),
            node(nodes.plot_student_output, "student_output", "student_output_figure", name="plot_student_output"),
        ]
    )
