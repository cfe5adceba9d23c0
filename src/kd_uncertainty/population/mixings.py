"""The weights of teachers and labels in the losses of a cohort, and when they switch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kd_uncertainty.errors import UserError
from kd_uncertainty.loss_schedules import CONSTANT, nearest_step, parse_switch


class Mixings(NamedTuple):
    """The parts of a :class:`~kd_uncertainty.population.contract.Cohort` that weigh its losses.

    Attributes:
        mixing: (students,) float32.
        switch_step: (students,) int64, or None where no student switches.
        mixing_after: (students,) float32, or None likewise.
    """

    mixing: Tensor
    switch_step: Tensor | None = None
    mixing_after: Tensor | None = None


def mixings_of(rows: Sequence[Any], steps: int) -> Mixings:
    """Return the mixings of students; one that does not switch has its second mixing, its first, from the start.

    Args:
        rows: of the plan, with their columns as attributes; without ``schedule`` it is constant.
        steps: optimiser steps of a training.
    """
    switches = [parse_switch(getattr(row, "schedule", CONSTANT)) for row in rows]
    own = [float(row.mixing) for row in rows]
    if all(switch is None for switch in switches):
        return Mixings(torch.tensor(own, dtype=torch.float32))
    pairs = [
        (mixing, mixing) if switch is None else switch.mixings(mixing)
        for switch, mixing in zip(switches, own, strict=True)
    ]
    before, after = torch.tensor(pairs, dtype=torch.float32).T.contiguous()
    at = [0 if switch is None else nearest_step(switch.share, steps) for switch in switches]
    return Mixings(before, torch.tensor(at, dtype=torch.int64), after)


def check_switches(schedules: Iterable[str], steps: int) -> None:
    """Check that every switch falls inside training.

    Args:
        schedules: of the plan.
        steps: optimiser steps of a training.

    Raises:
        UserError: if one does not, so that its students would be those of another arm.
    """
    for schedule in dict.fromkeys(schedules):
        switch = parse_switch(schedule)
        if switch is not None and not 0 < nearest_step(switch.share, steps) < steps:
            raise UserError(
                f"students.arms: schedule {schedule} never switches in {steps} optimiser steps; choose a share further "
                "from 0 and 1, or train longer"
            )
