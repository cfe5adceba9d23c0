"""source -> examples, task."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.ingestion import language, nodes, regression


def create_pipeline(kind: str = "classification") -> Pipeline:
    """One node: checks, split, preprocessing; label noise for classes."""
    if kind == "language":
        return Pipeline(
            [
                node(
                    language.prepare_prompts,
                    ["source", "params:ingestion"],
                    ["prompts", "task"],
                    name="prepare_prompts",
                )
            ]
        )
    prepare = regression.prepare_examples if kind == "regression" else nodes.prepare_examples
    return Pipeline([node(prepare, ["source", "params:ingestion"], ["examples", "task"], name="prepare_examples")])
