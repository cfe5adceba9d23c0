"""Nodes of the students stage of a language study."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pandas as pd
import pyarrow as pa

from kd_uncertainty.datasets.population import PendingPopulation
from kd_uncertainty.device import resolve_device
from kd_uncertainty.language import arms
from kd_uncertainty.language import students as learners
from kd_uncertainty.language.embedding import embedding_table
from kd_uncertainty.language.models import load_tokenizer, student_options
from kd_uncertainty.language.options import LanguageResponsesOptions, LanguageStudentsOptions
from kd_uncertainty.language.responses import read_responses
from kd_uncertainty.language.samples import student_samples
from kd_uncertainty.language.student_tables import answer_tables, curve_table
from kd_uncertainty.language.student_targets import pilot_targets, student_targets
from kd_uncertainty.language.training import precision_of
from kd_uncertainty.options import ExecutionOptions
from kd_uncertainty.pipelines.students.nodes import num_workers
from kd_uncertainty.population.shards import ShardStore


def make_plan(responses: Any, prompts: pd.DataFrame, students: LanguageStudentsOptions) -> pd.DataFrame:
    """One row a student."""
    return arms.make_plan(students, int(read_responses(responses, prompts)["draw"].max()) + 1)


def train_pilot(
    prompts: pd.DataFrame,
    responses: Any,
    teacher: LanguageResponsesOptions,
    students: LanguageStudentsOptions,
    execution: ExecutionOptions,
) -> PendingPopulation:
    """An untrained student and the pilots."""
    plan, targets = arms.pilot_plan(students), pilot_targets(prompts, students)
    return _pending(plan, prompts, responses, targets, teacher, students, execution, "pilots")


def choose_targets(
    plan: pd.DataFrame,
    prompts: pd.DataFrame,
    responses: Any,
    pilot: ShardStore,
    teacher: LanguageResponsesOptions,
    students: LanguageStudentsOptions,
    execution: ExecutionOptions,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Which responses students learn, and the embeddings by which they are chosen."""
    table = read_responses(responses, prompts)
    said = pa.concat_tables(collect_answers(pilot, prompts, teacher, students)).to_pandas()
    texts = [*table["answer"], *said["answer"]]
    embeddings = embedding_table(texts, teacher.embedding, resolve_device(execution.device))
    return student_targets(plan, prompts, table, embeddings, said, students), embeddings


def train_students(
    plan: pd.DataFrame,
    targets: pd.DataFrame,
    prompts: pd.DataFrame,
    responses: Any,
    teacher: LanguageResponsesOptions,
    students: LanguageStudentsOptions,
    execution: ExecutionOptions,
) -> tuple[PendingPopulation, dict[str, Any]]:
    """The students, trained and asked one by one while their dataset saves them, and how."""
    pending = _pending(plan, prompts, responses, targets, teacher, students, execution, "students")
    device = resolve_device(execution.device)
    precision = precision_of(students.training, device)
    engine = {
        "backend": "transformers",
        "reason": f"language models, products in {precision}",
        "device": str(device),
        "precision": precision,
        "num_students": len(plan),
    }
    return pending, engine


def _pending(
    plan: pd.DataFrame,
    prompts: pd.DataFrame,
    responses: Any,
    targets: pd.DataFrame,
    teacher: LanguageResponsesOptions,
    students: LanguageStudentsOptions,
    execution: ExecutionOptions,
    description: str,
) -> PendingPopulation:
    table = read_responses(responses, prompts)
    job = learners.StudentJob(plan, prompts, table, targets, teacher.model, students, teacher.sampling.stop)
    job.check()
    device = resolve_device(execution.device)
    train = partial(
        learners.run,
        job,
        workers=num_workers(execution),
        device=device,
        progress=execution.progress,
        description=description,
    )
    return PendingPopulation(job.identity(device), job.num_shards, train)


def collect_answers(
    students: ShardStore,
    prompts: pd.DataFrame,
    teacher: LanguageResponsesOptions,
    options: LanguageStudentsOptions,
) -> Iterator[pa.Table]:
    """All students' answers, a student at a time."""
    tokenizer = load_tokenizer(student_options(teacher.model, options.model))
    return answer_tables(students, prompts, tokenizer, options.sampling.stop)


def collect_curves(students: ShardStore) -> pd.DataFrame:
    """All students' training losses."""
    return curve_table(students)


def show_answers(prompts: pd.DataFrame, student_answers: pd.DataFrame, plan: pd.DataFrame) -> pd.DataFrame:
    """A few of the answers, to read."""
    return student_samples(prompts, student_answers, plan)
