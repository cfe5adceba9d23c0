"""Nodes of the ingestion stage of a regression study."""

from __future__ import annotations

from typing import Any

import pandas as pd

from kd_uncertainty.tasks.options import TableOptions
from kd_uncertainty.tasks.regression import prepare_regression


def prepare_examples(source: pd.DataFrame, ingestion: TableOptions) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Check, split and preprocess the source table."""
    examples, description = prepare_regression(source, ingestion)
    return examples, description
