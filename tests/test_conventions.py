"""The conventions of the house, so that they stay true."""

from __future__ import annotations

import ast
import inspect
import re
import typing
from pathlib import Path

import pytest
import yaml
from kedro.pipeline import Pipeline
from pydantic import BaseModel

from kd_uncertainty.options import Parameters
from kd_uncertainty.pipeline_registry import register_pipelines
from kd_uncertainty.pipelines import FORMAT_VERSIONS, STAGES, study_pipeline

from .project import ROOT

PIPELINES = register_pipelines()
STUDIES = sorted(STAGES)
SOURCES = sorted((ROOT / "src").rglob("*.py"))


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    from .project import Project

    return Project(tmp_path_factory.mktemp("conventions")).session().load_context().config_loader["catalog"]


@pytest.mark.parametrize("name", sorted(PIPELINES))
def test_nodes_are_named_study_stage_action(name):
    for node in PIPELINES[name].nodes:
        study, stage, action = node.name.split(".")
        assert study in STUDIES
        assert stage in STAGES[study]
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", action)
        assert {study, stage} <= node.tags


@pytest.mark.parametrize("name", sorted(PIPELINES))
def test_every_dataset_is_in_the_catalog(name, catalog):
    datasets = {dataset for dataset in PIPELINES[name].datasets() if not dataset.startswith("params:")}
    assert datasets <= set(catalog)


def test_every_catalog_entry_is_used_by_a_pipeline(catalog):
    used = set().union(*(pipeline.datasets() for pipeline in PIPELINES.values()))
    assert set(catalog) <= used


@pytest.mark.parametrize("study", STUDIES)
def test_every_artefact_says_its_stage_and_layer_and_carries_its_fingerprint(study, catalog):
    produced = study_pipeline(study).all_outputs()
    for name in produced:
        entry = catalog[name]
        assert entry["metadata"]["stage"] in STAGES[study]
        assert entry["metadata"]["fingerprint"] in entry["filepath"]
        assert entry["metadata"]["kedro-viz"]["layer"]


def test_every_table_is_written_safely_and_validated(catalog):
    for name, entry in catalog.items():
        dataset = str(entry.get("dataset", ""))
        if dataset.endswith(("ParquetDataset", "ParquetStream")):
            assert entry["type"] == "kd_uncertainty.datasets.Artefact", name
            assert "validator" in entry, name


@pytest.mark.parametrize("study", STUDIES)
def test_every_params_section_is_typed(study):
    for node in study_pipeline(study).nodes:
        hints = typing.get_type_hints(node.func)
        for argument, name in zip(
            inspect.signature(node.func).parameters, node.inputs, strict=False
        ):  # *tables takes the rest
            if name.startswith("params:"):
                assert issubclass(hints[argument], BaseModel), (node.name, argument)


def test_layers_form_no_cycle(catalog):
    """Kedro-Viz switches all layers off if they do."""
    pipeline: Pipeline = sum((study_pipeline(study) for study in STUDIES), Pipeline([]))

    def layer(name):
        return catalog[name]["metadata"]["kedro-viz"]["layer"]

    edges = {
        (layer(source), layer(target))
        for node in pipeline.nodes
        for source in node.inputs
        for target in node.outputs
        if not source.startswith("params:") and layer(source) != layer(target)
    }
    order = ["primary", "teacher", "soft_labels", "students", "metrics", "reporting"]
    assert {layer(name) for name in catalog} == set(order)
    for source, target in edges:
        assert order.index(source) < order.index(target), (source, target)


@pytest.mark.parametrize("study", STUDIES)
def test_base_parameters_spell_out_every_option(study):
    """A reader of the YAML sees every dial; defaults that hide in the code are found by nobody."""
    sections = yaml.safe_load((ROOT / f"conf/base/parameters/{study}.yml").read_text())[study]
    options = Parameters.model_fields[study].annotation
    assert set(sections) == set(options.model_fields)
    for name in set(sections) - {"teachers", "students"}:  # whose training and arms leave out what is not used
        assert set(sections[name]) == set(options.model_fields[name].annotation.model_fields), name


def test_each_stage_has_a_format_version():
    assert set(FORMAT_VERSIONS) == set().union(*STAGES.values())
    assert all(isinstance(version, int) and version >= 1 for version in FORMAT_VERSIONS.values())


def _public_functions(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_modules_and_functions_stay_small(path):
    assert len(path.read_text().splitlines()) <= 320
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert length <= 60, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_nothing_is_unpickled(path):
    text = path.read_text()
    assert not re.search(r"\bimport (pickle|joblib|cloudpickle|dill)\b", text)
    assert "torch.load" not in text


def test_tracked_text_names_no_machine():
    pattern = re.compile(r"/(work|tmp|root|opt)/")
    for folder in ("src", "conf", "docs", "notebooks"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".yml", ".md", ".ipynb"}:
                assert not pattern.search(path.read_text()), path
