"""The recommendation: teacher, draws, mixing and temperature by the students' validation NLL.

Nothing is chosen on the test split; its figures are reported beside the choice. Differences are paired by student and
example and their intervals cover both (``uncertainty.metrics.mean_interval``); they do not cover another fit of the
teacher or another split. Where the measurement cannot tell a setting from the best, the cheapest such setting is
recommended: the deterministic teacher first, then fewer draws; mixing 1, which needs no labels, and temperature 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from kd_uncertainty.comparison.data import Floats
from kd_uncertainty.comparison.dials import Evidence, Setting, decide
from kd_uncertainty.comparison.few_shot import few_shot
from kd_uncertainty.comparison.measure import INTERVALS, Comparison, Intervals, Lesson
from kd_uncertainty.comparison.plan import Cell
from kd_uncertainty.comparison.students import Outcome
from kd_uncertainty.comparison.tracking import rank_correlations
from kd_uncertainty.uncertainty.students import student_mean

BAYESIAN = ("deep_ensemble", "laplace", "mc_dropout", "sgld", "swag", "variational")
"""Kinds that approximate a posterior."""
_METRICS = ("accuracy", "nll", "ece")


def recommendation(comparison: Comparison, intervals: Intervals = INTERVALS) -> dict[str, Any]:
    """Return what to choose, how sure that is, and what it is worth, as JSON values without NaN.

    Args:
        comparison: from ``compare``.
        intervals: confidence and bootstrap.

    Returns:
        - teacher, num_draws, mixing, temperature: a verdict each, from ``decide``: best, recommended, within_noise,
          share_of_resamples, runner_up, and settings with validation NLL, difference to the best and share. Teachers
          are compared at the mixing and temperature that suit each best, draws at mixing and temperature 1.
        - baseline: the deterministic teacher, or null.
        - teachers: each at mixing and temperature 1 with its difference to the baseline.
        - figures: students' validation and test metrics: as recommended, of the best, of the recommended number of
          draws, of the best Bayesian teacher, of the baseline and of the control.
        - differences: of these to the baseline and to the control.
        - few_shot: students of the recommended teacher by share of the examples, from ``few_shot``.
        - tracks: rank correlations over teachers, from ``rank_correlations``.
    """
    lessons = {lesson.candidate.name: lesson for lesson in comparison.lessons}
    outcomes = _full_data(comparison)
    evidence = Evidence(
        {cell: outcome.losses for cell, outcome in outcomes.items()},
        intervals.confidence,
        intervals.num_bootstrap,
        intervals.seed,
    )
    baseline = _baseline(comparison)
    ordered = sorted(lessons.values(), key=lambda one: (one is not baseline, one.base.num_draws))
    teacher = decide(evidence, [Setting(one.candidate.name, _grid(one)) for one in ordered])
    chosen = lessons[str(teacher.recommended.value)]
    pair = decide(evidence, _pairs(chosen))
    draws = decide(evidence, _draws(chosen))
    mixing, temperature = (
        _marginal(evidence, chosen, dial, pair.best.value, pair.recommended.value) for dial in (0, 1)
    )
    cell = pair.recommended.cells[0]
    reference = next(iter(comparison.control))
    named = {
        "recommended": cell,
        "best": evidence.best(teacher.best.cells),
        "fewer_draws": draws.recommended.cells[0],
        "control": reference,
    }
    if baseline is not None:
        named["baseline"] = evidence.best(_grid(baseline))
    bayesian = [one for one in ordered if one.candidate.kind in BAYESIAN and not one.candidate.cross_fitted]
    if bayesian:
        named["bayesian"] = evidence.best([cell for one in bayesian for cell in _grid(one)])
    found: dict[str, Any] = _finite(
        {
            "selected_on": "validation NLL",
            "confidence": intervals.confidence,
            "num_students": len(next(iter(outcomes.values())).losses),
            "baseline": None if baseline is None else baseline.candidate.name,
            "teacher": teacher.figures,
            "num_draws": draws.figures,
            "mixing": mixing,
            "temperature": temperature,
            "teachers": [_against(one, baseline, evidence, outcomes, intervals.confidence) for one in ordered],
            "figures": {name: _figures(one, outcomes, intervals.confidence) for name, one in named.items()},
            "differences": _differences(named, evidence, outcomes, intervals.confidence),
            "few_shot": few_shot(comparison, chosen, intervals.confidence),
            "tracks": rank_correlations(comparison, intervals),
        }
    )
    return found


def _full_data(comparison: Comparison) -> dict[Cell, Outcome]:
    """Outcomes of students that saw all examples, the control included."""
    everything = dict(comparison.control)
    for lesson in comparison.lessons:
        everything |= lesson.outcomes
    return {cell: outcome for cell, outcome in everything.items() if cell.fraction == 1.0}


def _baseline(comparison: Comparison) -> Lesson | None:
    """The deterministic teacher that is cross-fitted on nothing, if there is one."""
    plain = [
        one for one in comparison.lessons if one.candidate.kind == "deterministic" and not one.candidate.cross_fitted
    ]
    return plain[0] if plain else None


def _grid(lesson: Lesson) -> tuple[Cell, ...]:
    """A teacher's cells of all data and all draws."""
    base = lesson.base
    return tuple(cell for cell in lesson.outcomes if (cell.fraction, cell.num_draws) == (1.0, base.num_draws))


def _pairs(lesson: Lesson) -> list[Setting]:
    """Pairs of mixing and temperature: those nearest to (1, 1) are the simplest."""
    cells = sorted(_grid(lesson), key=_plainness)
    return [Setting((cell.mixing, cell.temperature), (cell,)) for cell in cells]


def _plainness(cell: Cell) -> tuple[float, ...]:
    hotter = abs(math.log(cell.temperature))
    return (cell.mixing != 1.0) + (hotter != 0.0), 1.0 - cell.mixing, hotter


def _draws(lesson: Lesson) -> list[Setting]:
    plain = [cell for cell in lesson.outcomes if (cell.fraction, cell.mixing, cell.temperature) == (1.0, 1.0, 1.0)]
    return [Setting(cell.num_draws, (cell,)) for cell in sorted(plain, key=lambda cell: cell.num_draws)]


def _marginal(evidence: Evidence, lesson: Lesson, dial: int, best: Any, recommended: Any) -> dict[str, Any]:
    """The verdict on mixing (0) or temperature (1), each setting at what suits it of the other.

    What is recommended is part of the recommended pair, so that the two go together.
    """
    groups: dict[float, list[Cell]] = {}
    for setting in _pairs(lesson):
        groups.setdefault((setting.cells[0].mixing, setting.cells[0].temperature)[dial], []).append(setting.cells[0])
    figures = decide(evidence, [Setting(value, tuple(cells)) for value, cells in groups.items()]).figures
    return figures | {"recommended": recommended[dial], "within_noise": recommended[dial] != best[dial]}


def _against(
    lesson: Lesson,
    baseline: Lesson | None,
    evidence: Evidence,
    outcomes: Mapping[Cell, Outcome],
    confidence: float,
) -> dict[str, Any]:
    """A teacher at mixing and temperature 1, beside the deterministic one."""
    cell = lesson.base
    own = lesson.candidate
    found: dict[str, Any] = {
        "teacher": own.name,
        "kind": own.kind,
        "bayesian": own.kind in BAYESIAN,
        "cross_fitted": own.cross_fitted,
        "num_draws": cell.num_draws,
        "validation_nll": evidence.interval(cell),
        "teacher_error": _json(lesson.error.get(cell.num_draws)),
        **{f"teacher_{split}_{metric}": _json(value) for (split, metric), value in lesson.quality.items()},
        **_figures(cell, outcomes, confidence)["test"],
        "difference_to_baseline": None,
        "test_differences_to_baseline": None,
    }
    if baseline is not None and lesson is not baseline:
        found["difference_to_baseline"] = evidence.difference(cell, baseline.base)
        found["test_differences_to_baseline"] = _test_differences(cell, baseline.base, outcomes, confidence)
    return found


def _figures(cell: Cell, outcomes: Mapping[Cell, Outcome], confidence: float) -> dict[str, Any]:
    """A cell, and its students' metrics with intervals over students."""
    metrics = outcomes[cell].metrics
    return {
        "cell": cell._asdict(),
        **{
            split: {metric: _json(student_mean(metrics[split, metric], confidence)) for metric in _METRICS}
            for split in ("validation", "test")
        },
    }


def _differences(
    named: Mapping[str, Cell], evidence: Evidence, outcomes: Mapping[Cell, Outcome], confidence: float
) -> dict[str, Any]:
    """What was chosen, and the best Bayesian teacher, against the baseline and against the control."""
    chosen = [one for one in ("recommended", "best", "bayesian") if one in named]
    pairs = [(one, other) for one in chosen for other in ("baseline", "control") if other in named]
    return {
        f"{one}_to_{other}": {
            "validation_nll": evidence.difference(named[one], named[other]),
            "test": _test_differences(named[one], named[other], outcomes, confidence),
        }
        for one, other in pairs
    }


def _test_differences(
    first: Cell, second: Cell, outcomes: Mapping[Cell, Outcome], confidence: float
) -> dict[str, dict[str, float] | None]:
    """First minus second on the test split, paired by student, with intervals over students."""
    ours, theirs = outcomes[first].metrics, outcomes[second].metrics

    def gap(metric: str) -> Floats:
        return np.asarray(ours["test", metric] - theirs["test", metric])

    return {metric: _json(student_mean(gap(metric), confidence)) for metric in _METRICS}


def _json(interval: tuple[float, float, float] | None) -> dict[str, float] | None:
    if interval is None:
        return None
    return dict(zip(("estimate", "lower", "upper"), map(float, interval), strict=True))


def _finite(value: Any) -> Any:
    """The value with None for numbers that JSON cannot hold."""
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
