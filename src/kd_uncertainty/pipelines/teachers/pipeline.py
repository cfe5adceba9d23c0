"""examples -> teachers and their training curves."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.teachers import nodes


def create_pipeline() -> Pipeline:
    """Fit every teacher, then draw the curves."""
    return Pipeline(
        [
            node(
                nodes.fit_teachers,
                ["examples", "task", "params:teachers", "params:execution"],
                ["teachers", "teacher_curves"],
                name="fit_teachers",
            ),
            node(nodes.plot_teacher_curves, "teacher_curves", "teacher_curves_figure", name="plot_teacher_curves"),
        ]
    )
