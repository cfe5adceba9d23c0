r"""From figures of students to estimates with intervals: independent students, or students that cross their seeds."""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import numpy as np
from scipy.special import stdtrit

from kd_uncertainty.deviations.statistics import Floats
from kd_uncertainty.uncertainty.budget import Interval
from kd_uncertainty.uncertainty.components import CrossedDesign
from kd_uncertainty.uncertainty.metrics import mean_interval
from kd_uncertainty.uncertainty.students import mean_difference, student_mean

UNKNOWN = Interval(math.nan, math.nan, math.nan)


class Summary(Protocol):
    """How figures of students become one row of a table."""

    def student(self, values: Floats) -> Interval:
        """Return the mean over the students, with its interval."""

    def control(self, values: Floats) -> Interval:
        """Return the mean over the control students, with its interval."""

    def difference(self, student: Floats, control: Floats) -> tuple[Interval, float]:
        """Return students minus control with its interval, and the same in standard errors."""


class Independent(NamedTuple):
    """Students of seeds of their own, with intervals by Student's t.

    Attributes:
        confidence: of the intervals.
        paired: whether student s and control s share their seeds (and teacher), so that differences are of pairs.
            Otherwise the two are independent samples (Welch 1947).
    """

    confidence: float = 0.95
    paired: bool = False

    def student(self, values: Floats) -> Interval:
        """Return the mean over the students, with its interval."""
        return student_mean(values, self.confidence)

    def control(self, values: Floats) -> Interval:
        """Return the mean over the control students, with its interval."""
        return student_mean(values, self.confidence)

    def difference(self, student: Floats, control: Floats) -> tuple[Interval, float]:
        """Return students minus control with its interval, and the same in standard errors."""
        found = mean_difference(student, control, self.confidence, self.paired)
        parts = (student - control,) if self.paired else (student, control)
        return found, in_errors(found.estimate, sum(_squared_error(part) for part in parts))


class Crossed(NamedTuple):
    """Students that are every combination of response, initialisation and order seeds.

    An interval takes levels of seeds, and not students, for the sample (``uncertainty.metrics.mean_interval``). Where
    both share their initialisation and order seeds, which common random numbers make so, differences are of students
    with equal seeds. Otherwise variances add, with the fewer of the degrees of freedom that either has.

    Attributes:
        designs: of the students.
        control_design: of the control, whose targets have no randomness of response.
        confidence: of the intervals.
    """

    design: CrossedDesign
    control_design: CrossedDesign
    confidence: float = 0.95

    def student(self, values: Floats) -> Interval:
        """Return the mean over the students, with its interval."""
        return Interval(*mean_interval(_array(values, self.design), self.confidence))

    def control(self, values: Floats) -> Interval:
        """Return the mean over the control students, with its interval."""
        return Interval(*mean_interval(_array(values, self.control_design), self.confidence))

    def difference(self, student: Floats, control: Floats) -> tuple[Interval, float]:
        """Return students minus control with its interval, and the same in standard errors."""
        ours, theirs = _array(student, self.design), _array(control, self.control_design)
        if self._share_seeds:
            values = ours - theirs
            found = Interval(*mean_interval(values, self.confidence))
            return found, in_errors(found.estimate, _crossed_error(values)[0])
        estimate = float(ours.mean() - theirs.mean())
        errors, degrees = zip(*(_crossed_error(values) for values in (ours, theirs)), strict=True)
        half = float(stdtrit(min(degrees), 0.5 + self.confidence / 2.0)) * math.sqrt(sum(errors))
        return Interval(estimate, estimate - half, estimate + half), in_errors(estimate, sum(errors))

    @property
    def _share_seeds(self) -> bool:
        ours, theirs = self.design.levels, self.control_design.levels
        same = all(np.array_equal(ours[factor], theirs[factor]) for factor in (1, 2))
        return same and (len(theirs[0]) == 1 or np.array_equal(ours[0], theirs[0]))


def in_errors(estimate: float, squared_error: float) -> float:
    """Return an estimate in standard errors; NaN where there is no error to measure it by."""
    return estimate / math.sqrt(squared_error) if squared_error > 0.0 else math.nan


def _squared_error(values: Floats) -> float:
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else math.nan


def _array(values: Floats, design: CrossedDesign) -> Floats:
    return np.asarray(values[design.rows].reshape(design.shape))


def _crossed_error(values: Floats) -> tuple[float, int]:
    """Return the squared standard error of ``mean_interval``, and the least degrees of freedom of its terms."""
    terms, degrees = [], []
    for factor, levels in enumerate(values.shape):
        if levels > 1:
            means = values.mean(axis=tuple(axis for axis in range(values.ndim) if axis != factor))
            terms.append(float(means.var(ddof=1)) / levels)
            degrees.append(levels - 1)
    return (sum(terms), min(degrees)) if terms else (math.nan, 1)
