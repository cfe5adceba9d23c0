"""examples -> initialisation, its table and figure."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.initialisation import nodes


def create_pipeline() -> Pipeline:
    """Run the section, then draw it."""
    return Pipeline(
        [
            node(
                nodes.measure_initialisation,
                ["examples", "params:initialisation", "params:propagation", "params:execution"],
                "initialisation",
                name="measure_initialisation",
            ),
            node(nodes.plot_initialisation, "initialisation", "initialisation_figure", name="plot_initialisation"),
        ]
    )
