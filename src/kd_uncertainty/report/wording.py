"""How figures and names are written: one place, so that page, terminal and sentences agree."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from kd_uncertainty.report.comparison import Estimate

NOT_MEASURED = "n/a"
MINUS = "\N{MINUS SIGN}"
INFINITY = "\N{INFINITY}"
DIGITS = 4
"""Significant digits of a figure without interval."""
MOST_DIGITS = 5
"""Significant digits of a figure with a narrow interval."""

METRIC_NAMES = {
    "accuracy": "accuracy",
    "nll": "NLL",
    "brier": "Brier score",
    "ece": "ECE",
    "agreement": "agreement with the teacher",
    "kl_to_teacher": "KL to the teacher",
}
TARGET_NAMES = {"label": "sampled labels", "posterior": "posterior draws", "exact": "exact mean", "one_hot": "one-hot"}
SOURCE_NAMES = {
    "response": "response",
    "initialisation": "initialisation",
    "order": "order",
    "residual": "residual (interaction)",
}
SOURCES = tuple(SOURCE_NAMES)
TARGETS = ("label", "posterior", "exact", "one_hot")


def decimals(estimate: Estimate) -> int:
    """Decimals that show two digits of the interval's width, between 3 and 6."""
    width = estimate.upper - estimate.lower
    if not math.isfinite(width) or width <= 0.0:
        return 3 if not math.isfinite(estimate.estimate) or abs(estimate.estimate) >= 0.01 else 5
    return min(max(1 - math.floor(math.log10(width)), 3), 6)


def number(value: float | None, places: int = 3) -> str:
    """A number with fixed decimals, a true minus sign, and words for what is not a number."""
    if value is None or math.isnan(value):
        return NOT_MEASURED
    if math.isinf(value):
        return INFINITY if value > 0 else MINUS + INFINITY
    text = f"{abs(value):.{places}f}"
    return (MINUS if value < 0 and float(text) != 0.0 else "") + text


def percent(value: float | None, places: int = 1) -> str:
    """A share written as a percentage."""
    if value is None or not math.isfinite(value):
        return NOT_MEASURED
    return number(100.0 * value, places) + "%"


def with_interval(estimate: Estimate, *, percentage: bool = False, places: int | None = None) -> str:
    """``0.0123 [0.0110, 0.0140]``, or ``95.4% [94.9, 95.8]``; the interval is left out where it was not measured."""
    if percentage:
        head, low, high = percent(estimate.estimate), *(number(100.0 * bound, 1) for bound in estimate[1:])
    else:
        shown = decimals(estimate) if places is None else places
        head, low, high = (number(value, shown) for value in estimate)
    return f"{head} [{low}, {high}]" if estimate.measured else head


def count_with_interval(estimate: Estimate) -> str:
    """``12 [8, 19]`` for a number of responses; an end without bound is written as an infinity."""
    head, low, high = (number(value, 0) for value in estimate)
    return f"{head} [{low}, {high}]" if estimate.measured else head


def metric_with_interval(metric: str, estimate: Estimate) -> str:
    """A metric with its interval in its usual unit: accuracy and agreement in percent, the others as they are."""
    return with_interval(estimate, percentage=metric in ("accuracy", "agreement"))


def plural(count: int, noun: str) -> str:
    """``1 label``, ``2 labels``; thousands are separated."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def listing(parts: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    items = list(parts)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def target_order(targets: Iterable[str]) -> list[str]:
    """The targets in the order in which every table and figure shows them."""
    found = set(targets)
    return [name for name in TARGETS if name in found] + sorted(found - set(TARGETS))


def teacher_order(teachers: Iterable[str], baseline: str = "deterministic") -> list[str]:
    """The teachers in order of appearance, the deterministic one first, without the control's ``none``."""
    found = [name for name in dict.fromkeys(teachers) if name not in ("", "none")]
    return sorted(found, key=lambda name: name != baseline)


def ordered(names: Iterable[str], known: Sequence[str]) -> list[str]:
    """The names without repetition: known ones in their usual order, then the others in order of appearance."""
    found = list(dict.fromkeys(names))
    return [name for name in known if name in found] + [name for name in found if name not in known]


def places_of(estimate: Estimate) -> int:
    """Decimals that show two digits of the interval's width, or `DIGITS` digits of a figure without interval.

    Never more than `MOST_DIGITS` digits of the figure, however narrow the interval.
    """
    width, size = estimate.upper - estimate.lower, abs(estimate.estimate)
    if math.isfinite(width) and width > 0.0:
        needed = 1 - math.floor(math.log10(width))
        most = 9 if size == 0.0 or not math.isfinite(size) else MOST_DIGITS - 1 - math.floor(math.log10(size))
        return min(max(min(needed, most), 0), 9)
    return 3 if not math.isfinite(size) or size == 0.0 else min(max(DIGITS - 1 - math.floor(math.log10(size)), 0), 9)


def value_text(value: float | None, places: int | None = None) -> str:
    """``2,893``, ``0.0123``, ``3.1e-09``: a figure of any size, with thousands separated."""
    if value is None or not math.isfinite(value):
        return number(value)
    shown = places_of(Estimate(value, math.nan, math.nan)) if places is None else places
    if value != 0.0 and abs(value) < 10.0**-6:
        return f"{value:.1e}".replace("-", MINUS)
    text = f"{abs(value):,.{shown}f}"
    return (MINUS if value < 0.0 and float(text.replace(",", "")) != 0.0 else "") + text


def with_bounds(estimate: Estimate, places: int | None = None) -> str:
    """``2,893 [2,801, 2,990]``: as many digits as the interval's width allows; no interval where none was measured."""
    shown = places_of(estimate) if places is None else places
    head, low, high = (value_text(value, shown) for value in estimate)
    return f"{head} [{low}, {high}]" if estimate.measured else head
