"""What the configuration loader adds to Kedro's own."""

from __future__ import annotations

import pytest

from kd_uncertainty.config import expand_catalog, validate_parameters
from kd_uncertainty.errors import UserError
from kd_uncertainty.fingerprints import content_token

from .project import ROOT

MLP = "kd_uncertainty.networks.MLP"


def network(project, **options):
    return project.session(**options).load_context().params["classification"]["students"].network


def test_an_environment_overrides_what_it_names_and_keeps_the_rest(project):
    students = project.session("test").load_context().params["classification"]["students"]
    assert students.training.epochs == 2  # conf/test
    assert students.training.batch_size == 64  # conf/base


def test_a_network_class_of_ones_own_starts_from_no_arguments(project):
    assert network(project).arguments == {"hidden": [32]}
    own = {"classification": {"students": {"network": {"class": "torch.nn.Linear"}}}}
    assert network(project, params=own).arguments == {}
    own["classification"]["students"]["network"]["arguments"] = {"bias": False}
    assert network(project, params=own).arguments == {"bias": False}


def test_arguments_alone_are_merged(project):
    own = {"classification": {"students": {"network": {"arguments": {"hidden": [8, 8]}}}}}
    assert network(project, params=own).class_path == MLP
    assert network(project, params=own).arguments == {"hidden": [8, 8]}


def test_all_mistakes_are_told_at_once(project):
    raw = project.session("base").load_context().config_loader["parameters"]
    raw["classification"]["students"]["training"]["epochs"] = -1
    raw["classification"]["reporting"]["titel"] = "x"
    with pytest.raises(UserError) as error:
        validate_parameters(raw)
    assert "students.training.epochs" in str(error.value)
    assert "did you mean 'title'" in str(error.value)


def test_patterns_become_entries_with_fingerprints_and_own_entries_win(project):
    raw = project.session("base").load_context().config_loader["parameters"]
    pattern = {"type": "x", "filepath": "d/{study}/{fingerprint}/t", "metadata": {"stage": "ingestion"}}
    own = {"type": "mine", "filepath": "mine.parquet"}
    catalog = {
        "classification.source": {"type": "BundledTable", "name": "digits"},
        "regression.source": {"type": "BundledTable", "name": "diabetes"},
        "convergence.source": {"type": "kd_uncertainty.datasets.GaussianMixture"},
        "deviations.source": {"type": "BundledTable", "name": "digits"},
        "bounds.source": {"type": "BundledTable", "name": "digits"},
        "language.source": {"type": "BundledTable", "name": "facts"},
        "{study}.examples": pattern,
        "{study}.task": pattern,
        "classification.task": own,
        "{anything}.else": {"type": "untouched"},
    }
    expanded = expand_catalog(catalog, validate_parameters(raw), project.data)
    assert expanded["classification.task"] == own
    assert expanded["{anything}.else"] == {"type": "untouched"}
    entry = expanded["classification.examples"]
    assert entry["filepath"] == f"d/classification/{entry['metadata']['fingerprint']}/t"
    assert not any(name.startswith("{study}") for name in expanded)
    assert expanded["regression.examples"]["metadata"]["fingerprint"] != entry["metadata"]["fingerprint"]
    del catalog["regression.source"]
    with pytest.raises(UserError, match=r"the entry 'regression\.source' is missing"):
        expand_catalog(catalog, validate_parameters(raw), project.data)


def test_own_files_stand_for_their_content_in_later_fingerprints(project, tmp_path):
    path = tmp_path / "labels.parquet"
    path.write_bytes(b"one")
    project.configure(
        "test", "catalog", {"classification.responses": {"type": "pandas.ParquetDataset", "filepath": str(path)}}
    )

    def folder(table):
        return project.path(f"classification.{table}").parent.name

    before = {table: folder(table) for table in ("examples", "teachers", "plan", "report")}
    path.write_bytes(b"two")
    after = {table: folder(table) for table in before}
    assert before["examples"] == after["examples"]
    assert before["teachers"] == after["teachers"]
    assert before["plan"] != after["plan"]
    assert before["report"] != after["report"]


def test_fingerprints_do_not_depend_on_the_working_folder(project, tmp_path, monkeypatch):
    entry = {"type": "pandas.CSVDataset", "filepath": "README.md"}  # any file of the project, by its relative path
    project.configure("test", "catalog", {"classification.source": entry})
    # The configuration of a real project lies inside it; the copy under test does not, so the working folder tells.
    monkeypatch.chdir(ROOT)
    here = project.path("classification.examples")
    monkeypatch.chdir(ROOT / "docs")
    assert project.path("classification.examples") == here
    assert content_token("README.md", ROOT) != "missing"
    assert content_token("README.md", tmp_path) == "missing"
