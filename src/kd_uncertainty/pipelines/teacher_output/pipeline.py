"""examples -> teacher_output, its table and figure."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.teacher_output import nodes


def create_pipeline() -> Pipeline:
    """Run the section, then draw it."""
    return Pipeline(
        [
            node(
                nodes.measure_teacher_output,
                ["examples", "params:teacher_output", "params:propagation", "params:execution"],
                "teacher_output",
                name="measure_teacher_output",
            ),
            node(nodes.plot_teacher_output, "teacher_output", "teacher_output_figure", name="plot_teacher_output"),
        ]
    )
