"""The paper's claims, each judged by a stated rule from the study's tables."""

from __future__ import annotations

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.regression.arms import read_arms
from kd_uncertainty.report.regression.budgets import read_budgets
from kd_uncertainty.report.regression.claims.floor import FloorCheck, floor_checks, floor_claims
from kd_uncertainty.report.regression.claims.remedies import remedies_claims
from kd_uncertainty.report.regression.claims.student_output import student_output_claims
from kd_uncertainty.report.regression.claims.teacher_output import teacher_output_claims
from kd_uncertainty.report.regression.claims.training import bootstrap_claims, initialisation_claims

__all__ = ["Claim", "FloorCheck", "floor_checks", "make_claims"]


def make_claims(tables: Tables, confidence: float = 0.95) -> list[Claim]:
    """All claims in the order of the paper's sections, then the check of the floor across stages.

    Args:
        tables: The study's tables by name; a claim whose table is missing is not measured.
        confidence: The level of the tables' intervals.
    """
    return [
        *teacher_output_claims(table(tables, "teacher_output"), confidence),
        *initialisation_claims(table(tables, "initialisation")),
        *bootstrap_claims(table(tables, "bootstrap"), confidence),
        *student_output_claims(table(tables, "student_output"), confidence),
        *remedies_claims(table(tables, "remedies"), confidence),
        *floor_claims(floor_checks(read_arms(tables), read_budgets(tables))),
    ]
