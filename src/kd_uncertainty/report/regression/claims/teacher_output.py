"""Claims of section 4: the teacher's noise becomes variance between students, and that variance becomes error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from kd_uncertainty.report.claims import Claim, law_claim
from kd_uncertainty.report.comparison import estimate_of
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.regression.wording import MODEL_NAMES
from kd_uncertainty.report.rules import MONOTONE, trend

SECTION = "4 teacher output"
COLUMNS = ("model", "noise", "inter_variance", "test_mse")
RISES = f"holds if the interval of the change lies above 1 and the rank correlation is at least {MONOTONE:g}"


def teacher_output_claims(table: pd.DataFrame, confidence: float = 0.95) -> list[Claim]:
    """The variance's closed form, its growth with the noise by model, and the decomposition of the MSE by model."""
    there = not missing(table, COLUMNS)
    rows = {
        model: choose(table, model=model).sort_values("noise").to_dict("records") if there else []
        for model in ("linear", "network")
    }
    found = [_closed_form(rows["linear"], confidence)]
    found += [_growth(model, own) for model, own in rows.items()]
    found += [_decomposition(model, own, confidence) for model, own in rows.items()]
    return found


def _closed_form(rows: Sequence[dict[Any, Any]], confidence: float) -> Claim:
    pairs = [(estimate_of(row, "inter_variance"), float(row["closed_form_variance"])) for row in rows]
    claim = "the variance between linear students is σ² x'(X'X)⁻¹x"
    return law_claim(
        (SECTION, "linear_closed_form", claim), [p for p in pairs if p[1] > 0.0], confidence, "noise level"
    )


def _growth(model: str, rows: Sequence[dict[Any, Any]]) -> Claim:
    claim = f"the variance between {MODEL_NAMES[model]} students grows with the teacher's noise"
    values = [estimate_of(row, "inter_variance") for row in rows]
    found = trend([float(row["noise"]) for row in rows], values)
    verdict = found.verdict(rises=True)
    if verdict == "not measured":
        return Claim(SECTION, f"{model}_growth", claim, rule=RISES)
    sentence = f"From the smallest to the largest noise at which it is not zero the variance changes {found.text()}."
    if values[0].estimate > 0.0 and float(rows[0]["noise"]) == 0.0 and model == "network":
        sentence += " It is not zero without noise: other starts and other orders make students differ as well."
    measured = found.text()
    figures = {"spearman": found.spearman, "num_points": found.num_points}
    return Claim(SECTION, f"{model}_growth", claim, measured, found.change, RISES, verdict, sentence, figures=figures)


def _decomposition(model: str, rows: Sequence[dict[Any, Any]], confidence: float) -> Claim:
    """Test MSE against the teacher's MSE plus the variance between students; by the closed form where there is one."""
    claim = f"the test MSE of {MODEL_NAMES[model]} students is the teacher's MSE plus their variance"
    pairs = []
    for row in rows:
        law = float(row.get("closed_form_mse", float("nan")))
        if model != "linear" or math.isnan(law):
            law = float(row["teacher_mse"]) + float(row["inter_variance"])
        pairs.append((estimate_of(row, "test_mse"), law))
    return law_claim((SECTION, f"{model}_mse", claim), pairs, confidence, "noise level", ours=model != "linear")
