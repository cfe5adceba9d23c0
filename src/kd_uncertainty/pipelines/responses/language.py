"""Nodes of the responses stage of a language study."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pandas as pd
import pyarrow as pa

from kd_uncertainty.datasets.population import PendingPopulation
from kd_uncertainty.device import resolve_device
from kd_uncertainty.language import responses as sampled
from kd_uncertainty.language.models import load_tokenizer
from kd_uncertainty.language.options import LanguageResponsesOptions
from kd_uncertainty.language.samples import teacher_samples
from kd_uncertainty.options import ExecutionOptions
from kd_uncertainty.pipelines.students.nodes import num_workers
from kd_uncertainty.population.shards import ShardStore


def sample_responses(
    prompts: pd.DataFrame, responses: LanguageResponsesOptions, execution: ExecutionOptions
) -> PendingPopulation:
    """The teacher's answers, sampled shard by shard while their dataset saves them."""
    job = sampled.AnswerJob.of(prompts, responses)
    job.check()
    sample = partial(
        sampled.run,
        job,
        workers=num_workers(execution),
        device=resolve_device(execution.device),
        progress=execution.progress,
    )
    return PendingPopulation(job.identity(), job.num_shards, sample, unit="prompt")


def collect_responses(
    response_shards: ShardStore, prompts: pd.DataFrame, responses: LanguageResponsesOptions
) -> Iterator[pa.Table]:
    """One row a prompt and draw."""
    return sampled.response_tables(response_shards, prompts, load_tokenizer(responses.model), responses.sampling.stop)


def show_responses(responses: Any, prompts: pd.DataFrame) -> pd.DataFrame:
    """A few of the answers, to read."""
    return teacher_samples(prompts, sampled.read_responses(responses, prompts))
