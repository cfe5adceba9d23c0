"""Claims on gradient denoising: which entries distillation turns round, and what the weights gain by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from kd_uncertainty.report.arms import NO_ESTIMATE
from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.comparison import Estimate, difference, estimate_of
from kd_uncertainty.report.deviations.claims.confidence import in_all
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.rules import MONOTONE, Verdict, direction, sides, trend
from kd_uncertainty.report.wording import listing, number, plural, with_bounds, with_interval

SECTION = "denoising"
ENTRIES = ("signal", "similarity", "student_step", "teacher", "teacher_step", "flip")
ALIGNMENT = ("signal", "similarity", "quantity", "student_step", "teacher", "teacher_step", "gain")
NONE_LEFT = 0.01
SIGNALS = {"top": "the top covariance block", "spread": "all directions alike"}
MORE = "holds if the interval of the change with the similarity lies above 0 for every signal; in part if for some"
SELECTIVE = (
    "holds if, of the earliest teacher, the flip rate exceeds the false one with the interval of the difference above "
    "0 in every setting; in part if in some"
)
FALLS = (
    "holds if the interval of the change from the earliest to the latest teacher lies below 0 and the rank correlation "
    f"with its training time is at most −{MONOTONE:g} in every setting; in part if in some"
)
GONE = (
    f"holds if the upper end of the latest teacher's flip rate is at most {NONE_LEFT:.0%} in every setting; in part if "
    "in some"
)
BETTER = (
    "holds if the gain's interval lies above 0 for nearly all times, early teachers and similarities, and never below; "
    "in part if more often above than below"
)
WORSE = (
    "holds if the gain's interval lies below 0 for nearly all times, early teachers and similarities, and never above; "
    "in part if more often below than above"
)
EXACT = "the student's probabilities already are near the true ones"
Row = dict[str, Any]


def denoising_claims(entries: pd.DataFrame, alignment: pd.DataFrame, confidence: float) -> list[Claim]:
    """Destructive entries, flips against the teacher's training time, and alignment by where the signal lives."""
    entries = pd.DataFrame(columns=list(ENTRIES)) if missing(entries, ENTRIES) else entries
    aligned = pd.DataFrame(columns=list(ALIGNMENT)) if missing(alignment, ALIGNMENT) else alignment
    return [
        _similarity(entries),
        _selective(entries),
        _falls(entries),
        _gone(entries),
        *(_alignment(aligned, signal, what, confidence) for what in ("weights", "gradient") for signal in SIGNALS),
    ]


def groups(entries: pd.DataFrame) -> list[tuple[str, list[Row]]]:
    """The trained teachers' rows by training time, of each signal, similarity and step of the student."""
    found = []
    trained = choose(entries, teacher="trained")
    for key, own in trained.groupby(["signal", "similarity", "student_step"], sort=False):
        signal, similarity, step = (str(part) for part in key)
        rows = own.sort_values("teacher_step").to_dict("records")
        name = f"{signal}, similarity {float(similarity):g}, student after {plural(int(float(step)), 'step')}"
        found.append((name, [{str(key): value for key, value in row.items()} for row in rows]))
    return found


def _claim(
    key: str,
    claim: str,
    rule: str,
    verdict: Verdict,
    shown: tuple[str, Estimate],
    sentence: str,
    fails: str,
    figures: dict[str, Any],
) -> Claim:
    measured, figure = shown
    return Claim(SECTION, key, claim, measured, figure, rule, verdict, sentence, False, figures, fails)


def _similarity(entries: pd.DataFrame) -> Claim:
    claim = "the more alike classes are, the more entries of the one-hot gradient push down what deserves more"
    fails = "classes do not overlap: labels are then nearly certain, however alike the classes"
    rows = choose(entries, teacher="trained", student_step=_first(entries, "student_step"))
    rows = rows[rows["teacher_step"] == _first(rows, "teacher_step")]
    rows = rows[rows["similarity"] == rows["similarity"].max()]
    found = {str(row["signal"]): row for row in rows.to_dict("records") if row["similarity"] > 0.0}
    changes = {signal: estimate_of(row, "destructive_change") for signal, row in found.items()}
    changes = {signal: change for signal, change in changes.items() if change.measured}
    if not changes:
        return Claim(SECTION, "similarity", claim, rule=MORE, fails=fails)
    texts = "; ".join(
        f"{signal} {with_interval(estimate_of(found[signal], 'destructive'), percentage=True)} of all entries at "
        f"similarity {found[signal]['similarity']:g}, {with_interval(change, percentage=True)} more than without"
        for signal, change in changes.items()
    )
    signal, shown = next(iter(changes.items()))
    verdict = in_all([change.lower > 0.0 for change in changes.values()])
    figures = {signal: change.as_json() for signal, change in changes.items()}
    measured = f"+ {with_interval(shown, percentage=True)} of all entries ({signal})", shown
    return _claim("similarity", claim, MORE, verdict, measured, f"Destructive are: {texts}.", fails, figures)


def _first(frame: pd.DataFrame, column: str) -> float:
    return float(frame[column].min()) if len(frame) else 0.0


def _selective(entries: pd.DataFrame) -> Claim:
    claim = "an early teacher turns destructive entries round, and more of them than of the harmless ones"
    found = {name: (estimate_of(rows[0], "flip"), estimate_of(rows[0], "false_flip")) for name, rows in groups(entries)}
    found = {name: pair for name, pair in found.items() if pair[0].measured and pair[1].measured}
    if not found:
        return Claim(SECTION, "selective", claim, rule=SELECTIVE, fails=EXACT)
    gaps = {name: difference(*pair) for name, pair in found.items()}
    name = min(gaps, key=lambda one: gaps[one].estimate)
    best = max(gaps, key=lambda one: gaps[one].estimate)
    texts = listing(
        f"{with_interval(found[one][0], percentage=True)} against {with_interval(found[one][1], percentage=True)} of "
        f"the harmless ones ({one})"
        for one in dict.fromkeys((best, name))
    )
    sentence = f"Turned round by the earliest teacher, where the most and the least: {texts}."
    shown = (
        f"{with_interval(found[best][0], percentage=True)}, harmless {with_interval(found[best][1], percentage=True)}"
    )
    verdict = in_all([gap.lower > 0.0 for gap in gaps.values()])
    figures = {one: gap.as_json() for one, gap in gaps.items()}
    return _claim("selective", claim, SELECTIVE, verdict, (shown, found[best][0]), sentence, EXACT, figures)


def _falls(entries: pd.DataFrame) -> Claim:
    claim = "the flip rate falls as the teacher trains on"
    fails = "the teacher cannot fit its labels, so that it stays what it was early"
    found = [(name, rows) for name, rows in groups(entries) if estimate_of(rows[-1], "flip_change").measured]
    found = [(name, rows) for name, rows in found if len(rows) > 1]
    if not found:
        return Claim(SECTION, "flip_falls", claim, rule=FALLS, fails=fails)
    changes = [estimate_of(rows[-1], "flip_change") for _, rows in found]
    ranks = [_rank(rows) for _, rows in found]
    hits = [change.upper < 0.0 and rho <= -MONOTONE for change, rho in zip(changes, ranks, strict=True)]
    rows = found[0][1]
    first, last = estimate_of(rows[0], "flip"), estimate_of(rows[-1], "flip")
    sentence = (
        f"From {with_interval(first, percentage=True)} after {plural(int(rows[0]['teacher_step']), 'step')} of the "
        f"teacher to {with_interval(last, percentage=True)} after {int(rows[-1]['teacher_step']):,} ({found[0][0]}); "
        f"it falls in {sum(hits)} of {len(found)} settings, by {number(100 * -max(c.estimate for c in changes), 0)} to "
        f"{number(100 * -min(c.estimate for c in changes), 0)} percentage points."
    )
    measured = f"{with_interval(changes[0], percentage=True)} from first to last", changes[0]
    return _claim(
        "flip_falls", claim, FALLS, in_all(hits), measured, sentence, fails, {"fell": sum(hits), "count": len(found)}
    )


def _rank(rows: Sequence[Row]) -> float:
    """The rank correlation with the training time while anything is left to flip: zeros tie with one another."""
    values = [estimate_of(row, "flip") for row in rows]
    kept = next((index + 1 for index, value in enumerate(values) if value.estimate <= NONE_LEFT), len(values))
    return trend([float(row["teacher_step"]) for row in rows[:kept]], values[:kept]).spearman


def _gone(entries: pd.DataFrame) -> Claim:
    claim = "a teacher that has learnt its labels by heart turns none round"
    fails = "the teacher was not trained until it fits its labels"
    found = {name: rows[-1] for name, rows in groups(entries) if estimate_of(rows[-1], "flip").measured}
    if not found:
        return Claim(SECTION, "memory", claim, rule=GONE, fails=fails)
    rates = {name: estimate_of(row, "flip") for name, row in found.items()}
    name = max(rates, key=lambda one: rates[one].upper)
    steps, fitted = int(found[name]["teacher_step"]), estimate_of(found[name], "teacher_accuracy")
    sentence = (
        f"After {steps:,} steps, when the teacher fits {with_interval(fitted, percentage=True)} of its labels, the "
        f"flip rate is at most {with_interval(rates[name], percentage=True)} ({name})."
    )
    verdict = in_all([rate.upper <= NONE_LEFT for rate in rates.values()])
    measured = f"at most {with_interval(rates[name], percentage=True)}", rates[name]
    figures = {one: rate.as_json() for one, rate in rates.items()}
    return _claim("memory", claim, GONE, verdict, measured, sentence, fails, figures)


def early_gains(alignment: pd.DataFrame, signal: str, quantity: str) -> list[Row]:
    """The rows of all trained teachers but the latest, at all times of the student."""
    own = choose(alignment, signal=signal, quantity=quantity, teacher="trained")
    earlier = own[own["teacher_step"] < own["teacher_step"].max()]
    own = earlier if len(earlier) else own
    return [{str(key): value for key, value in row.items()} for row in own.to_dict("records")]


def _alignment(alignment: pd.DataFrame, signal: str, quantity: str, confidence: float) -> Claim:
    rises, noun = signal == "top", "weights" if quantity == "weights" else "gradients"
    claim = (
        f"signal in {SIGNALS[signal]}: an early teacher's students have {noun} that point "
        f"{'closer to' if rises else 'further from'} the truth than one-hot students'"
    )
    rule = BETTER if rises else WORSE
    fails = (
        "the top block has hardly more variance than the rest, or the teacher has fitted its labels"
        if rises
        else "students train long: those of somewhat later teachers then catch up"
    )
    key, rows = f"{signal}_{quantity}", early_gains(alignment, signal, quantity)
    found = sides([estimate_of(row, "gain") for row in rows], 0.0)
    if not found.count:
        return Claim(SECTION, key, claim, rule=rule, fails=fails)
    last = max(row["student_step"] for row in rows)
    ends = [
        row for row in rows if row["student_step"] == last and row["similarity"] == max(r["similarity"] for r in rows)
    ]
    shown = estimate_of(ends[0], "gain") if ends else NO_ESTIMATE
    texts = "; ".join(
        f"{with_bounds(estimate_of(row, 'gain'), 3)} (teacher after {int(row['teacher_step'])})" for row in ends
    )
    sentence = (
        f"Gain in cosine over one-hot students: {found.text('0')}. {_by_time(rows)} After {int(last):,} steps at "
        f"similarity {ends[0]['similarity']:g}: {texts}."
    )
    right, wrong = (found.above, found.below) if rises else (found.below, found.above)
    verdict = direction(right, wrong, found.count, confidence)
    figures = {"above": found.above, "below": found.below, "count": found.count}
    measured = f"{with_bounds(shown, 3)} in cosine; above 0 in {found.above}, below in {found.below} of {found.count}"
    return _claim(key, claim, rule, verdict, (measured, shown), sentence, fails, figures)


def _by_time(rows: Sequence[Row]) -> str:
    """At which steps of the student the gain lies above 0, and at which below."""
    texts = []
    for step in sorted({row["student_step"] for row in rows}):
        own = sides([estimate_of(row, "gain") for row in rows if row["student_step"] == step], 0.0)
        texts.append(f"{int(step)}: {own.above} and {own.below}")
    return f"By the student's steps, above and below 0: {'; '.join(texts)}."
