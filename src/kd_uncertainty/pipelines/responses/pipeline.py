"""teachers -> responses."""

from kedro.pipeline import Pipeline, node

from kd_uncertainty.pipelines.responses import language, nodes, regression


def create_pipeline(kind: str = "classification") -> Pipeline:
    """One node, which streams; the answers of a language model are sampled in shards first."""
    if kind == "language":
        return _language()
    draw = regression.draw_responses if kind == "regression" else nodes.draw_responses
    return Pipeline(
        [
            node(
                draw,
                ["teachers", "examples", "task", "params:responses", "params:execution"],
                "responses",
                name="draw_responses",
            )
        ]
    )


def _language() -> Pipeline:
    return Pipeline(
        [
            node(
                language.sample_responses,
                ["prompts", "params:responses", "params:execution"],
                "response_shards",
                name="sample_responses",
            ),
            node(
                language.collect_responses,
                ["response_shards", "prompts", "params:responses"],
                "responses",
                name="collect_responses",
            ),
            node(language.show_responses, ["responses", "prompts"], "teacher_samples", name="show_responses"),
        ]
    )
