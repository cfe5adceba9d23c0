"""Losses that switch on the way: the labels alone in one part of training, the arm's own loss in the other.

A schedule is a text, as it stands in parameters and tables: ``constant``; ``to_teacher@0.5``, the labels alone before
half of the optimiser steps and the teacher after; ``to_labels@0.5``, the way back (Nagarajan et al., arXiv 2301.12923).
"""

from __future__ import annotations

import math
from typing import NamedTuple

CONSTANT = "constant"
TO_TEACHER, TO_LABELS = "to_teacher", "to_labels"


class Switch(NamedTuple):
    """A loss that switches once.

    Attributes:
        direction: "to_teacher" or "to_labels".
        share: of the optimiser steps before the switch, inside (0, 1).
    """

    direction: str
    share: float

    def __str__(self) -> str:
        return f"{self.direction}@{self.share!r}"

    def mixings(self, mixing: float) -> tuple[float, float]:
        """Return the weight of the teacher's target before and after the switch, for the arm's own weight."""
        return (0.0, mixing) if self.direction == TO_TEACHER else (mixing, 0.0)


def parse_switch(schedule: str) -> Switch | None:
    """Return the switch that a schedule is, or None if it is constant.

    Raises:
        ValueError: if the text is no schedule.
    """
    if schedule == CONSTANT:
        return None
    direction, _, text = schedule.partition("@")
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if direction not in (TO_TEACHER, TO_LABELS) or not 0.0 < share < 1.0:
        raise ValueError(
            f"'{schedule}' is no schedule; write {CONSTANT}, {TO_TEACHER}@0.5 (labels alone first) or {TO_LABELS}@0.5 "
            "(the way back), where 0.5 is the share of the optimiser steps before the switch, above 0 and below 1"
        )
    return Switch(direction, share)


def canonical(schedule: str) -> str:
    """Return the one spelling of a schedule: ``to_teacher@.50`` is ``to_teacher@0.5``.

    Raises:
        ValueError: if the text is no schedule.
    """
    switch = parse_switch(schedule)
    return CONSTANT if switch is None else str(switch)


def nearest_step(share: float, steps: int) -> int:
    """Return the optimiser step, counted from 0, from which the second loss holds: the nearest to the share."""
    return math.floor(share * steps + 0.5)
