"""responses -> plan -> students -> predictions and learning curves."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.cluster import SHARDS
from kd_uncertainty.pipelines.students import language, nodes, regression


def create_pipeline(kind: str = "classification") -> Pipeline:
    """Plan the population, train it, and write down what it says."""
    known = {"regression": _regression, "language": _language}
    made = known.get(kind, _classification)
    return made()


def _language() -> Pipeline:
    given = ["params:responses", "params:students", "params:execution"]
    return Pipeline(
        [
            node(language.make_plan, ["responses", "prompts", "params:students"], "plan", name="make_plan"),
            node(language.train_pilot, ["prompts", "responses", *given], "pilot", name="train_pilot"),
            node(
                language.choose_targets,
                ["plan", "prompts", "responses", "pilot", *given],
                ["targets", "response_embeddings"],
                name="choose_targets",
            ),
            node(
                language.train_students,
                ["plan", "targets", "prompts", "responses", *given],
                ["students", "engine"],
                name="train_students",
            ),
            node(
                language.collect_answers,
                ["students", "prompts", *given[:2]],
                "student_answers",
                name="collect_answers",
            ),
            node(language.collect_curves, "students", "student_curves", name="collect_curves"),
            node(language.show_answers, ["prompts", "student_answers", "plan"], "student_samples", name="show_answers"),
        ]
    )


def _classification() -> Pipeline:
    return Pipeline(
        [
            node(nodes.make_plan, ["responses", "params:students"], "plan", name="make_plan"),
            node(
                nodes.train_students,
                ["plan", "examples", "task", "responses", "params:students", "params:execution"],
                ["students", "engine"],
                name="train_students",
                tags=SHARDS,
            ),
            node(nodes.collect_predictions, ["students", "examples"], "predictions", name="collect_predictions"),
            node(nodes.collect_curves, "students", "student_curves", name="collect_curves"),
        ]
    )


def _regression() -> Pipeline:
    return Pipeline(
        [
            node(regression.make_plan, ["responses", "examples", "params:students"], "plan", name="make_plan"),
            node(
                regression.train_students,
                ["plan", "examples", "task", "responses", "params:students", "params:execution"],
                ["students", "engine"],
                name="train_students",
                tags=SHARDS,
            ),
            node(
                regression.fit_linear_students,
                ["plan", "examples", "task", "responses"],
                "linear_students",
                name="fit_linear_students",
            ),
            node(
                regression.collect_predictions,
                ["students", "linear_students", "examples", "task"],
                "predictions",
                name="collect_predictions",
            ),
            node(nodes.collect_curves, "students", "student_curves", name="collect_curves"),
        ]
    )
