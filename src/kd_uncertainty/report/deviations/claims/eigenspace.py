"""Claims on eigendirections: students fall behind in the lower ones, surely in linear models, mostly beyond them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from kd_uncertainty.report.claims import Claim, law_claim
from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.deviations.claims.confidence import in_all
from kd_uncertainty.report.deviations.filters import progress_and_law
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.wording import number, with_bounds

SECTION = "eigenspace"
COLUMNS = ("model", "descent", "start", "teacher_stop", "role", "record_every", "coarse", "share")
HALF = 0.5
"""The share by chance, which has to be exceeded and not just reached."""
MODELS = {
    "linear_squared": (0.99, "linear models with squared loss", "the theorem"),
    "linear_cross_entropy": (0.8, "linear models with cross-entropy", ""),
    "random_features": (0.8, "random features with squared loss", ""),
    "mlp": (HALF, "the first layer of a network", ""),
}
"""Share of direction pairs with the student behind that is expected, and the model in words."""
FAILS = {
    "linear_squared": "the descent has momentum, or steps are beyond 1 / l₁, so that the top direction oscillates",
    "linear_cross_entropy": "probabilities saturate: directions then wait for each other",
    "random_features": "the student is recorded too coarsely, or directions have nearly equal eigenvalues",
    "mlp": "student and teacher start apart: two networks then differ in their directions without any distillation",
}
MISSED = "holds if the share's interval lies below {:g} in every setting; in part if in some"
ABOVE = (
    "holds if students exceed the control with the interval of the difference above 0 in every setting; in part if in "
    "some"
)
COARSER = (
    "holds if the coarsest record of the student gives a share below the one of every step, intervals apart, in every "
    "setting; in part if in some"
)


def eigenspace_claims(trajectories: pd.DataFrame, pairs: pd.DataFrame, confidence: float) -> list[Claim]:
    """The filters, the share of pairs by model, the network's control, and where it fails: momentum, coarse records."""
    filters = "in linear models with squared loss both follow their filters: the student’s is the product of two"
    known = pd.DataFrame(columns=list(COLUMNS)) if missing(pairs, COLUMNS) else pairs
    law = law_claim((SECTION, "filters", filters), progress_and_law(trajectories), confidence, "direction and step")
    law = replace(law, fails=FAILS["linear_squared"])
    return [law, *(_share(known, model) for model in MODELS), _control(known), _momentum(known), _recording(known)]


def settings(pairs: pd.DataFrame, **keys: Any) -> list[dict[str, Any]]:
    """The rows of a role recorded at every step by default, with their settings."""
    chosen = {"descent": "plain", "role": "student", "coarse": "neither"} | keys
    return [{str(name): value for name, value in row.items()} for row in choose(pairs, **chosen).to_dict("records")]


def _where(row: dict[str, Any]) -> str:
    """``gaussian, teacher stopped after 200 steps``."""
    start = "" if row["start"] == "zero" else f", {row['start']} start"
    return f"{row.get('task', 'task')} task{start}, teacher stopped after {int(row['teacher_stop']):,} steps"


def _texts(rows: Sequence[dict[str, Any]]) -> str:
    return "; ".join(f"{with_bounds(estimate_of(row, 'share'), 3)} ({_where(row)})" for row in rows)


def _json(rows: Sequence[dict[str, Any]]) -> dict[str, object]:
    return {_where(row): estimate_of(row, "share").as_json() for row in rows}


def _least(rows: Sequence[dict[str, Any]]) -> Estimate:
    return min((estimate_of(row, "share") for row in rows), key=lambda share: share.estimate)


def _known(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if estimate_of(row, "share").measured]


def _share(pairs: pd.DataFrame, model: str) -> Claim:
    expected, words, source = MODELS[model]
    reaches = f"is at least {expected:g}" if expected > HALF else f"lies above {expected:g}"
    claim = f"{words}: at equal progress in the top direction the student is behind in the lower one"
    claim += (
        f" in {'every' if source else 'at least ' + format(expected, '.0%') + ' of the'} pair{'' if source else 's'}"
    )
    claim = claim.replace("at least 50%", "more than half")
    rule = f"holds if the lower end of the share's interval {reaches} in every setting; in part if in some"
    rows = _known(settings(pairs, model=model))
    if not rows:
        return Claim(SECTION, model, claim, rule=rule, fails=FAILS[model])
    shares = [estimate_of(row, "share") for row in rows]
    count = int(rows[0].get("num_pairs", 0))
    sentence = f"The share of {count} pairs with the student behind: {_texts(rows)}."
    shown = _least(rows)
    verdict = in_all([_reaches(share, expected) for share in shares])
    measured = f"{with_bounds(shown, 3)}, the least of {len(rows)} settings"
    return Claim(SECTION, model, claim, measured, shown, rule, verdict, sentence, False, _json(rows), FAILS[model])


def _reaches(share: Estimate, expected: float) -> bool:
    return share.lower >= expected if expected > HALF else share.lower > expected


def _control(pairs: pd.DataFrame) -> Claim:
    claim = "networks: students are behind more often than a network that learns the labels from the same start"
    rows = _known(settings(pairs, model="mlp", role="difference"))
    if not rows:
        return Claim(SECTION, "mlp_control", claim, rule=ABOVE, ours=True, fails=FAILS["mlp"])
    beside = {_where(row): estimate_of(row, "share") for row in settings(pairs, model="mlp", role="control")}
    texts = "; ".join(
        f"{with_bounds(estimate_of(row, 'share'), 3)} above a control of {with_bounds(beside[_where(row)], 3)} "
        f"({_where(row)})"
        for row in rows
        if _where(row) in beside
    )
    shown, figures = _least(rows), _json(rows)
    verdict = in_all([estimate_of(row, "share").lower > 0.0 for row in rows])
    measured = f"difference {with_bounds(shown, 3)}, the least of {len(rows)} settings"
    sentence = f"Student minus control, paired over seeds: {texts}."
    return Claim(SECTION, "mlp_control", claim, measured, shown, ABOVE, verdict, sentence, True, figures, FAILS["mlp"])


def _momentum(pairs: pd.DataFrame) -> Claim:
    expected = MODELS["linear_squared"][0]
    claim = "with momentum the theorem’s premise is gone, and so is its conclusion"
    rule, fails = MISSED.format(expected), "momentum is small, or teachers stop long before they have converged"
    rows = _known(settings(pairs, descent="momentum"))
    if not rows:
        return Claim(SECTION, "momentum", claim, rule=rule, ours=True, fails=fails)
    shown = _least(rows)
    verdict = in_all([estimate_of(row, "share").upper < expected for row in rows])
    measured = f"{with_bounds(shown, 3)}, the least of {len(rows)} settings"
    sentence = f"The share of pairs with the student behind: {_texts(rows)}."
    return Claim(SECTION, "momentum", claim, measured, shown, rule, verdict, sentence, True, _json(rows), fails)


def _recording(pairs: pd.DataFrame) -> Claim:
    claim = "a student that is recorded more coarsely than its teacher seems ahead where it is behind"
    fails = "the paths are slow: then few steps between records change nothing"
    coarse = _known(settings(pairs, coarse="student"))
    coarse = [row for row in coarse if row["record_every"] == max(one["record_every"] for one in coarse)]
    fine = {(row["model"], _where(row)): estimate_of(row, "share") for row in _known(settings(pairs))}
    found = [
        (row, fine[row["model"], _where(row)], estimate_of(row, "share"))
        for row in coarse
        if (row["model"], _where(row)) in fine
    ]
    if not found:
        return Claim(SECTION, "recording", claim, rule=COARSER, ours=True, fails=fails)
    hits = [after.upper < before.lower for _, before, after in found]
    row, before, after = min(found, key=lambda cell: cell[2].estimate - cell[1].estimate)
    every = number(float(row["record_every"]), 0)
    worst = f"{row['model'].replace('_', ' ')}, {_where(row)}"
    sentence = (
        f"Recorded every {every} steps, the student's share falls with intervals apart in {sum(hits)} of {len(found)} "
        f"settings; the most from {with_bounds(before, 3)} to {with_bounds(after, 3)} ({worst})."
    )
    measured = f"{with_bounds(after, 3)} instead of {with_bounds(before, 3)}, at worst"
    figures = {"fell": sum(hits), "count": len(found)}
    return Claim(SECTION, "recording", claim, measured, after, COARSER, in_all(hits), sentence, True, figures, fails)
