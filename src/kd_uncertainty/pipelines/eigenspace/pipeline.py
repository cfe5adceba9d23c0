"""examples -> paths along eigenvectors, their tables and figures."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.eigenspace import nodes


def create_pipeline() -> Pipeline:
    """Train, then draw."""
    return Pipeline(
        [
            node(
                nodes.follow_directions,
                ["examples", "params:eigenspace", "params:analysis", "params:execution"],
                list(nodes.TABLES),
                name="follow_directions",
            ),
            node(
                nodes.plot_eigenspace,
                list(nodes.TABLES),
                [f"{table}_figure" for table in nodes.TABLES],
                name="plot_eigenspace",
            ),
        ]
    )
