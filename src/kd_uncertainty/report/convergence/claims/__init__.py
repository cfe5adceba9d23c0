"""The claims of SGD distillation with Bayesian teachers, each judged by a stated rule from the study's tables."""

from __future__ import annotations

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.convergence.arms import read_arms
from kd_uncertainty.report.convergence.claims.descent import descent_claims
from kd_uncertainty.report.convergence.claims.mixture import mixture_claims
from kd_uncertainty.report.convergence.claims.networks import network_claims
from kd_uncertainty.report.convergence.claims.noise import noise_claims
from kd_uncertainty.report.convergence.claims.steps import step_claims
from kd_uncertainty.report.convergence.claims.teachers import teacher_claims
from kd_uncertainty.report.convergence.law import read_mixtures

__all__ = ["make_claims"]


def make_claims(tables: Tables, confidence: float = 0.95) -> list[Claim]:
    """All claims: the linear softmax world first, where theory is exact, then networks and teachers.

    Args:
        tables: The study's tables by name; a claim whose table is missing is not measured.
        confidence: The level of the tables' intervals.
    """
    arms = read_arms(tables)
    return [
        *noise_claims(table(tables, "gradient_noise")),
        *descent_claims(table(tables, "plateau"), confidence),
        *step_claims(table(tables, "step_sweep")),
        *mixture_claims(read_mixtures(table(tables, "mixture")), confidence),
        *network_claims(arms),
        *teacher_claims(arms, table(tables, "teacher_error"), confidence),
    ]
