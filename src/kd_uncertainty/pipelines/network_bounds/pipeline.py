"""examples -> gaps of networks and their bounds, table and figure."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.network_bounds import nodes


def create_pipeline() -> Pipeline:
    """Train on many training sets, then draw."""
    return Pipeline(
        [
            node(
                nodes.bound_networks,
                ["examples", "task", "params:network_bounds", "params:analysis", "params:execution"],
                "network_bounds",
                name="bound_networks",
            ),
            node(
                nodes.plot_network_bounds,
                ["params:analysis", "network_bounds"],
                "network_bounds_figure",
                name="plot_network_bounds",
            ),
        ]
    )
