"""`kedro run --only-missing-outputs` recomputes exactly what a change touches, and never uses a damaged artefact."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
import yaml
from kedro.framework.hooks import hook_impl

from kd_uncertainty import pipelines
from kd_uncertainty.cli import user_error
from kd_uncertainty.fingerprints import MISSING, content_token, source_token
from kd_uncertainty.pipelines import STAGES as STAGES_OF
from kd_uncertainty.pipelines import study_pipeline

from .project import Project

STAGES = STAGES_OF["classification"]


class Recorder:
    """Remembers which nodes ran."""

    def __init__(self):
        self.nodes = []

    @hook_impl
    def after_node_run(self, node):
        self.nodes.append(node.name)

    @property
    def stages(self):
        return [stage for stage in STAGES if any(f".{stage}." in name for name in self.nodes)]


def rerun(project: Project, params=None, **options) -> Recorder:
    recorder = Recorder()
    with project.session("test", params) as session:
        session._hook_manager.register(recorder)
        session.run(only_missing_outputs=True, **options)
    return recorder


def follows(first: str, compared: bool) -> list[str]:
    """A stage and those after it, apart from branches: teachers are compared from the ingestion on, and the deviations
    are those of the students."""
    after = STAGES[STAGES.index(first) :]
    branches = {"teacher_comparison": compared, "deviations": first in (*STAGES[:4], "deviations")}
    return [stage for stage in after if branches.get(stage, True)]


def small(project: Project) -> None:
    """Two arms of two teachers: enough to touch every stage, fast enough to run often."""
    path = project.conf / "test/parameters/classification.yml"
    study = yaml.safe_load(path.read_text())
    section = study["classification"]
    section["teachers"]["training"]["epochs"] = 1
    section["teachers"]["posteriors"]["dropout"] = None
    section["teacher_comparison"]["posteriors"] |= {"ensemble": None, "dropout": None}
    section["students"] |= {
        "training": {"epochs": 1},
        "arms": [{"target": "label", "num_responses": [1, 2]}, {"target": "one_hot"}],
        "response_seeds": 2,
    }
    path.write_text(yaml.safe_dump(study))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("stale"))
    small(project)
    table = pd.DataFrame({"a": range(120), "b": [0.5, 2.0, -1.0] * 40, "label": ["x", "y", "z"] * 40})
    table.to_csv(project.data.parent / "own.csv", index=False)
    project.configure(
        "test",
        "catalog",
        {"classification.source": {"type": "pandas.CSVDataset", "filepath": str(project.data.parent / "own.csv")}},
    )
    path = project.conf / "test/parameters/classification.yml"
    path.write_text(path.read_text().replace("classification:\n", "classification:\n  ingestion: {target: label}\n", 1))
    project.run()
    return project


def test_nothing_is_recomputed_when_nothing_changed(project):
    assert rerun(project).nodes == []


@pytest.mark.parametrize(
    ("first", "change", "compared"),
    [
        ("ingestion", {"label_noise": 0.1}, True),
        ("teachers", {"training": {"learning_rate": 0.002}}, True),
        ("teachers", {"posteriors": {"ensemble": {"members": 2}}}, True),
        ("responses", {"num_draws": 6}, False),
        ("students", {"training": {"learning_rate": 0.002}}, True),
        ("students", {"seed": 9}, True),
        ("propagation", {"response_share_threshold": 0.5}, True),
        ("teacher_comparison", {"num_seeds": 4}, True),
        ("reporting", {"title": "Another"}, False),
    ],
)
def test_a_changed_option_recomputes_its_stage_and_what_follows(project, first, change, compared):
    params = {"classification": {first: change}}
    recorder = rerun(project, params)
    # The best student and the pages carry the parameters of stages before them, so everything downstream is touched.
    assert recorder.stages == follows(first, compared)
    assert rerun(project, params).nodes == []
    assert rerun(project).nodes == [], "the earlier results must still be there beside the new ones"


def test_execution_settings_change_no_fingerprint(project):
    assert rerun(project, {"execution": {"chunk_size": 5, "workers": 2}}).nodes == []


def test_one_changed_cell_of_the_source_recomputes_everything(project):
    path = project.data.parent / "own.csv"
    before, times = path.read_text(), path.stat()
    try:
        path.write_text(before.replace("119,-1.0,z", "119,-1.5,z"))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # the content counts, not the date
        assert rerun(project).stages == list(STAGES)
    finally:
        path.write_text(before)
    assert rerun(project).nodes == []


@pytest.mark.parametrize(
    "stage",
    [pytest.param(stage, marks=[] if stage in ("ingestion", "deviations") else pytest.mark.slow) for stage in STAGES],
)
def test_a_raised_format_version_recomputes_its_stage_and_what_follows(project, monkeypatch, stage):
    monkeypatch.setitem(pipelines.FORMAT_VERSIONS, stage, 1001)
    assert rerun(project).stages == follows(stage, stage in ("ingestion", "teacher_comparison"))


def test_the_code_of_ones_own_network_is_part_of_the_fingerprint(project, tmp_path, monkeypatch):

    module = tmp_path / "own_nets.py"
    code = "from torch import nn\nclass Net(nn.Linear):\n    pass\n"
    module.write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    params = {"classification": {"students": {"network": {"class": "own_nets.Net", "arguments": {"bias": True}}}}}

    def students_folder():
        return project.path("classification.plan", params=params).parent.name

    first = students_folder()
    assert students_folder() == first
    module.write_text(code + "# edited\n")
    assert students_folder() != first


def test_a_folder_as_source_counts_with_every_file_in_it(tmp_path):
    folder = tmp_path / "parts"
    assert content_token("parts", tmp_path) == MISSING
    (folder / "a=1").mkdir(parents=True)
    (folder / "a=1" / "part.parquet").write_bytes(b"one")
    first = content_token("parts", tmp_path)
    (folder / "a=1" / "part.parquet").write_bytes(b"two")
    second = content_token("parts", tmp_path)
    (folder / "a=2").mkdir()
    (folder / "a=2" / "part.parquet").write_bytes(b"one")
    assert len({first, second, content_token("parts", tmp_path), MISSING}) == 4


def test_the_code_of_a_package_counts_wherever_the_class_is_defined_in_it(tmp_path, monkeypatch):
    package = tmp_path / "own_package"
    package.mkdir()
    (package / "__init__.py").write_text("from own_package.impl import Net\n")
    code = "from torch import nn\nclass Net(nn.Linear):\n    pass\n"
    (package / "impl.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    first = source_token("own_package.Net")
    (package / "impl.py").write_text(code + "# edited\n")
    assert source_token("own_package.Net") != first
    assert source_token("kd_uncertainty.networks.MLP") is None


def test_data_that_cannot_be_seen_are_named(tmp_path, caplog):
    other = Project(tmp_path)
    other.configure("test", "catalog", {"classification.source": {"type": "pandas.SQLQueryDataset"}})
    assert other.session().load_context().config_loader["catalog"]
    assert "'classification.source' (pandas.SQLQueryDataset) has no filepath" in caplog.text


ARTEFACTS = sorted(name.partition(".")[2] for name in study_pipeline("classification").all_outputs())


@pytest.fixture(scope="module")
def catalog(project):
    return project.catalog()


@pytest.mark.parametrize("table", [name for name in ARTEFACTS if name != "students"])
@pytest.mark.parametrize("damage", ["truncated", "edited"])
def test_a_damaged_artefact_is_named_and_not_used(catalog, table, damage, caplog):
    catalog[f"classification.{table}"].release()  # what was loaded for good
    path = Path(catalog[f"classification.{table}"]._filepath)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] if damage == "truncated" else _flip(whole, middle))
    try:
        with pytest.raises(Exception, match=path.name) as error:
            catalog.load(f"classification.{table}")
        assert path.name in str(user_error(error.value))
        assert not catalog.exists(f"classification.{table}")
        assert path.name in caplog.text
    finally:
        path.write_bytes(whole)
    catalog.load(f"classification.{table}")


def test_a_damaged_artefact_is_made_again(project):
    path = project.path("classification.student_metrics")
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    assert "classification.propagation.evaluate_students" in rerun(project).nodes
    assert path.read_bytes() == whole


def test_a_damaged_shard_is_named_and_trained_again(project, caplog):
    folder = project.path("classification.students")
    shard = sorted(folder.glob("shard-*.safetensors"))[0]
    whole = shard.read_bytes()
    shard.write_bytes(_flip(whole, len(whole) // 2))
    assert not project.catalog().exists("classification.students")
    recorder = rerun(project)
    assert "classification.students.train_students" in recorder.nodes
    assert shard.read_bytes() == whole
    assert shard.name in caplog.text


def _flip(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]
