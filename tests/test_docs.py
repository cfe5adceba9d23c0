"""What README and docs say stays true: links, commands, settings, names, sentences, and the code that they show."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from kedro.framework.startup import bootstrap_project
from kedro.io import AbstractDataset
from kedro.pipeline import Pipeline

from kd_uncertainty import teachers
from kd_uncertainty.cli import device, run
from kd_uncertainty.errors import UserError
from kd_uncertainty.hooks.tracking.options import TrackingOptions
from kd_uncertainty.networks import network_builder
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.options import IngestionOptions, StudentsOptions
from kd_uncertainty.pipeline_registry import register_pipelines
from kd_uncertainty.population.choice import choose_backend
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.plan import make_plan
from kd_uncertainty.population.targets import check_soft_labels
from kd_uncertainty.soft_labels import read_soft_labels
from kd_uncertainty.tasks.tables import prepare_task
from kd_uncertainty.teachers import collection, contract

from .project import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
PIPELINES = register_pipelines()
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def blocks(page: Path, language: str) -> list[str]:
    return [body for kind, body in FENCE.findall(page.read_text()) if kind == language]


def prose(page: Path) -> str:
    """The page without its blocks, on one line."""
    return " ".join(FENCE.sub("", page.read_text()).split())


def file_of(block: str) -> str:
    """The file that a block says it is, in its first line."""
    return block.splitlines()[0].removeprefix("# ")


def code_of(name: str, file: str) -> str:
    (found,) = [body for body in blocks(ROOT / "docs" / name, "python") if file_of(body) == file]
    return found


def inline(page: Path) -> list[str]:
    return re.findall(r"`([^`]+)`", prose(page))


def commands() -> list[Any]:
    found = {}
    for page in PAGES:
        lines = [line for kind in ("bash", "console") for body in blocks(page, kind) for line in body.splitlines()]
        lines = [line.removeprefix("$ ").split(" #")[0].strip() for line in lines] + inline(page)
        for line in lines:
            if re.match(r"(kedro|make) [a-zA-Z]", line) and "…" not in line:
                found[line] = pytest.param(line, id=line)
    return list(found.values())


def yaml_blocks(start: str) -> list[Any]:
    """Every block that is the given file, named by its page."""
    return [
        pytest.param(body, id=f"{page.stem} {number}")
        for page in PAGES
        for number, body in enumerate(blocks(page, "yaml"))
        if file_of(body) == start
    ]


@pytest.fixture
def example_modules(tmp_path, monkeypatch):
    """The network and the kind of teacher that the docs show, where the project finds them."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/my_networks.py").write_text(code_of("own-networks.md", "src/my_networks.py"))
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    kind = code_of("how-it-is-built.md", "src/kd_uncertainty/teachers/weight_noise.py")
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds/weight_noise.py").write_text(kind)
    monkeypatch.setattr(teachers, "__path__", [*teachers.__path__, str(tmp_path / "kinds")])
    importlib.invalidate_caches()
    yield
    sys.modules.pop("my_networks", None)
    sys.modules.pop("kd_uncertainty.teachers.weight_noise", None)
    vars(teachers).pop("weight_noise", None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}, (
                target
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_stay_short_and_plain(page):
    lines = page.read_text().splitlines()
    assert len(lines) <= 200
    assert len(blocks(page, "yaml")) == sum(line.startswith("```yaml") for line in lines)  # every fence is closed


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_the_index_and_the_readme_list_every_page(page):
    if page.name != "index.md":
        assert f"({page.name})" in (ROOT / "docs/index.md").read_text()
        assert f"(docs/{page.name})" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_and_tables_that_are_named_exist(page):
    tables = set().union(*(pipeline.datasets() for pipeline in PIPELINES.values()))
    for word in inline(page):
        if re.fullmatch(r"(src|conf|tests|notebooks|\.ci)/[\w./-]*", word) and not word.startswith("conf/local/"):
            assert (ROOT / word).exists(), word
        if re.fullmatch(r"classification\.\w+", word):
            assert word in tables | {f"classification.{stage}" for stage in ("ingestion", "students")}, word


@pytest.mark.parametrize("command", commands())
def test_commands_name_what_exists(command, project, monkeypatch, example_modules):
    program, *words = shlex.split(command)
    if program == "make":
        assert {word for word in words if "=" not in word} <= TARGETS
        return
    assert words[0] in ("run", "viz", "device"), "tests know no other command of Kedro"
    if words[0] == "viz":
        return
    if words[0] == "device":
        device.make_context("device", words[1:])
        return
    monkeypatch.chdir(ROOT)
    bootstrap_project(ROOT)
    asked = run.make_context("run", words[1:]).params
    names = asked["pipelines"] or [asked["pipeline"] or "__default__"]
    pipeline = sum((PIPELINES[name] for name in names), start=Pipeline([])).filter(
        tags=asked["tags"] or None,
        node_namespaces=asked["namespaces"] or None,
        from_inputs=asked["from_inputs"] or None,
    )
    assert pipeline.nodes
    if command.endswith("epoch=3"):  # the mistake that start.md shows, with its sentence
        with pytest.raises(UserError) as error:
            project.catalog("local", asked["params"])
        assert f"Error: {error.value}\n" in (ROOT / "docs/start.md").read_text()
    else:
        assert project.catalog(asked["env"] or "local", asked["params"])


@pytest.mark.parametrize("block", yaml_blocks("conf/local/parameters.yml"))
def test_parameters_are_valid_over_those_of_the_base(block, project, example_modules):
    project.configure("local", "parameters", yaml.safe_load(block))
    loaded = project.session("local").load_context().config_loader["parameters"]
    assert set(yaml.safe_load(block)) <= set(loaded)


@pytest.mark.parametrize("block", yaml_blocks("conf/local/catalog.yml"))
def test_catalog_entries_name_tables_and_datasets_that_exist(block, project):
    for name, entry in yaml.safe_load(block).items():
        assert name in PIPELINES[name.split(".")[0]].datasets()
        assert AbstractDataset.from_config(name, entry)
    project.configure("local", "catalog", yaml.safe_load(block))
    assert project.catalog("local")


@pytest.mark.parametrize("block", yaml_blocks("conf/local/tracking.yml"))
def test_tracking_options_are_valid(block):
    assert TrackingOptions.model_validate(yaml.safe_load(block))


def test_every_tracking_option_is_described_with_its_default():
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", (ROOT / "docs/start.md").read_text(), re.MULTILINE)
    assert {key: yaml.safe_load(value) for key, value in rows} == TrackingOptions().model_dump()


def test_yaml_blocks_are_of_a_file_that_a_test_reads():
    known = {f"conf/local/{name}.yml" for name in ("parameters", "catalog", "tracking")}
    for page in PAGES:
        assert {file_of(body) for body in blocks(page, "yaml")} <= known, page.name


def test_the_tables_have_the_columns_that_the_docs_list(finished):
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", (ROOT / "docs/reading-the-results.md").read_text(), re.M)
    assert len(rows) == 9
    for table, text in rows:
        columns = list(finished.load(f"classification.{table}").columns)
        for name in re.findall(r"`(\w+)`", text):
            # `_lower` and `_upper` stand for the bounds of the columns named before them.
            assert any(name == column or (name[0] == "_" and column.endswith(name)) for column in columns), (
                table,
                name,
            )


def test_the_components_of_the_docs_are_those_of_the_table(finished):
    for name in set(finished.load("classification.variance_components")["component"]):
        assert f"`{name}`" in prose(ROOT / "docs/reading-the-results.md"), name


@pytest.fixture
def birds(tmp_path, monkeypatch):
    """The table that own-data.md makes."""
    (tmp_path / "data/01_raw").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    exec(code_of("own-data.md", "make_birds.py"), {})
    return tmp_path / "data/01_raw/birds.csv"


def test_the_table_of_own_data_is_ingested_by_its_two_files(birds, project, monkeypatch):
    monkeypatch.chdir(ROOT)
    (catalog, *_), (parameters, *_) = (
        [yaml.safe_load(body) for body in blocks(ROOT / "docs/own-data.md", "yaml") if file_of(body) == file]
        for file in ("conf/local/catalog.yml", "conf/local/parameters.yml")
    )
    catalog["classification.source"]["filepath"] = str(birds)
    project.configure("local", "catalog", catalog)
    project.configure("local", "parameters", parameters)
    project.run(env="local", namespaces=["classification.ingestion"])
    task = project.load("classification.task", env="local")
    assert task["classes"] == ["lark", "owl", "wren"]
    assert task["num_flipped"] == 0
    assert set(task["features"]) == {"weight", *(f"colour_{c}" for c in ("brown", "grey", "white"))} | {
        "ringed_False",
        "ringed_True",
    }


@pytest.mark.parametrize(
    ("change", "target"),
    [
        ({}, "specise"),
        ({"species": "owl"}, "species"),
        ({"species": [None, None, *["owl", "wren"] * 299]}, "species"),
        ({}, "weight"),
        ({}, "id"),
        ({"weight": np.nan}, "species"),
    ],
)
def test_the_sentences_of_own_data_are_the_real_ones(birds, change, target):
    with pytest.raises(UserError) as error:
        prepare_task(pd.read_csv(birds).assign(**change), IngestionOptions(target=target))
    assert f"| {error.value} |" in prose(ROOT / "docs/own-data.md")


@pytest.mark.parametrize(
    ("arguments", "backend", "words"),
    [({}, "loop", "vmap on the CPU takes Linear layers"), ({"dropout": 0.1}, "loop", "vmap on the CPU takes")],
)
def test_the_network_of_own_networks_trains_and_is_told_its_backend(example_modules, arguments, backend, words):
    build = network_builder("my_networks.SmallConvNet", arguments, 64, 10)
    inputs = torch.randn(200, 64, generator=torch.Generator().manual_seed(0))
    name, reason = choose_backend(build, "auto", inputs, 10, TrainingOptions(), torch.device("cpu"))
    table = (ROOT / "docs/own-networks.md").read_text()
    assert all(clause in table for clause in reason.split("; "))
    assert (name, reason.split("; ")[-1].startswith(words)) == (backend, True)


def test_the_soft_labels_of_own_soft_labels_suffice_for_its_arms(finished, tmp_path, monkeypatch):
    from kedro.framework.session import KedroSession

    session, examples = finished.session(), finished.load("classification.examples")
    monkeypatch.setattr(KedroSession, "create", lambda *_: session)
    monkeypatch.chdir(ROOT)
    code = code_of("own-soft-labels.md", "make_soft_labels.py").replace("data/01_raw", str(tmp_path))
    exec(code, {})
    labels = pd.read_parquet(tmp_path / "soft_labels.parquet")
    soft_labels = read_soft_labels(labels, examples["example_id"].to_numpy(), 10)
    (draws,) = {name: logits.shape[1] for name, logits in soft_labels.logits.items()}.items()
    section = next(body for body in blocks(ROOT / "docs/own-soft-labels.md", "yaml") if "parameters" in file_of(body))
    arms = yaml.safe_load(section)["classification"]["students"]["arms"]
    plan = make_plan(StudentsOptions(arms=arms), dict([draws]))
    check_soft_labels(plan, dict([draws]))
    with pytest.raises(UserError) as error:
        check_soft_labels(plan, {"forest": 32})
    assert f"| {error.value} |" in prose(ROOT / "docs/own-soft-labels.md")
    truth = examples.loc[examples["split"] == "test", "target"]
    found = soft_labels.mean_probabilities("forest")[truth.index].argmax(axis=1)
    assert (found == truth).mean() > 0.9


def _without_five(labels):
    return labels[5:]


def _doubled(labels):
    return pd.concat([labels, labels[:1]])


def _two_classes(labels):
    return labels.assign(probabilities=[[[0.5, 0.5]]] * len(labels))


def _hole(labels):
    cells = labels["probabilities"].tolist()
    cells[7] = [[float("nan")] * 10] * 2
    return labels.assign(probabilities=cells)


def _no_distribution(labels):
    return labels.assign(probabilities=[[[1.0] * 10] * 2] * len(labels))


def _ragged(labels):
    return labels.assign(probabilities=[[[0.1] * 10] * (1 + (row > 0)) for row in range(len(labels))])


@pytest.mark.parametrize("change", [_without_five, _doubled, _two_classes, _hole, _no_distribution, _ragged])
def test_the_sentences_of_own_soft_labels_are_the_real_ones(change):
    labels = pd.DataFrame({"teacher": "forest", "example_id": range(1797)})
    labels["probabilities"] = [[[0.1] * 10] * 2] * 1797
    assert read_soft_labels(labels, np.arange(1797), 10).teachers == ["forest"]
    with pytest.raises(UserError) as error:
        read_soft_labels(change(labels), np.arange(1797), 10)
    assert f"| {error.value} |" in prose(ROOT / "docs/own-soft-labels.md")


def test_the_example_of_a_kind_of_teacher_keeps_the_contract(example_modules):
    assert "weight_noise" in contract.kinds()
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(150) % 3
    inputs = torch.eye(3)[labels] * 4 + torch.randn(150, 3, generator=generator)
    problem = contract.Problem(
        inputs[:120],
        labels[:120],
        inputs[120:],
        labels[120:],
        num_classes=3,
        network=NetworkOptions.model_validate({"class": "kd_uncertainty.networks.MLP", "arguments": {"hidden": [8]}}),
        training=TrainingOptions(epochs=20, batch_size=20, learning_rate=0.01),
        device=torch.device("cpu"),
    )
    options = {"noisy": contract.teacher_options({"kind": "weight_noise", "share": 0.3})}
    fitted, curves = collection.fit_teachers(problem, options, seed=1)
    assert len(curves) == 20
    teacher = collection.from_nested(collection.to_nested(fitted))["noisy"]
    everything = collection.posterior_logits(teacher, inputs, range(400), seed=5)
    assert (everything.softmax(-1).mean(0).argmax(-1) == labels).float().mean() > 0.9
    # A draw is a function of (seed, number) alone, whatever the batches.
    again = collection.posterior_logits(teacher, inputs[:50], [4, 1], seed=5)
    torch.testing.assert_close(again, everything[[4, 1], :50])
    # The last bias is multiplied by 1 + 0.3 z: at an input that silences all hidden units, the logits are that bias.
    weights = {name: value[0] for name, value in teacher.parameters.items()}
    shaken = collection.posterior_logits(teacher, torch.zeros(1, 3), range(2000), seed=6)[:, 0]
    silent = {name: torch.zeros_like(value) if name.startswith("0.") else value for name, value in weights.items()}
    quiet = contract.Teacher(
        "noisy", teacher.options, teacher.network, 3, 3, {name: value[None] for name, value in silent.items()}
    )
    bias = collection.posterior_logits(quiet, torch.zeros(1, 3), range(2000), seed=6)[:, 0]
    assert not torch.equal(shaken, bias)
    ratio = bias / weights["2.bias"] - 1.0
    assert ratio.mean(0).abs().max() < 4 * 0.3 / np.sqrt(2000)
    assert (ratio.std(0) / 0.3 - 1).abs().max() < 4 / np.sqrt(2 * 2000)


def test_pre_commit_runs_what_make_lint_runs():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    linted = re.findall(r"^\t\$\(BIN\)/(\S+(?: check| format)?)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for hook in repository["hooks"]:
        tool = hook["entry"].removeprefix(".venv/bin/").split(" --")[0]
        assert tool in linted, tool
        assert hook["language"] == "system"
