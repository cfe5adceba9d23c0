"""Nodes of the ingestion stage of a language study."""

from __future__ import annotations

from typing import Any

import pandas as pd

from kd_uncertainty.language.options import PromptOptions
from kd_uncertainty.language.prompts import read_prompts, task_facts


def prepare_prompts(source: pd.DataFrame, ingestion: PromptOptions) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Check the questions, choose among them, split and format them."""
    prompts = read_prompts(source, ingestion)
    return prompts, task_facts(prompts, ingestion)
