"""The report reads what the library writes: no claim is left unmeasured for want of a column."""

from __future__ import annotations

import pandas as pd
import pytest

from kd_uncertainty.bounds.decomposition import DecompositionOptions, decomposition
from kd_uncertainty.bounds.networks import PROXIES
from kd_uncertainty.bounds.processes import ProcessesOptions, processes
from kd_uncertainty.report.bounds import make_figures, make_summary
from kd_uncertainty.report.bounds.design import DIALS, TERMS
from kd_uncertainty.report.bounds.proxies import NAMES


@pytest.fixture(scope="module")
def written() -> dict[str, pd.DataFrame]:
    """What small runs of the exact sections give."""
    small = DecompositionOptions(
        num_draws=64, num_sets=4, num_students=2, num_proposals=16, num_fit=32, num_configurations=20
    )
    design = decomposition(small)
    found = processes(ProcessesOptions(num_examples=(2, 4), label_noise=(0.1,), inverse_temperatures=(1.0,)))
    return {
        "decomposition_sweeps": design.sweeps,
        "decomposition_checklist": design.checklist,
        "decomposition_audit": design.audit,
        "processes": found.table,
        "sharpness": found.sharpness,
    }


def test_every_claim_on_exact_worlds_is_measured(written):
    summary = make_summary({}, written)
    by_section = {
        section: [claim["verdict"] for claim in summary["claims"] if claim["section"] == section]
        for section in ("linear-Gaussian", "processes")
    }
    for verdicts in by_section.values():
        assert "not measured" not in verdicts
    by_key = {claim["key"]: claim["verdict"] for claim in summary["claims"]}
    for key in ("direct", "corrected", "chain_rule", "upper", "lower", "central", "sharpness"):
        assert by_key[key] == "holds", key
    assert by_key["literal"] == "does not hold"


def test_the_checklist_and_the_figures_are_drawn(written):
    summary = make_summary({}, written)
    assert {item["term"] for item in summary["checklist"]} == {"total", *TERMS}
    assert all(item["width"] is not None for item in summary["checklist"] if item["dial"])
    drawn = make_figures(written)
    assert drawn["decomposition_sweeps"].data
    assert drawn["processes"].data


def test_names_of_dials_and_constants_are_known(written):
    assert set(written["decomposition_sweeps"]["dial"]) == set(DIALS)
    assert set(PROXIES) == set(NAMES)
    found = {name.removeprefix("sigma_") for name in written["processes"] if name.startswith("sigma_")}
    assert found == set(NAMES)
