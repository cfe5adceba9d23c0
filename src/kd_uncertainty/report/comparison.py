"""Estimates with intervals, and what may be said about the difference of two of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Verdict = Literal["higher", "lower", "no measurable difference"]


class Estimate(NamedTuple):
    """A figure and its interval; NaN where it could not be measured, infinite where it is unbounded."""

    estimate: float
    lower: float
    upper: float

    @property
    def known(self) -> bool:
        """Whether the figure itself is there, with or without an interval."""
        return not math.isnan(self.estimate)

    @property
    def measured(self) -> bool:
        """Whether all three numbers are there (infinite counts as there)."""
        return not any(math.isnan(value) for value in self)

    def as_json(self) -> dict[str, float | None]:
        """The figure as a JSON object, with null for what is not finite."""
        return {name: finite(value) for name, value in self._asdict().items()}


def finite(value: float) -> float | None:
    """``value`` as a plain float, or None where JSON could not hold it."""
    return float(value) if math.isfinite(value) else None


def as_estimate(figure: Mapping[str, float | None]) -> Estimate:
    """The figure that `Estimate.as_json` wrote; null becomes NaN."""
    return Estimate(*(_number(figure.get(name)) for name in Estimate._fields))


def estimate_of(row: Mapping[Any, Any], name: str | None = None) -> Estimate:
    """Read an estimate from a table's row.

    Args:
        row: A row with columns ``estimate, lower, upper``, or ``{name}, {name}_lower, {name}_upper``.
        name: The column that holds the figure; None for ``estimate``.
    """
    columns = ("estimate", "lower", "upper") if name is None else (name, f"{name}_lower", f"{name}_upper")
    return Estimate(*(_number(row.get(column)) for column in columns))


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):  # None and pandas' NA
        return math.nan


def difference(first: Estimate, second: Estimate) -> Estimate:
    """``first - second`` with an interval recovered from the two intervals (MOVER).

    lower = d - sqrt((first - first_lower)^2 + (second_upper - second)^2), upper likewise with the other sides. Exact
    for independent normal estimates; arms share their examples, so their errors correlate positively and the interval
    errs wide. Source: Donner & Zou 2012, "Closed-form confidence intervals for functions of the normal mean and
    standard deviation", section 2.
    """
    centre = first.estimate - second.estimate
    below = math.hypot(first.estimate - first.lower, second.upper - second.estimate)
    above = math.hypot(first.upper - first.estimate, second.estimate - second.lower)
    return Estimate(centre, centre - below, centre + above)


def verdict(change: Estimate) -> Verdict:
    """What an interval of a difference allows one to say: its sign, or nothing where it covers zero."""
    if change.lower > 0.0:
        return "higher"
    if change.upper < 0.0:
        return "lower"
    return "no measurable difference"


def json_safe(value: Any) -> Any:
    """Plain Python values, with None for every number that is not finite."""
    if isinstance(value, Mapping):
        return {str(key): json_safe(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(inner) for inner in value]
    if isinstance(value, float):
        return finite(value)
    return value
