"""Nodes of the propagation stage of a language study."""

from __future__ import annotations

from typing import Any

import pandas as pd

from kd_uncertainty.device import resolve_device
from kd_uncertainty.language.embedding import embedding_table
from kd_uncertainty.language.options import LanguagePropagationOptions, LanguageResponsesOptions, PromptOptions
from kd_uncertainty.language.propagation import analyse, texts_of
from kd_uncertainty.language.responses import read_responses
from kd_uncertainty.options import ExecutionOptions

TABLES = ("answer_variance", "answer_metrics", "answer_frequencies", "sample_answers")


def embed_answers(
    prompts: pd.DataFrame,
    responses: Any,
    student_answers: pd.DataFrame,
    teacher: LanguageResponsesOptions,
    execution: ExecutionOptions,
) -> pd.DataFrame:
    """A vector for every different text: the teacher's answers, the students', and the references."""
    texts = texts_of(prompts, read_responses(responses, prompts), student_answers)
    return embedding_table(texts, teacher.embedding, resolve_device(execution.device))


def analyse_answers(
    prompts: pd.DataFrame,
    responses: Any,
    answer_embeddings: pd.DataFrame,
    plan: pd.DataFrame,
    student_answers: pd.DataFrame,
    ingestion: PromptOptions,
    propagation: LanguagePropagationOptions,
) -> tuple[pd.DataFrame, ...]:
    """Variance, mistakes, frequencies and samples of the answers."""
    found = analyse(
        prompts,
        read_responses(responses, prompts),
        answer_embeddings,
        plan,
        student_answers,
        propagation,
        match=ingestion.match,
    )
    return found.variance, found.metrics, found.frequencies, found.samples
