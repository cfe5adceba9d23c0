"""The claims on how distilled students generalise, each judged by a stated rule from the study's tables."""

from __future__ import annotations

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.bounds.claims.design import design_claims
from kd_uncertainty.report.bounds.claims.networks import langevin_claims, network_claims
from kd_uncertainty.report.bounds.claims.processes import process_claims
from kd_uncertainty.report.bounds.networks import read_cells
from kd_uncertainty.report.claims import Claim

__all__ = ["make_claims"]


def make_claims(tables: Tables, confidence: float = 0.95) -> list[Claim]:
    """All claims: the linear-Gaussian case and enumerated worlds, where everything is exact, then networks.

    Args:
        tables: The study's tables by name; a claim whose table is missing is not measured.
        confidence: The level of the tables' intervals.
    """
    return [
        *design_claims(table(tables, "decomposition_sweeps"), table(tables, "decomposition_audit")),
        *process_claims(table(tables, "processes"), table(tables, "sharpness")),
        *network_claims(read_cells(table(tables, "network_bounds")), confidence),
        *langevin_claims(read_cells(table(tables, "langevin_bounds"))),
    ]
