"""The claims on student-teacher deviations, each judged by a stated rule from the study's tables."""

from __future__ import annotations

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.deviations.arms import read_arms
from kd_uncertainty.report.deviations.claims.confidence import confidence_claims
from kd_uncertainty.report.deviations.claims.denoising import denoising_claims
from kd_uncertainty.report.deviations.claims.eigenspace import eigenspace_claims
from kd_uncertainty.report.deviations.claims.gains import gain_claims
from kd_uncertainty.report.deviations.claims.switching import switching_claims
from kd_uncertainty.report.deviations.schedules import read_schedules

__all__ = ["make_claims"]


def make_claims(tables: Tables, confidence: float = 0.95) -> list[Claim]:
    """All claims: what students do, whether it pays, when in training, and the two explanations.

    Args:
        tables: The study's tables by name; a claim whose table is missing is not measured.
        confidence: The level of the tables' intervals.
    """
    arms = read_arms(tables)
    return [
        *confidence_claims(arms),
        *gain_claims(arms, table(tables, "gains")),
        *switching_claims(read_schedules(tables)),
        *eigenspace_claims(table(tables, "eigenspace_trajectories"), table(tables, "eigenspace_pairs"), confidence),
        *denoising_claims(table(tables, "denoising_entries"), table(tables, "denoising_alignment"), confidence),
    ]
