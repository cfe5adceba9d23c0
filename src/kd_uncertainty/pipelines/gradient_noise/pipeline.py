"""examples -> gradient noise at the optimum, its table and figure."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.gradient_noise import nodes


def create_pipeline() -> Pipeline:
    """Measure the noise, then draw it."""
    return Pipeline(
        [
            node(
                nodes.measure_gradient_noise,
                ["examples", "params:world", "params:gradient_noise", "params:analysis", "params:execution"],
                "gradient_noise",
                name="measure_gradient_noise",
            ),
            node(nodes.plot_gradient_noise, "gradient_noise", "gradient_noise_figure", name="plot_gradient_noise"),
        ]
    )
