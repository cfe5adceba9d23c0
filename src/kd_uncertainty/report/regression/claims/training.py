"""Claims of section 5: dispersion of the starts and bootstrap samples as sources of variance between students."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.regression.claims.teacher_output import RISES
from kd_uncertainty.report.regression.wording import LABEL_NAMES, MODEL_NAMES
from kd_uncertainty.report.rules import MONOTONE, direction, ratio, sides, trend
from kd_uncertainty.report.wording import with_bounds

INITIALISATION, BOOTSTRAP = "5 initialisation", "5 bootstrap"
FALLS = f"holds if the interval of the change lies below 1 and the rank correlation is at most −{MONOTONE:g}"
BELOW = "holds if nearly all intervals lie below 1 and none above"


def initialisation_claims(table: pd.DataFrame) -> list[Claim]:
    """Variance grows with the dispersion of the starts; how both compare with independent starts and by labels."""
    there = not missing(table, ("targets", "initialisation", "sigma", "parameter_dispersion", "inter_variance"))
    found = []
    for targets, label in LABEL_NAMES.items():
        own = choose(table, targets=targets, initialisation="perturbed").sort_values("sigma") if there else None
        found.append(_dispersion(targets, label, [] if own is None else own.to_dict("records")))
    found.append(_independent(table if there else pd.DataFrame()))
    return found


def _dispersion(targets: str, label: str, rows: Sequence[dict[Any, Any]]) -> Claim:
    claim = f"the farther apart the starts, the larger the variance between students ({label})"
    key = f"{targets}_dispersion"
    found = trend(
        [float(row["parameter_dispersion"]) for row in rows], [estimate_of(row, "inter_variance") for row in rows]
    )
    verdict = found.verdict(rises=True)
    if verdict == "not measured":
        return Claim(INITIALISATION, key, claim, rule=RISES)
    starts = trend(
        [float(row["sigma"]) for row in rows], [estimate_of(row, "parameter_dispersion") for row in rows]
    ).change
    sentence = (
        f"From the smallest σ above zero to the largest the parameters' dispersion changes × {with_bounds(starts)} and "
        f"the variance between students {found.text()}."
    )
    ours = targets == "teacher"
    if ours:
        sentence += " The paper's public code trains these students on ground truth, so this row is ours."
    figures = {"spearman": found.spearman, "num_points": found.num_points}
    return Claim(INITIALISATION, key, claim, found.text(), found.change, RISES, verdict, sentence, ours, figures)


def _independent(table: pd.DataFrame) -> Claim:
    claim = "a perturbed start leaves less variance than independent starts"
    rule = "holds if the interval of the ratio lies below 1 for every kind of label"
    pairs: list[tuple[str, Estimate]] = []
    for targets in LABEL_NAMES:
        own = choose(table, targets=targets) if len(table) else table
        fresh = choose(own, initialisation="independent").to_dict("records") if len(own) else []
        perturbed = choose(own, initialisation="perturbed").sort_values("sigma").to_dict("records") if len(own) else []
        if fresh and perturbed:
            change = ratio(estimate_of(perturbed[-1], "inter_variance"), estimate_of(fresh[0], "inter_variance"))
            pairs.append((targets, change))
    found = sides([value for _, value in pairs])
    if not found.count:
        return Claim(INITIALISATION, "perturbed_over_independent", claim, rule=rule, ours=True)
    first = pairs[0][1]
    texts = [f"{with_bounds(value)} with {LABEL_NAMES[targets]}" for targets, value in pairs]
    sentence = f"At the largest σ the variance is {' and '.join(texts)} times that of students with independent starts."
    verdict = direction(found.below, found.above, found.count, 1.0)
    return Claim(
        INITIALISATION,
        "perturbed_over_independent",
        claim,
        f"× {with_bounds(first)}",
        first,
        rule,
        verdict,
        sentence,
        True,
    )


def bootstrap_claims(table: pd.DataFrame, confidence: float = 0.95) -> list[Claim]:
    """Variance falls with the sample's size, by model and labels; teacher labels leave less of it, by model."""
    there = not missing(table, ("model", "targets", "fraction", "inter_variance"))
    found = []
    for model in ("linear", "network"):
        own = choose(table, model=model) if there else None
        by_label = {
            targets: [] if own is None else choose(own, targets=targets).sort_values("fraction").to_dict("records")
            for targets in LABEL_NAMES
        }
        found += [_size(model, targets, rows) for targets, rows in by_label.items()]
        found.append(_labels(model, by_label["teacher"], by_label["ground_truth"], confidence))
    return found


def _size(model: str, targets: str, rows: Sequence[dict[Any, Any]]) -> Claim:
    claim = f"the variance between {MODEL_NAMES[model]} students falls with the sample's size ({LABEL_NAMES[targets]})"
    key = f"{model}_{targets}_size"
    values = [estimate_of(row, "inter_variance") for row in rows]
    found = trend([float(row["fraction"]) for row in rows], values)
    verdict = found.verdict(rises=False)
    if verdict == "not measured":
        zero = rows and all(value.estimate < 1e-12 * float(rows[0].get("test_mse", 1.0)) for value in values)
        sentence = (
            "The variance is zero at every size: a linear student finds a linear teacher exactly." if zero else ""
        )
        return Claim(BOOTSTRAP, key, claim, "0" if zero else "n/a", rule=FALLS, sentence=sentence)
    sentence = f"From the smallest to the largest sample the variance changes {found.text()}."
    figures = {"spearman": found.spearman, "num_points": found.num_points}
    return Claim(BOOTSTRAP, key, claim, found.text(), found.change, FALLS, verdict, sentence, figures=figures)


def _labels(model: str, teacher: Sequence[dict[Any, Any]], truth: Sequence[dict[Any, Any]], confidence: float) -> Claim:
    claim = f"teacher labels leave less variance between {MODEL_NAMES[model]} students than ground truth"
    key = f"{model}_labels"
    by_size = {float(row["fraction"]): estimate_of(row, "inter_variance") for row in truth}
    changes = [
        ratio(estimate_of(row, "inter_variance"), by_size[float(row["fraction"])])
        for row in teacher
        if float(row["fraction"]) in by_size
    ]
    found = sides(changes)
    if not found.count:
        return Claim(BOOTSTRAP, key, claim, rule=BELOW)
    largest = next(value for value in reversed(changes) if value.measured)
    sentence = f"Ratio of the variance with teacher labels to that with ground truth at the same size: {found.text()}."
    verdict = direction(found.below, found.above, found.count, confidence)
    figures = {"below": found.below, "above": found.above, "count": found.count, "median_ratio": found.middle}
    measured = f"full size: × {with_bounds(largest)}"
    return Claim(BOOTSTRAP, key, claim, measured, largest, BELOW, verdict, sentence, figures=figures)
