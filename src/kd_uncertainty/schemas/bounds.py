"""Tables of the bounds study (arXiv 2605.13143)."""

from __future__ import annotations

from typing import Any

from kd_uncertainty.schemas.columns import INTERVAL, check, with_interval

_GAPS = ("gen_teacher", "gen_student", "gen_student_true")
_SHIFTS = ("divergence", "dataset_shift", "algorithm_shift")
_PARTS = ("bias", "variance", "covariance", "spread")
_QUANTITIES = {
    "num_examples": "int",
    "label_noise": "float",
    "quantity": "text",
    "num_sets": "int",
    **INTERVAL,
    "inside": "any",
}


def processes(data: Any) -> None:
    """One row a process: its gaps and divergence, exactly, and every bound."""
    figures = dict.fromkeys((*_GAPS, *_SHIFTS, "chain_rule_error", "lower_central"), "float")
    check("processes", data, {"configuration": "int", "num_examples": "int", "label_noise": "float", **figures})


def sharpness(data: Any) -> None:
    """One row a process and radius: the sharpness-aware bound."""
    check("sharpness", data, {"configuration": "int", "radius": "float"})


def decomposition_sweeps(data: Any) -> None:
    """One row a dial and value: the divergence, its parts and the forms of the bound."""
    drawn = with_interval(
        "divergence_exact", "algorithm_shift", "approximation", "corrected_bound", "tight_bound", "literal_form"
    )
    exact = dict.fromkeys(("value", "dataset_shift", *_PARTS), "float")
    check("decomposition_sweeps", data, {"dial": "text", **exact, **drawn, "literal_violated": "bool", "best": "any"})


def decomposition_checklist(data: Any) -> None:
    """One row a part: its share of the bound, and the dial that lowers it most."""
    check("decomposition_checklist", data, {"term": "text", "share": "float", "dial": "text", "reduction": "float"})


def decomposition_audit(data: Any) -> None:
    """One row a random world: whether the forms of the bound hold in it."""
    check("decomposition_audit", data, {"num_examples": "int", "literal_violated": "bool"})


def network_bounds(data: Any) -> None:
    """One row a size, label noise and quantity."""
    check("network_bounds", data, _QUANTITIES)


def langevin_bounds(data: Any) -> None:
    """One row a size, label noise and quantity, as of network_bounds."""
    check("langevin_bounds", data, _QUANTITIES)
