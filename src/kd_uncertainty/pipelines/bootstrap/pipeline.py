"""examples -> bootstrap, its table and figure."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.bootstrap import nodes


def create_pipeline() -> Pipeline:
    """Run the section, then draw it."""
    return Pipeline(
        [
            node(
                nodes.measure_bootstrap,
                ["examples", "params:bootstrap", "params:propagation", "params:execution"],
                "bootstrap",
                name="measure_bootstrap",
            ),
            node(nodes.plot_bootstrap, "bootstrap", "bootstrap_figure", name="plot_bootstrap"),
        ]
    )
