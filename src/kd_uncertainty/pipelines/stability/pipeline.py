"""responses, examples -> networks along their training, tables and figures."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.stability import nodes


def create_pipeline() -> Pipeline:
    """Train the networks, then draw how steadily they learn."""
    return Pipeline(
        [
            node(
                nodes.train_on_each_kind_of_labels,
                ["responses", "examples", "task", "params:stability", "params:analysis", "params:execution"],
                [*nodes.TABLES, "stability_engine"],
                name="train_on_each_kind_of_labels",
            ),
            node(
                nodes.plot_stability,
                ["params:analysis", *nodes.TABLES],
                [f"{table}_figure" for table in nodes.TABLES],
                name="plot_stability",
            ),
        ]
    )
