"""examples -> descent, plateau, step sweep and mixtures, their tables and figures."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.neighbourhood import nodes


def create_pipeline() -> Pipeline:
    """Run stochastic gradient descent, then draw where it went."""
    return Pipeline(
        [
            node(
                nodes.descend,
                ["examples", "params:world", "params:neighbourhood", "params:analysis", "params:execution"],
                list(nodes.TABLES),
                name="descend",
            ),
            node(
                nodes.plot_neighbourhood,
                ["params:analysis", *nodes.TABLES],
                [f"{table}_figure" for table in nodes.TABLES],
                name="plot_neighbourhood",
            ),
        ]
    )
