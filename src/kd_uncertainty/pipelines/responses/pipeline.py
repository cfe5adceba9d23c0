"""teachers -> responses."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.responses import nodes, regression


def create_pipeline(kind: str = "classification") -> Pipeline:
    """One node, which streams."""
    draw = regression.draw_responses if kind == "regression" else nodes.draw_responses
    return Pipeline(
        [
            node(
                draw,
                ["teachers", "examples", "task", "params:responses", "params:execution"],
                "responses",
                name="draw_responses",
            )
        ]
    )
