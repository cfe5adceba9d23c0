"""parameters -> gradients on synthetic tasks, their tables and figures."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.denoising import nodes


def create_pipeline() -> Pipeline:
    """Measure, then draw."""
    return Pipeline(
        [
            node(
                nodes.compare_gradients,
                ["params:denoising", "params:analysis", "params:execution"],
                list(nodes.TABLES),
                name="compare_gradients",
            ),
            node(
                nodes.plot_denoising,
                list(nodes.TABLES),
                [f"{table}_figure" for table in nodes.TABLES],
                name="plot_denoising",
            ),
        ]
    )
