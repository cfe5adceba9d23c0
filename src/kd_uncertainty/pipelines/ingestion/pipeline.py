"""source -> examples, task."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.ingestion import nodes


def create_pipeline() -> Pipeline:
    """One node: checks, split, label noise, preprocessing."""
    return Pipeline(
        [node(nodes.prepare_examples, ["source", "params:ingestion"], ["examples", "task"], name="prepare_examples")]
    )
