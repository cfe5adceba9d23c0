"""The whole study on the small environment, and everything that `kedro run` is asked to understand."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project
from scipy.special import softmax

from kd_uncertainty import schemas
from kd_uncertainty.cli import run
from kd_uncertainty.datasets import ParquetStream
from kd_uncertainty.networks import build_network
from kd_uncertainty.pipelines import study_pipeline
from kd_uncertainty.population.native import library

from .project import ROOT


def table(finished, name):
    return finished.load(f"classification.{name}")


def test_every_output_is_there_whole_and_valid(finished):
    catalog = finished.catalog()
    for name in study_pipeline("classification").all_outputs():
        assert catalog.exists(name), name
        data = catalog.load(name)
        check = getattr(schemas, name.partition(".")[2], None)
        if check is not None:
            check(data)


def test_every_file_verifies_with_coreutils_checksums(finished):
    from kd_uncertainty.artefacts import fault

    files = [path for path in finished.files() if path.suffix != ".sha256" and path.parent.name != "students"]
    assert len(files) > 20
    assert [fault(path) for path in files] == [None] * len(files)


def test_components_add_up_in_both_forms(finished):
    components = table(finished, "variance_components")
    wide = components.pivot_table(index=["arm", "split"], columns="component", values="estimate")
    assert (wide["total"] - wide["intra"] - wide["inter"]).abs().max() < 1e-10
    assert (wide["total_entropy"] - wide["intra_entropy"] - wide["inter_entropy"]).abs().max() < 1e-10
    parts = wide[["response", "initialisation", "order", "residual"]].sum(axis=1)
    assert (parts - wide["inter_unbiased"]).abs().max() < 1e-10
    assert (components["lower"] <= components["upper"]).all()


def test_components_agree_with_the_predictions_table_by_brute_force(finished):
    predictions = pd.read_parquet(finished.path("classification.predictions"))
    plan, components = table(finished, "plan"), table(finished, "variance_components")
    arm = plan[(plan["target"] == "label") & (plan["num_responses"] == 2)].iloc[0]["arm"]
    rows = predictions[predictions["student"].isin(plan.loc[plan["arm"] == arm, "student"])]
    rows = rows[rows["split"] == "test"].sort_values(["student", "example_id"])
    probabilities = softmax(np.stack(rows["logits"].to_list()).astype(np.float64), axis=-1)
    probabilities = probabilities.reshape(rows["student"].nunique(), -1, probabilities.shape[-1])
    inter = probabilities.var(axis=0).sum(axis=-1).mean()
    intra = (1 - (probabilities**2).sum(axis=-1)).mean()
    found = components[(components["arm"] == arm) & (components["split"] == "test")].set_index("component")["estimate"]
    assert found["inter"] == pytest.approx(inter, rel=1e-6)
    assert found["intra"] == pytest.approx(intra, rel=1e-6)


def test_student_metrics_agree_with_the_predictions_table(finished):
    predictions = pd.read_parquet(finished.path("classification.predictions"))
    examples, metrics = table(finished, "examples"), table(finished, "student_metrics")
    rows = predictions[(predictions["student"] == 5) & (predictions["split"] == "validation")]
    truth = examples.set_index("example_id").loc[rows["example_id"], "target"].to_numpy()
    probabilities = softmax(np.stack(rows["logits"].to_list()).astype(np.float64), axis=-1)
    found = metrics[(metrics["student"] == 5) & (metrics["split"] == "validation")].iloc[0]
    assert found["accuracy"] == pytest.approx((probabilities.argmax(-1) == truth).mean())
    assert found["nll"] == pytest.approx(-np.log(probabilities[np.arange(len(truth)), truth]).mean(), rel=1e-9)


def test_the_best_student_is_chosen_on_validation_and_its_weights_give_its_predictions(finished):
    best, metrics = table(finished, "best_student"), table(finished, "student_metrics")
    validation = metrics[metrics["split"] == "validation"]
    assert best["validation_nll"] == validation["nll"].min()
    network = build_network(best["class_path"], best["arguments"], best["num_inputs"], best["num_classes"])
    network.load_state_dict(best["parameters"])
    predictions = pd.read_parquet(finished.path("classification.predictions"))
    rows = predictions[(predictions["student"] == best["student"]) & (predictions["split"] == "validation")]
    examples = table(finished, "examples").set_index("example_id")
    inputs = torch.tensor(np.stack(examples.loc[rows["example_id"], "inputs"].to_list()))
    with torch.no_grad():
        logits = network.eval()(inputs)
    np.testing.assert_allclose(logits.numpy(), np.stack(rows["logits"].to_list()), atol=1e-5)


def test_students_with_different_response_seeds_never_share_a_draw(finished):
    from kd_uncertainty.population.targets import deal_draws, posterior_draws

    plan = table(finished, "plan")
    blocks = deal_draws(plan)
    rows = plan[plan["target"] == "posterior"]
    used = {seed: set(posterior_draws(8, blocks, seed, int(rows["num_responses"].max()))) for seed in blocks.levels}
    assert sum(map(len, used.values())) == len(set().union(*used.values()))
    assert len(used) == 3


def test_the_plan_crosses_its_three_seeds(finished):
    plan = table(finished, "plan")
    for (_, target), arm in plan.groupby(["arm", "target"]):
        levels = [arm[name].nunique() for name in list(schemas.SEED_COLUMNS)]
        assert levels == ([3, 2, 2] if target in ("label", "posterior") else [1, 2, 2])
        assert len(arm[list(schemas.SEED_COLUMNS)].drop_duplicates()) == len(arm) == np.prod(levels)


def test_the_responses_explain_themselves(finished):
    facts = json.loads(pq.read_schema(finished.path("classification.responses")).metadata[b"kd_uncertainty"])
    assert facts["seed"] == 2
    assert facts["format_version"] == 1
    assert facts["fingerprint"] == finished.path("classification.responses").parent.name
    assert facts["teachers"]["dropout"] == {"kind": "mc_dropout", "draws": 8}
    assert facts["teachers"]["deterministic"]["draws"] == 1
    assert len(facts["classes"]) == 10


def test_the_engine_is_on_record(finished):
    engine = table(finished, "engine")
    assert engine["backend"] == ("vmap" if library.obstacle() else "native")
    assert engine["reason"]
    assert engine["initialisation"] == "counter"
    assert engine["num_students"] == len(table(finished, "plan"))


def test_the_report_is_one_page_that_needs_no_network(finished):
    page = finished.path("classification.report").read_text()
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert not re.search(r"<(script|link|img|iframe)\b[^>]*\b(src|href)\s*=", page.partition("plotly.js v")[0])
    assert "default-src 'none'" in page  # the page forbids itself every request


@pytest.mark.parametrize(
    "arguments",
    [
        ["--pipelines", "classification"],
        ["--namespaces", "classification.ingestion"],
        ["--tags", "ingestion"],
        ["--params", "classification.students.training.epochs=1,classification.reporting.title=Mine"],
    ],
)
def test_the_command_line_understands(arguments, project, monkeypatch):
    monkeypatch.chdir(ROOT)
    bootstrap_project(ROOT)
    outcome = CliRunner().invoke(run, ["--env", "test", "--conf-source", str(project.conf), *arguments])
    assert outcome.exit_code == 0, outcome.output
    params = {"classification": {"students": {"training": {"epochs": 1}}, "reporting": {"title": "Mine"}}}
    catalog = project.catalog(params=params if "--params" in arguments else None)
    assert catalog.exists("classification.examples")
    assert catalog.exists("classification.report") == (arguments[0] in ("--pipelines", "--params"))


def test_one_stage_alone_runs_on_what_the_stages_before_left(project):
    project.run(namespaces=["classification.ingestion", "classification.teachers"])
    assert not project.catalog().exists("classification.plan")
    project.run(namespaces=["classification.responses", "classification.students"])
    assert project.catalog().exists("classification.predictions")


def test_a_stage_without_what_it_needs_says_what_to_run(project):
    from kd_uncertainty.errors import UserError

    with pytest.raises(UserError, match=r"classification\.(examples|responses).*--only-missing-outputs"):
        project.run(namespaces=["classification.students"])


def test_workers_and_chunks_change_nothing(project, finished):
    project.run(params={"execution": {"workers": 2, "chunk_size": 5}})
    for name in ("students", "predictions", "variance_components", "report"):
        ours, theirs = project.path(f"classification.{name}"), finished.path(f"classification.{name}")
        assert ours.parent.name == theirs.parent.name
        if name == "students":
            shards = sorted(path.name for path in ours.glob("shard-*"))
            assert shards
            assert all((ours / one).read_bytes() == (theirs / one).read_bytes() for one in shards)
        else:
            assert ours.read_bytes() == theirs.read_bytes(), name


def test_predictions_are_read_once_for_the_nodes_that_need_them(finished, monkeypatch):
    """They are the largest table; Kedro asks for it once a node and releases it after the last."""
    reads = []
    read = ParquetStream.load
    monkeypatch.setattr(ParquetStream, "load", lambda self: reads.append(self) or read(self))
    catalog, name = finished.catalog(), "classification.predictions"
    readers = [node for node in study_pipeline("classification").nodes if name in node.inputs]
    assert len(readers) > 1
    for _ in readers:
        catalog.load(name)
    assert len(reads) == 1
    catalog.release(name)
    assert catalog[name]._kept is None
