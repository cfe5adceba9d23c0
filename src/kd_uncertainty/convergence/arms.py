r"""Arms of the network experiment: what students of one arm are trained on.

An arm's target is ``(1 - lambda) y + lambda Phi(x)``: the data's one-hot label y mixed with supervision Phi. With the
Bayes class probabilities P of an example (Morad, Shlezinger & Eldar, arXiv 2601.01484),

- exact: ``Phi = P``;
- dirichlet: ``Phi ~ Dirichlet(a P)``, of mean P and variance ``P (1 - P) / (1 + a)``;
- additive: ``Phi = P + e`` with normal e of mean 0 and variance nu in each component;
- teacher: the posterior mean of a teacher's probabilities;
- one_hot: the label itself, which every other arm is compared with.

Noise is drawn once for each example and seed and stays, as a label does. Additive noise is projected so that it sums to
0 over the classes, because the engine's gradient by the logits, ``softmax - target``, is that of the cross-entropy only
for targets that sum to 1; it is scaled up by K / (K - 1) so that each component keeps the variance nu. Its components
may be negative. At the truth the noise of that gradient is K nu, where noise that is not projected, as in the linear
world (:mod:`kd_uncertainty.convergence.supervision`), has ``nu (K - 2 + K ||P||^2)``.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, model_validator
from torch import Tensor

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.schemas import NO_TEACHER
from kd_uncertainty.typed import Distinct, Options

logger = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Supervision = Literal["exact", "dirichlet", "additive", "teacher"]
ONE_HOT = "one_hot"
_NOISY = ("dirichlet", "additive")
_KNOWING = ("exact", *_NOISY)
Weight = Annotated[float, Field(gt=0.0, le=1.0)]


class ArmBlock(Options):
    """A block of arms: the product of its levels or teachers with its mixings."""

    target: Supervision
    levels: Distinct[PositiveFloat] | None = Field(
        None, description="dirichlet: concentrations a; additive: variances nu of a component"
    )
    teachers: Distinct[str] | None = Field(None, description="names; null means every teacher in the soft labels")
    mixing: Distinct[Weight] = Field((1.0,), description="lambda, the weight beside the data's labels")

    @model_validator(mode="after")
    def _fits_its_target(self) -> Self:
        if self.target in _NOISY and self.levels is None:
            what = "concentrations a" if self.target == "dirichlet" else "variances nu"
            raise ValueError(f"target: {self.target} needs levels, its {what}")
        if self.target not in _NOISY and self.levels is not None:
            raise ValueError(f"target: {self.target} has no noise of its own, leave levels out")
        if self.target != "teacher" and self.teachers is not None:
            raise ValueError(f"target: {self.target} uses no teacher, leave teachers out")
        return self


class Arm(NamedTuple):
    """What sets the students of an arm apart; the columns of the tables.

    Attributes:
        arm: "one_hot", "exact", "dirichlet", "additive" or "teacher".
        teacher: its name, or "none".
        level: a or nu; None where there is none.
        mixing: lambda; 1 for one_hot, which has nothing to mix.
    """

    arm: str
    teacher: str = NO_TEACHER
    level: float | None = None
    mixing: float = 1.0

    @property
    def weight(self) -> float:
        """Weight of the supervision beside the data's labels: the ``mixing`` of a cohort."""
        return 0.0 if self.arm == ONE_HOT else self.mixing

    @property
    def keys(self) -> dict[str, str | float]:
        """The arm's columns in a table."""
        return {
            "arm": self.arm,
            "teacher": self.teacher,
            "level": math.nan if self.level is None else self.level,
            "mixing": self.mixing,
        }


def make_arms(blocks: Iterable[ArmBlock], teachers: Sequence[str], bayes_known: bool) -> list[Arm]:
    """Return the arms of the blocks, each once, one_hot first.

    Without Bayes probabilities, arms that need them are left out, with one warning in the log.

    Args:
        blocks: as configured.
        teachers: names of those with soft labels.
        bayes_known: whether the task's Bayes probabilities are.

    Raises:
        UserError: if a named teacher has no soft labels, or nothing is left to compare with one_hot.
    """
    found: list[Arm] = []
    left_out: list[str] = []
    for block in blocks:
        if block.target in _KNOWING and not bayes_known:
            left_out.append(block.target)
            continue
        found += _arms_of(block, teachers)
    if left_out:
        logger.warning(
            "stability: the task's Bayes probabilities are unknown, so arms %s are left out; choose a source that has "
            "them, such as kd_uncertainty.datasets.GaussianMixture, or give columns of them",
            ", ".join(dict.fromkeys(left_out)),
        )
    if not found:
        raise UserError(
            "stability: arms: nothing is left to compare with one-hot labels; give a source whose Bayes probabilities "
            "are known, or a teacher"
        )
    return list(dict.fromkeys([Arm(ONE_HOT), *found]))


def _arms_of(block: ArmBlock, known: Sequence[str]) -> list[Arm]:
    teachers: Sequence[str] = (NO_TEACHER,)
    if block.target == "teacher":
        teachers = known if block.teachers is None else block.teachers
        if missing := [name for name in teachers if name not in known]:
            raise UserError(
                f"stability: arms: there are no soft labels of teacher '{missing[0]}'; known: "
                f"{', '.join(known) or 'none'}"
            )
    return [
        Arm(block.target, teacher, level, mixing)
        for teacher in teachers
        for level in block.levels or (None,)
        for mixing in block.mixing
    ]


def dirichlet_targets(bayes: Floats, concentration: float, seed: int) -> Floats:
    """Draw one ``Dirichlet(a P)`` for each example, (examples, classes).

    Normalised gamma variates, as logarithms: ``Gamma(s) = Gamma(s + 1) U^(1/s)``, which underflows for no s
    (Devroye 1986, section IX.3.5). Classes of probability 0 stay at 0.

    Args:
        bayes: P, (examples, classes).
        concentration: a > 0.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    shapes = concentration * np.asarray(bayes, dtype=np.float64)
    logs = np.log(generator.standard_gamma(shapes + 1.0))
    uniform = 1.0 - generator.random(shapes.shape)  # in (0, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(shapes > 0.0, logs + np.log(uniform) / shapes, -np.inf)
    draws: Floats = np.exp(logs - logs.max(axis=1, keepdims=True))
    draws /= draws.sum(axis=1, keepdims=True)
    return draws


def additive_targets(bayes: Floats, variance: float, seed: int) -> Floats:
    """Draw ``P + e``, (examples, classes): e is normal, sums to 0, and has this variance in each component.

    Equal seeds give the same noise up to its size, whatever the variance.
    """
    noise = np.random.default_rng(seed).standard_normal(bayes.shape)
    noise -= noise.mean(axis=1, keepdims=True)
    classes = bayes.shape[1]
    return np.asarray(bayes + math.sqrt(variance * classes / (classes - 1)) * noise)


class TargetTables(NamedTuple):
    """Targets of a population in as few tables as there are different ones.

    Attributes:
        tables: (tables, examples, classes) float32.
        table_of: (arms, seeds) int64, the table of each student.
    """

    tables: Tensor
    table_of: Tensor

    def target(self, arm: Arm, student: tuple[int, int], one_hot: Tensor) -> Tensor:
        """Return what student (position of the arm, seed) is trained on, its labels mixed in; (examples, classes)."""
        if arm.weight == 0.0:
            return one_hot
        return torch.lerp(one_hot, self.tables[self.table_of[student]].to(one_hot.dtype), arm.weight)


def target_tables(
    arms: Sequence[Arm], bayes: Floats | None, teachers: dict[str, Floats], num_seeds: int, seed: int
) -> TargetTables:
    """Return every student's targets on the training examples.

    A table depends on its supervision and the student's number alone, never on the other arms; arms that differ in
    mixing share it. One-hot students point to the first table, of which they use nothing.

    Args:
        arms: of the population.
        bayes: P at the training examples, (examples, classes), or None if no arm needs it.
        teachers: posterior means, (examples, classes) each, by name.
        num_seeds: students of an arm.
        seed: of the section.
    """
    positions: dict[tuple[str, str, float | None, int], int] = {}
    tables: list[Tensor] = []
    index = torch.zeros((len(arms), num_seeds), dtype=torch.int64)
    for row, arm in enumerate(arms):
        if arm.arm == ONE_HOT:
            continue
        for number in range(num_seeds):
            key = (arm.arm, arm.teacher, arm.level, number if arm.arm in _NOISY else 0)
            if key not in positions:
                positions[key] = len(tables)
                tables.append(torch.from_numpy(_table(arm, bayes, teachers, number, seed)).float())
            index[row, number] = positions[key]
    return TargetTables(torch.stack(tables), index)


def _table(arm: Arm, bayes: Floats | None, teachers: dict[str, Floats], number: int, seed: int) -> Floats:
    if arm.arm == "teacher":
        return teachers[arm.teacher]
    if bayes is None:
        raise ValueError(f"arm {arm.arm} needs Bayes probabilities")
    if arm.level is None:
        return bayes
    if arm.arm == "dirichlet":
        return dirichlet_targets(bayes, arm.level, derive_seed(seed, "dirichlet", repr(arm.level), number))
    return additive_targets(bayes, arm.level, derive_seed(seed, "additive", number))
