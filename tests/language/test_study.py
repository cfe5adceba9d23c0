"""The language study from questions to report, with the tiny model."""

import json
from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError

from kd_uncertainty.cli import user_error
from kd_uncertainty.errors import UserError
from tests.project import Project

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

METHODS = {"multi", "averaging", "variance_paper", "variance_honest", "token"}

TOLD = {"responses": "teacher_samples", "students": "student_samples", "propagation": "sample_answers"}
"""Tables of answers to read, by stage."""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose small language study has been run once."""
    folder = tmp_path_factory.mktemp("language")
    project = Project(folder)
    project.configure("base", "tracking", {"uri": f"sqlite:///{folder}/mlflow.db", "system_metrics": False})
    project.run("language")
    project.configure("base", "tracking", {"enabled": False})
    return project


@pytest.fixture(scope="module")
def load(project):
    """Loads a table of the study; a catalog takes seconds to put together."""
    catalog = project.catalog()
    return lambda name: catalog.load(f"language.{name}")


def test_every_student_of_the_plan_answers_every_prompt(load):
    plan, prompts, answers = (load(name) for name in ("plan", "prompts", "student_answers"))
    assert set(plan["method"]) == METHODS
    counts = answers.groupby(["student", "prompt"]).size()
    assert len(counts) == len(plan) * len(prompts)
    assert (counts == 3).all()


def test_students_learn_from_training_prompts_and_from_draws_that_are_theirs_alone(load):
    targets, prompts = load("targets"), load("prompts")
    train = set(prompts.loc[prompts["split"] == "train", "prompt"])
    assert set(targets["prompt"]) == train
    assert (targets.groupby(["arm", "response_level", "prompt"])["weight"].sum().round(12) == 1.0).all()
    by_level = targets.groupby("response_level")["draw"].agg(set)
    assert not by_level[0] & by_level[1]


def test_tables_speak_of_every_arm_and_of_the_teacher(load):
    for name in ("answer_variance", "answer_metrics"):
        table = load(name)
        assert set(table["method"]) == METHODS | {"teacher"}
    variance = load("answer_variance").set_index(["method", "num_responses", "split", "space", "component"])
    law = variance["estimate"]
    V = law["teacher", 0, "train", "embedding", "teacher"]
    assert law["multi", 4, "train", "embedding", "law_inter"] == pytest.approx(V / 4)
    assert law["multi", 4, "train", "embedding", "law_intra"] == pytest.approx(3 * V / 4)


def test_the_report_says_what_was_found(load):
    page, summary = load("report"), load("summary")
    assert summary["task"]["has_references"]
    assert all(claim["sentence"] for claim in summary["claims"])
    assert "kedro run --pipelines language" in page
    assert load("engine")["num_students"] == len(load("plan"))


def test_mlflow_keeps_what_is_said_in_every_stage(project, load):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{project.data.parent}/mlflow.db")
    found = client.search_runs(["1"], max_results=100)
    assert {run.info.status for run in found} == {"FINISHED"}
    stages = {run.info.run_name: run for run in found}
    for stage, table in TOLD.items():
        told = json.loads(Path(client.download_artifacts(stages[stage].info.run_id, f"{table}.json")).read_text())
        assert told["columns"] == list(load(table).columns)
        assert len(told["data"]) == len(load(table))
    metrics = stages["propagation"].data.metrics
    variance = load("answer_variance").set_index(["method", "num_responses", "split", "space", "component"])["estimate"]
    assert metrics["answer_variance/estimate/train.inter.multi"] == variance["multi", 4, "train", "embedding", "inter"]
    assert any(key.startswith("train_loss/averaging.k02") for key in stages["students"].data.metrics)


def test_nothing_is_computed_twice(project):
    before = {path: path.stat().st_mtime_ns for path in project.files()}
    project.run("language", only_missing_outputs=True)
    assert {path: path.stat().st_mtime_ns for path in project.files()} == before


def test_a_lost_student_is_trained_again_to_the_same_bytes(project):
    folder = project.path("language.students")
    shard = folder / "shard-00003.safetensors"
    content = shard.read_bytes()
    shard.unlink()
    project.run("language", only_missing_outputs=True)
    assert shard.read_bytes() == content


def test_answers_of_ones_own_are_enough(project, tmp_path):
    """A table as an API gives it, questions without references: neither tokens nor accuracy."""
    own = Project(tmp_path)
    questions = pd.DataFrame(
        {"question": ["Who?", "Where?", "When?", "Why?"], "split": ["train", "train", "train", "test"]}
    )
    questions.to_csv(tmp_path / "questions.csv", index=False)
    draws = [{"prompt": p, "draw": d, "answer": f"it is {(p + d) % 3}"} for p in range(4) for d in range(10)]
    pd.DataFrame(draws).to_parquet(tmp_path / "answers.parquet")
    entries = {
        "language.source": {"type": "pandas.CSVDataset", "filepath": str(tmp_path / "questions.csv")},
        "language.responses": {"type": "pandas.ParquetDataset", "filepath": str(tmp_path / "answers.parquet")},
    }
    own.configure("test", "catalog", entries)
    arms = [{"method": "multi", "num_responses": [1, 4]}, {"method": "averaging", "num_responses": [4]}]
    params = {"language": {"students": {"arms": arms, "order_seeds": 1}}}
    own.run("language_from_responses", params=params)
    metrics = own.load("language.answer_metrics", params=params)
    assert "accuracy" not in set(metrics["metric"])
    assert {"entropy_answers", "keeps_modal"} <= set(metrics["metric"])
    with pytest.raises((UserError, DatasetError)) as error:
        own.run("language_from_responses", params={"language": {"students": {"order_seeds": 1}}})
    assert "method token learns from cached probabilities" in str(user_error(error.value))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"responses": {"model": {"name": "no/such/folder/"}}}, "no/such/folder"),
        (
            {"responses": {"model": {"name": "package:no_such_package"}}},
            "the package 'no_such_package', which holds the",
        ),
        ({"responses": {"embedding": {"model": "package:no_such_package"}}}, "the package 'no_such_package'"),
        ({"responses": {"num_draws": 9}}, "need 10 responses to a prompt, and there are 9"),
        ({"ingestion": {"template": "Answer:"}}, "template must contain {question}"),
        ({"students": {"model": {"layers": 40}}}, "layers is 40, but the teacher has 4 layers"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(tmp_path, params, words):
    project = Project(tmp_path)
    with pytest.raises(Exception) as error:  # noqa: PT011
        project.run("language", params={"language": params})
    told = user_error(error.value)
    assert told is not None, error.value
    assert words in str(told)
