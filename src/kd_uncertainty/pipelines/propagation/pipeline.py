"""predictions, responses -> metrics, variance components, response budget, best student."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.propagation import language, nodes, regression


def create_pipeline(kind: str = "classification") -> Pipeline:
    """How good teachers and students are, how the students differ, and why."""
    known = {"regression": _regression, "language": _language}
    made = known.get(kind, _classification)
    return made()


def _language() -> Pipeline:
    return Pipeline(
        [
            node(
                language.embed_answers,
                ["prompts", "responses", "student_answers", "params:responses", "params:execution"],
                "answer_embeddings",
                name="embed_answers",
            ),
            node(
                language.analyse_answers,
                [
                    "prompts",
                    "responses",
                    "answer_embeddings",
                    "plan",
                    "student_answers",
                    "params:ingestion",
                    "params:propagation",
                ],
                list(language.TABLES),
                name="analyse_answers",
            ),
        ]
    )


def _regression() -> Pipeline:
    return Pipeline(
        [
            node(
                regression.evaluate_teachers,
                ["responses", "examples", "params:propagation"],
                "teacher_metrics",
                name="evaluate_teachers",
            ),
            node(
                regression.evaluate_students,
                ["predictions", "plan", "responses", "examples", "task"],
                "student_metrics",
                name="evaluate_students",
            ),
            node(
                regression.summarise_arms,
                ["student_metrics", "plan", "params:propagation"],
                "arm_metrics",
                name="summarise_arms",
            ),
            node(
                regression.decompose_uncertainty,
                ["predictions", "plan", "student_metrics", "params:propagation"],
                ["variance_components", "response_budget", "advice"],
                name="decompose_uncertainty",
            ),
        ]
    )


def _classification() -> Pipeline:
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
                nodes.compare_schedules,
                ["student_metrics", "plan", "params:propagation"],
                "schedule_gains",
                name="compare_schedules",
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
