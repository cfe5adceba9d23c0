"""examples -> loss switching, its tables and figure."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.switching import nodes


def create_pipeline() -> Pipeline:
    """Train, then draw."""
    return Pipeline(
        [
            node(
                nodes.switch_losses,
                ["examples", "task", "params:switching", "params:analysis", "params:execution"],
                ["switching", "switching_teachers"],
                name="switch_losses",
            ),
            node(nodes.plot_switching, "switching", "switching_figure", name="plot_switching"),
        ]
    )
