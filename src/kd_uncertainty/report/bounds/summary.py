"""The summary of the bounds study: the design checklist, what the interval is worth, every claim with its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.bounds import findings
from kd_uncertainty.report.bounds.claims import make_claims
from kd_uncertainty.report.bounds.design import agreements, best_turns, read_checklist
from kd_uncertainty.report.bounds.networks import Cell, read_cells
from kd_uncertainty.report.claims import count_verdicts
from kd_uncertainty.report.comparison import json_safe

STUDY = "bounds"
DOUBTS = ("agreement",)
"""Findings that say how sure the advice is."""


def make_summary(task: Mapping[str, Any], tables: Tables, *, confidence: float = 0.95) -> dict[str, Any]:
    """The advice and the verdicts of the bounds study.

    Args:
        task: The description of the task that networks were trained on.
        tables: The study's tables by name; any may be missing or empty.
        confidence: The level of the tables' intervals.

    Returns:
        A dictionary of plain Python values without NaN: what is not measured is None.
    """
    sweeps = table(tables, "decomposition_sweeps")
    items = read_checklist(table(tables, "decomposition_checklist"), sweeps)
    cells, found = read_cells(table(tables, "network_bounds")), agreements(sweeps)
    claims = [claim.as_json() for claim in make_claims(tables, confidence)]
    by_key = {str(claim["key"]): claim for claim in claims}
    made = [
        findings.first_finding(items),
        findings.next_finding(items, best_turns(sweeps)),
        findings.not_finding(items),
        findings.agreement_finding(found),
        findings.form_finding(by_key, found),
        findings.interval_finding(cells),
    ]
    said = [finding for finding in made if finding is not None]
    plain: dict[str, Any] = json_safe(
        {
            "study": STUDY,
            "task": dict(task),
            "confidence": confidence,
            "counts": _counts(tables, cells),
            "checklist": [asdict(item) | {"advice": item.advice} for item in items],
            "best": [asdict(one) for one in found],
            "intervals": [_cell_json(cell) for cell in cells],
            "claims": claims,
            "verdicts": count_verdicts(claims),
            "findings": [finding.as_json() for finding in said],
            "recommendation": [finding.sentence for finding in said if finding.topic not in DOUBTS],
            "caveats": _caveats(tables, cells),
        }
    )
    return plain


def _counts(tables: Tables, cells: Sequence[Cell]) -> dict[str, int]:
    """How much each part rests on."""
    counts = {
        name: len(table(tables, key))
        for name, key in (
            ("settings of dials", "decomposition_sweeps"),
            ("random linear-Gaussian worlds", "decomposition_audit"),
            ("enumerated processes", "processes"),
        )
    }
    counts["training sets a cell of networks"] = max((cell.num_sets for cell in cells), default=0)
    return {name: count for name, count in counts.items() if count}


def _cell_json(cell: Cell) -> dict[str, Any]:
    return {
        "num_examples": cell.num_examples,
        "label_noise": cell.label_noise,
        "num_sets": cell.num_sets,
        "gaps": {name: value.as_json() for name, value in cell.figures.items() if name.startswith("gen_")},
        "divergence": cell.figure("divergence").as_json(),
        "intervals": {name: list(cell.interval(name)) for name in cell.proxies},
    }


def _caveats(tables: Tables, cells: Sequence[Cell]) -> list[str]:
    notes = []
    if len(table(tables, "decomposition_sweeps")):
        notes += [
            "The checklist is of one linear-Gaussian world at one base configuration, one dial turned at a time. "
            "Another base has another checklist: set yours in the parameters of the decomposition.",
            "It lowers a bound on the divergence of student and teacher: a student that is nearer to its teacher, and "
            "not a better one. A teacher that generalises badly is then followed more closely.",
        ]
    if len(table(tables, "processes")):
        notes.append(
            "Enumerated processes have a few inputs and hypotheses: they show that the bounds hold, not how tight they "
            "are for large models."
        )
    if cells:
        notes.append(
            "For networks the divergence is computed from above and the constants but Hoeffding’s are estimates from "
            f"{max(cell.num_sets for cell in cells)} training sets. A gap inside the interval is consistent with the "
            "bound and proves nothing; the kernels are trained networks plus Gaussian noise, so that a divergence "
            "exists at all. With Langevin dynamics it is that of whole paths, which is more than that of their ends."
        )
    return notes
