"""parameters -> enumerated processes, their tables and figure."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.processes import nodes

TABLES = ["processes", "sharpness"]


def create_pipeline() -> Pipeline:
    """Enumerate, then draw."""
    return Pipeline(
        [
            node(
                nodes.enumerate_processes,
                ["params:processes", "params:execution"],
                TABLES,
                name="enumerate_processes",
            ),
            node(nodes.plot_processes, TABLES, [f"{name}_figure" for name in TABLES], name="plot_processes"),
        ]
    )
