"""The claims on sequence distillation, each judged by a stated rule from the study's tables."""

from __future__ import annotations

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.language.arms import read_study
from kd_uncertainty.report.language.claims.methods import method_claims
from kd_uncertainty.report.language.claims.mistakes import mistake_claims
from kd_uncertainty.report.language.claims.surrogate import surrogate_claims
from kd_uncertainty.report.language.claims.variance import variance_claims
from kd_uncertainty.report.language.surrogate import read_surrogate

__all__ = ["make_claims"]


def make_claims(tables: Tables, confidence: float = 0.95) -> list[Claim]:
    """All claims: the surrogate's law, real students against it, the methods, and mistakes.

    Args:
        tables: The study's tables by name; a claim whose table is missing is not measured.
        confidence: The level of the tables' intervals.
    """
    study = read_study(tables)
    return [
        *surrogate_claims(read_surrogate(table(tables, "surrogate")), confidence),
        *variance_claims(study, confidence),
        *method_claims(study),
        *mistake_claims(study),
    ]
