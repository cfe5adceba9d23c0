"""What each student is trained on: responses drawn from the teachers' cached posterior by the student's seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.seeds import derive_seed, random_bits, uniforms

Floats = NDArray[np.floating[Any]]
_BLOCK = 1 << 18  # logits softened at once: 2 MiB of float64

Row = Any
"""A row of the plan with its columns as attributes, as ``plan.itertuples()`` gives."""


class DrawBlocks(NamedTuple):
    """How the cached draws are dealt out to response seeds: block ``levels[seed]`` of ``width`` draws each.

    Attributes:
        levels: number of each response seed that draws from the posterior.
        width: draws in a block: the largest ``num_responses`` of any such student.
    """

    levels: Mapping[int, int]
    width: int

    @property
    def num_draws(self) -> int:
        """Draws that must be cached."""
        return len(self.levels) * self.width


def deal_draws(plan: pd.DataFrame) -> DrawBlocks:
    """Return the blocks of draws for a plan: disjoint for different response seeds, nested in ``num_responses``."""
    rows = plan[plan["target"] == "posterior"]
    levels = {int(seed): level for level, seed in enumerate(dict.fromkeys(rows["response_seed"]))}
    return DrawBlocks(levels, int(rows["num_responses"].max()) if len(rows) else 0)


def exact_probabilities(
    logits: Floats, temperature: float = 1.0, draws: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Return the posterior mean ``mean_m softmax(logits_m / temperature)``.

    From logits (examples, draws, classes) to probabilities (examples, classes); over some draws only, if given. A few
    examples at a time, so that logits may be larger than the memory left.
    """
    examples, num_draws, classes = logits.shape
    block = max(_BLOCK // ((num_draws if draws is None else len(draws)) * classes), 1)
    means = np.empty((examples, classes))
    for start in range(0, examples, block):
        some = logits[start : start + block]
        some = some if draws is None else some[:, draws]
        means[start : start + block] = softmax(some.astype(np.float64) / temperature, axis=-1).mean(axis=1)
    return means


def sample_labels(probabilities: Floats, response_seed: int, num_responses: int) -> NDArray[np.int64]:
    """Sample labels from class probabilities (examples, classes) by inversion; shape (examples, num_responses).

    The number behind response j of the example at position i is the i-th of the Philox stream ``(response_seed, j)``:
    fewer responses are a prefix of more, and different response seeds are independent.
    """
    cumulative = np.cumsum(probabilities, axis=-1, dtype=np.float64)
    cumulative /= cumulative[:, -1:]  # so that rounding leaves no gap below 1
    numbers = (uniforms(response_seed, response, len(probabilities)) for response in range(num_responses))
    return np.stack([(number[:, None] >= cumulative).sum(axis=-1) for number in numbers], axis=1).astype(np.int64)


def label_target(probabilities: Floats, response_seed: int, num_responses: int) -> NDArray[np.float64]:
    """Return the frequencies of ``num_responses`` sampled labels, (examples, classes).

    Unbiased for ``probabilities`` with variance ``p (1 - p) / num_responses`` over response seeds.
    """
    examples, classes = probabilities.shape
    labels = sample_labels(probabilities, response_seed, num_responses)
    cells = labels + classes * np.arange(examples)[:, None]
    counts = np.bincount(cells.ravel(), minlength=examples * classes).reshape(examples, classes)
    return np.asarray(counts / num_responses)


def posterior_draws(num_draws: int, blocks: DrawBlocks, response_seed: int, num_responses: int) -> NDArray[np.int64]:
    """Return which of ``num_draws`` cached draws a response seed uses, (num_responses,).

    The draws are shuffled once, by a permutation that depends on their number only (so that draws cached member by
    member are spread), and block r of the shuffled draws belongs to response level r alone.
    """
    shuffled = np.argsort(random_bits(derive_seed(0, "deal draws"), 0, num_draws))
    start = blocks.levels[response_seed] * blocks.width
    return shuffled[start : start + num_responses].astype(np.int64)


def posterior_target(
    logits: Floats, blocks: DrawBlocks, response_seed: int, num_responses: int, temperature: float
) -> NDArray[np.float64]:
    """Return the mean probabilities of the response seed's own draws, softened; (examples, classes)."""
    draws = posterior_draws(logits.shape[1], blocks, response_seed, num_responses)
    return exact_probabilities(logits, temperature, draws)


@dataclass(frozen=True)
class TargetMaker:
    """Makes targets for rows of a plan from soft labels.

    Attributes:
        soft_labels: teacher -> cached posterior logits of the training examples, (examples, draws, classes).
        labels: (examples,) the data's own labels.
        num_classes: classes of a target.
        blocks: how draws are dealt, from :func:`deal_draws` of the *whole* plan.
    """

    soft_labels: Mapping[str, Floats]
    labels: NDArray[np.int64]
    num_classes: int
    blocks: DrawBlocks
    _exact: dict[tuple[str, float], NDArray[np.float64]] = field(default_factory=dict, repr=False, compare=False)

    def target(self, row: Row) -> NDArray[np.float64]:
        """Return the target of one student, (examples, classes) probabilities."""
        if row.target == "one_hot":
            return np.asarray(np.eye(self.num_classes)[self.labels])
        if row.target == "label":
            return label_target(self._mean(row.teacher, 1.0), int(row.response_seed), int(row.num_responses))
        if row.target == "exact":
            return self._mean(row.teacher, float(row.temperature))
        logits = self.soft_labels[row.teacher]
        seed, count = int(row.response_seed), int(row.num_responses)
        return posterior_target(logits, self.blocks, seed, count, float(row.temperature))

    def targets(self, rows: Sequence[Row]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the targets of several students, once each, and who uses which.

        Of n examples and k classes, m different targets take 4 m n k bytes, however many students share them, and at
        most 24 n k more while one is made. In a crossed design only arms and response seeds make targets differ, so
        that a chunk of s students takes 4 s n k bytes at worst and a small part of it as a rule.

        Returns:
            Tables (tables, examples, classes) float32, in the order in which students first use them, and the table of
            each student (students,) int64.
        """
        first: dict[tuple[Any, ...], int] = {}
        keys = [_content(row) for row in rows]
        for position, key in enumerate(keys):
            first.setdefault(key, position)
        tables = np.empty((len(first), len(self.labels), self.num_classes), dtype=np.float32)
        for table, position in zip(tables, first.values(), strict=True):
            table[:] = self.target(rows[position])
        number = {key: table for table, key in enumerate(first)}
        return tables, np.array([number[key] for key in keys], dtype=np.int64)

    def _mean(self, teacher: str, temperature: float) -> NDArray[np.float64]:
        key = (teacher, temperature)
        if key not in self._exact:
            self._exact[key] = exact_probabilities(self.soft_labels[teacher], temperature)
        return self._exact[key]


def _content(row: Row) -> tuple[Any, ...]:
    """Return what decides a student's target: students with the same have the same target."""
    kind = row.target
    teacher = None if kind == "one_hot" else row.teacher
    responses = (row.num_responses, row.response_seed) if kind in ("label", "posterior") else None
    return kind, teacher, responses, row.temperature if kind in ("exact", "posterior") else None


def check_soft_labels(plan: pd.DataFrame, num_draws: Mapping[str, int]) -> None:
    """Check that the cached responses suffice for the plan.

    Args:
        plan: the whole plan.
        num_draws: teacher -> cached posterior draws of each example.

    Raises:
        UserError: if a teacher has no responses, has one draw where a posterior is asked for, or too few draws.
    """
    blocks = deal_draws(plan)
    for teacher, target in dict.fromkeys(zip(plan["teacher"], plan["target"], strict=True)):
        if target == "one_hot":
            continue
        if teacher not in num_draws:
            known = ", ".join(num_draws) or "none at all"
            raise UserError(f"students: the plan needs responses of teacher '{teacher}'; known: {known}")
        if target != "posterior":
            continue
        if num_draws[teacher] == 1:
            raise UserError(
                f"students.arms: teacher '{teacher}' has a single cached draw and so no posterior randomness; "
                "use target: exact or label for it"
            )
        if num_draws[teacher] < blocks.num_draws:
            raise UserError(
                f"students.arms: posterior targets need {blocks.num_draws} draws of teacher '{teacher}' "
                f"({len(blocks.levels)} response seeds x {blocks.width} responses, never shared), but "
                f"{num_draws[teacher]} are cached; set responses.num_draws (and an ensemble's members) to "
                f"{blocks.num_draws} or more, give as many in soft labels of your own, or ask for fewer response_seeds "
                "or num_responses"
            )
