"""Nodes of the ingestion stage."""

from __future__ import annotations

from typing import Any

import pandas as pd

from kd_uncertainty.options import IngestionOptions
from kd_uncertainty.tasks.tables import prepare_task


def prepare_examples(source: pd.DataFrame, ingestion: IngestionOptions) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Check, split and preprocess the source table."""
    examples, description = prepare_task(source, ingestion)
    return examples, description
