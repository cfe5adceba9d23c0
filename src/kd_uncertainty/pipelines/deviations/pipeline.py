"""predictions, responses (or examples alone) -> deviations, their tables and figures."""

from kedro.pipeline import Node, Pipeline, node

from kd_uncertainty.pipelines.deviations import nodes


def create_pipeline(kind: str = "classification") -> Pipeline:
    """Compare students with their teachers and with controls, then draw it."""
    return Pipeline(
        [
            _experiment() if kind == "deviations" else _of_the_study(),
            node(
                nodes.plot_deviations,
                list(nodes.TABLES),
                [f"{table}_figure" for table in nodes.TABLES],
                name="plot_deviations",
            ),
        ]
    )


def _experiment() -> Node:
    return node(
        nodes.train_and_compare,
        ["examples", "task", "params:deviations", "params:analysis", "params:execution"],
        list(nodes.TABLES),
        name="train_and_compare",
    )


def _of_the_study() -> Node:
    return node(
        nodes.compare_students,
        ["predictions", "plan", "responses", "examples", "task", "params:deviations"],
        list(nodes.TABLES),
        name="compare_students",
    )
