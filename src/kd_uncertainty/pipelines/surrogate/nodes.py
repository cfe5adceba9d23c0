"""Nodes of the surrogate stage."""

from __future__ import annotations

import pandas as pd

from kd_uncertainty.language import surrogate as tabular
from kd_uncertainty.language.options import LanguagePropagationOptions, SurrogateOptions


def run_surrogate(surrogate: SurrogateOptions, propagation: LanguagePropagationOptions) -> pd.DataFrame:
    """Variances of tabular students: exact, simulated, and by the law."""
    return tabular.run(surrogate, confidence=propagation.confidence)
