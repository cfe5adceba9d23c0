"""predictions, responses -> metrics, variance components, response budget, best student."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.propagation import nodes


def create_pipeline() -> Pipeline:
    """How good teachers and students are, how the students differ, and why."""
    return Pipeline(
        [
            node(
                nodes.evaluate_teachers,
                ["responses", "examples", "task", "params:propagation"],
                ["teacher_metrics", "teacher_reliability"],
                name="evaluate_teachers",
            ),
            node(
                nodes.evaluate_students,
                ["predictions", "plan", "responses", "examples", "task", "params:propagation"],
                ["student_metrics", "student_reliability"],
                name="evaluate_students",
            ),
            node(
                nodes.collect_reliability,
                ["teacher_reliability", "student_reliability"],
                "reliability",
                name="collect_reliability",
            ),
            node(
                nodes.summarise_arms,
                ["student_metrics", "plan", "params:propagation"],
                "arm_metrics",
                name="summarise_arms",
            ),
            node(
                nodes.decompose_uncertainty,
                ["predictions", "plan", "params:propagation"],
                ["variance_components", "response_budget"],
                name="decompose_uncertainty",
            ),
            node(
                nodes.select_best_student,
                ["student_metrics", "students", "examples", "task", "params:students"],
                "best_student",
                name="select_best_student",
            ),
        ]
    )
