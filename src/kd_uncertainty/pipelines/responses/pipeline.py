"""teachers -> responses."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.responses import nodes


def create_pipeline() -> Pipeline:
    """One node, which streams."""
    return Pipeline(
        [
            node(
                nodes.draw_responses,
                ["teachers", "examples", "task", "params:responses", "params:execution"],
                "responses",
                name="draw_responses",
            )
        ]
    )
