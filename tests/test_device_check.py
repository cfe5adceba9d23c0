"""``kedro device``: what a run will use, before it starts."""

import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from kd_uncertainty.cli import cli
from kd_uncertainty.device_check import duration, gib

from .project import ROOT, Project


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Runs the command on a project of its own; gives exit status and output."""
    bootstrap_project(ROOT)
    project = Project(tmp_path)
    monkeypatch.chdir(ROOT)

    def run(*arguments):
        command = ["device", "--env", "test", "--conf-source", str(project.conf), *arguments]
        result = CliRunner().invoke(cli, command, env={"COLUMNS": "160"})
        assert not project.files()
        return result.exit_code, result.output

    return run


def test_it_names_device_backend_students_and_time(told):
    status, text = told()
    assert status == 0, text
    for words in ("cpu (execution.device: auto)", "classification", "regression", "native", "free memory", "float32"):
        assert words in text


def test_its_students_are_those_of_the_plan(told, finished):
    status, text = told("--pipelines", "classification", "--no-trial")
    assert status == 0, text
    row = next(line for line in text.splitlines() if "classification" in line and "│" in line)
    assert f"{len(finished.load('classification.plan')):,}" in row
    assert "–" in row


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--params", "execution.device=cuda"), "torch sees no GPU here"),
        (
            ("--pipelines", "convergence"),
            "'convergence' has no population to forecast; known: classification, regression",
        ),
        (("--params", "execution.devise=cpu"), "'execution.devise' is not a known parameter; did you mean 'device'?"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(told, arguments, words):
    status, text = told(*arguments)
    assert status == 1
    assert words in " ".join(text.split())
    assert "Traceback" not in text


def test_units():
    assert (
        gib(3 * 2**30),
        duration(0.123),
        duration(45.2),
        duration(600.0),
        duration(9000.0),
        duration(float("nan")),
    ) == (
        "3 GiB",
        "0.12 s",
        "45 s",
        "10 min",
        "2.5 h",
        "–",
    )
