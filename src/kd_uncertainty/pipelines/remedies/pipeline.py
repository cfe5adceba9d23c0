"""examples -> remedies, its table and figure."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.remedies import nodes


def create_pipeline() -> Pipeline:
    """Run the section, then draw it."""
    return Pipeline(
        [
            node(
                nodes.measure_remedies,
                ["examples", "params:remedies", "params:propagation", "params:execution"],
                "remedies",
                name="measure_remedies",
            ),
            node(nodes.plot_remedies, "remedies", "remedies_figure", name="plot_remedies"),
        ]
    )
