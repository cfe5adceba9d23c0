"""responses -> plan -> students -> predictions and learning curves."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.students import nodes


def create_pipeline() -> Pipeline:
    """Plan the population, train it, and write down what it says."""
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
