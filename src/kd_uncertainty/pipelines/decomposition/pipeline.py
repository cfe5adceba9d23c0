"""parameters -> the divergence's parts against each dial, tables and figure."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.decomposition import nodes


def create_pipeline() -> Pipeline:
    """Turn every dial, then draw."""
    return Pipeline(
        [
            node(
                nodes.turn_dials,
                ["params:decomposition", "params:analysis", "params:execution"],
                list(nodes.TABLES),
                name="turn_dials",
            ),
            node(
                nodes.plot_decomposition,
                ["params:analysis", *nodes.TABLES],
                "decomposition_sweeps_figure",
                name="plot_decomposition",
            ),
        ]
    )
