"""examples -> gaps of networks and their bounds, a table for each kernel, and a figure."""

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
                nodes.bound_langevin_networks,
                ["examples", "task", "params:langevin_bounds", "params:analysis", "params:execution"],
                "langevin_bounds",
                name="bound_langevin_networks",
            ),
            node(
                nodes.plot_network_bounds,
                ["params:analysis", "network_bounds"],
                "network_bounds_figure",
                name="plot_network_bounds",
            ),
        ]
    )
