"""parameters -> the law of answers, on a table."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.surrogate import nodes


def create_pipeline() -> Pipeline:
    """One node."""
    return Pipeline(
        [node(nodes.run_surrogate, ["params:surrogate", "params:propagation"], "surrogate", name="run_surrogate")]
    )
