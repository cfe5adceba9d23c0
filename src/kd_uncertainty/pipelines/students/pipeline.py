"""responses -> plan -> students -> predictions and learning curves."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.students import nodes, regression


def create_pipeline(kind: str = "classification") -> Pipeline:
    """Plan the population, train it, and write down what it says."""
    return _regression() if kind == "regression" else _classification()


def _classification() -> Pipeline:
    return Pipeline(
        [
            node(nodes.make_plan, ["responses", "params:students"], "plan", name="make_plan"),
            node(
                nodes.train_students,
                ["plan", "examples", "task", "responses", "params:students", "params:execution"],
                ["students", "engine"],
                name="train_students",
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
