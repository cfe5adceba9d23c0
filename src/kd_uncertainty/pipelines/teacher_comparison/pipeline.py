"""examples -> compared teachers -> teacher_comparison, its recommendation and figure."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.teacher_comparison import nodes


def create_pipeline() -> Pipeline:
    """Fit the teachers, let each teach students, then draw what came of it."""
    return Pipeline(
        [
            node(
                nodes.fit_compared_teachers,
                ["examples", "task", "params:teachers", "params:teacher_comparison", "params:execution"],
                ["compared_teachers", "compared_teacher_curves"],
                name="fit_compared_teachers",
            ),
            node(
                nodes.compare_teachers,
                [
                    "examples",
                    "task",
                    "compared_teachers",
                    "params:students",
                    "params:teacher_comparison",
                    "params:propagation",
                    "params:execution",
                ],
                ["teacher_comparison", "teacher_recommendation"],
                name="compare_teachers",
            ),
            node(
                nodes.plot_teacher_comparison,
                "teacher_comparison",
                "teacher_comparison_figure",
                name="plot_teacher_comparison",
            ),
        ]
    )
