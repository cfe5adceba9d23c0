"""One dial of the recommendation: which of its settings has the lowest validation loss, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.comparison.data import Floats
from kd_uncertainty.comparison.plan import Cell
from kd_uncertainty.uncertainty.metrics import mean_interval

Value = str | int | float | tuple[float, float]


class Setting(NamedTuple):
    """A setting of a dial, and the cells that have it; it is judged by the best of these."""

    value: Value
    cells: tuple[Cell, ...]


class Evidence:
    """Validation losses of cells, on common seeds and examples, and their means in bootstrap resamples of both.

    Args:
        losses: by cell, (students, examples) each, in nats.
        confidence: of the intervals.
        num_bootstrap: resamples.
        seed: of the resampling.
    """

    def __init__(self, losses: Mapping[Cell, Floats], confidence: float, num_bootstrap: int, seed: int) -> None:
        self.losses, self.confidence = losses, confidence
        self._column = {cell: column for column, cell in enumerate(losses)}
        students, examples = next(iter(losses.values())).shape
        generator = np.random.default_rng([seed, students, examples])
        of_students = _weights(generator, students, num_bootstrap)
        of_examples = _weights(generator, examples, num_bootstrap)
        stacked = np.stack(list(losses.values()))
        by_student = (stacked.reshape(-1, examples) @ of_examples.T).reshape(len(losses), students, -1)
        self._resampled: Floats = np.einsum("csb,bs->bc", by_student, of_students)
        self._means: Floats = stacked.mean(axis=(1, 2))

    def best(self, cells: Sequence[Cell]) -> Cell:
        """Return the cell with the lowest mean loss; the first of equals."""
        return min(cells, key=lambda cell: self._means[self._column[cell]])

    def mean(self, cell: Cell) -> float:
        """Return the mean loss of a cell, in nats."""
        return float(self._means[self._column[cell]])

    def interval(self, cell: Cell) -> dict[str, float]:
        """Return the mean loss with its interval over students and examples."""
        return _json(mean_interval(self.losses[cell], self.confidence))

    def difference(self, first: Cell, second: Cell) -> dict[str, float]:
        """Return the mean of first minus second, paired by student and example, with its interval over both."""
        return _json(mean_interval(self.losses[first] - self.losses[second], self.confidence))

    def no_worse(self, first: Cell, second: Cell) -> float:
        """Return the share of resamples in which the first cell's loss is at most the second's."""
        gaps = self._resampled[:, self._column[first]] - self._resampled[:, self._column[second]]
        return float(np.mean(gaps <= 0.0))

    def shares(self, settings: Sequence[Setting]) -> Floats:
        """Return how often each setting has the lowest loss in a resample, (settings,)."""
        columns = [[self._column[cell] for cell in setting.cells] for setting in settings]
        lowest = np.stack([self._resampled[:, own].min(axis=1) for own in columns], axis=1)
        return np.bincount(lowest.argmin(axis=1), minlength=len(settings)) / len(lowest)


class Verdict(NamedTuple):
    """What a dial should be set to.

    Attributes:
        best: the setting with the lowest validation loss.
        recommended: the cheapest setting that the measurement does not tell apart from it.
        figures: of every setting, as JSON values.
    """

    best: Setting
    recommended: Setting
    figures: dict[str, Any]


def decide(evidence: Evidence, settings: Sequence[Setting]) -> Verdict:
    """Return the verdict on a dial whose settings are ordered from cheap to dear.

    Best is what has the lowest mean validation loss. Recommended is the cheapest setting that cannot be told from it:
    the interval of the paired difference reaches 0, and more than ``1 - confidence`` of the resamples have it no worse.
    The interval alone would favour settings whose few students differ much, of which it can tell little.
    """
    tried = [evidence.best(setting.cells) for setting in settings]
    order = sorted(range(len(settings)), key=lambda one: evidence.mean(tried[one]))
    first = order[0]
    gaps = [evidence.difference(cell, tried[first]) for cell in tried]
    tied = [
        one == first or (gap["lower"] <= 0.0 and evidence.no_worse(cell, tried[first]) > 1.0 - evidence.confidence)
        for one, (cell, gap) in enumerate(zip(tried, gaps, strict=True))
    ]
    chosen = tied.index(True)
    shares = evidence.shares(settings)
    listed = [
        {
            "value": setting.value,
            "validation_nll": evidence.interval(cell),
            "difference_to_best": gap,
            "share_of_resamples": float(share),
            "tied": bool(same),
        }
        for setting, cell, gap, share, same in zip(settings, tried, gaps, shares, tied, strict=True)
    ]
    runner_up = None
    if len(order) > 1:
        second = order[1]
        runner_up = {
            "value": settings[second].value,
            "difference": evidence.difference(tried[first], tried[second]),
        }
    figures = {
        "best": settings[first].value,
        "recommended": settings[chosen].value,
        "within_noise": chosen != first,
        "share_of_resamples": float(shares[first]),
        "runner_up": runner_up,
        "settings": listed,
    }
    return Verdict(settings[first], settings[chosen], figures)


def _weights(generator: np.random.Generator, count: int, num_bootstrap: int) -> Floats:
    """Shares (num_bootstrap, count) of items that are drawn with replacement."""
    drawn: NDArray[np.int64] = generator.multinomial(count, np.full(count, 1.0 / count), num_bootstrap)
    return np.asarray(drawn / count, dtype=np.float64)


def _json(interval: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip(("estimate", "lower", "upper"), map(float, interval), strict=True))
