"""examples -> teachers and their training curves."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.teachers import nodes, regression


def create_pipeline(kind: str = "classification") -> Pipeline:
    """Fit every teacher, then draw the curves."""
    fit = regression.fit_teachers if kind == "regression" else nodes.fit_teachers
    return Pipeline(
        [
            node(
                fit,
                ["examples", "task", "params:teachers", "params:execution"],
                ["teachers", "teacher_curves"],
                name="fit_teachers",
            ),
            node(nodes.plot_teacher_curves, "teacher_curves", "teacher_curves_figure", name="plot_teacher_curves"),
        ]
    )
