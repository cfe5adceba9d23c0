"""Variance components of arms, whatever their students predict: what probabilities and real values have in common."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import pandas as pd
from numpy.typing import NDArray

from kd_uncertainty.errors import UserError
from kd_uncertainty.schemas import ARM_KEYS
from kd_uncertainty.uncertainty.components import CrossedDesign, crossed_design
from kd_uncertainty.uncertainty.decomposition import FloatArray
from kd_uncertainty.uncertainty.jackknife import Sampled
from kd_uncertainty.uncertainty.resampling import interval

Content = TypeVar("Content")
MAX_BLOCKS = 256
"""Examples are resampled in at most this many blocks of neighbours, which bounds memory for large splits."""
MAX_GRAM_ELEMENTS = 1 << 24
"""Of all blocks' Gram matrices together, 128 MiB; many students are resampled in fewer blocks of examples."""


class VarianceComponents(NamedTuple):
    """Components with what later functions of several arms need.

    Attributes:
        table: arm, the arm keys, split, component, estimate, lower, upper.
        replicates: (arm, split, component) -> (num_bootstrap,) joint replicates of "inter_unbiased" and "response".
        num_response_seeds: arm -> levels of the response factor.
        arm_keys: columns that say what the students of an arm have in common.
    """

    table: pd.DataFrame
    replicates: dict[tuple[Hashable, str, str], FloatArray]
    num_response_seeds: dict[Hashable, int]
    arm_keys: tuple[str, ...] = ARM_KEYS

    @property
    def curve_keys(self) -> tuple[str, ...]:
        """Arms that agree on these differ in their number of responses only."""
        return tuple(key for key in self.arm_keys if key != "num_responses")


class SampledArm(NamedTuple):
    """Statistics of one arm.

    Attributes:
        keys: "arm" and each of the arm keys.
        num_response_seeds: levels of the response factor.
        samples: the statistics by split.
    """

    keys: Mapping[str, Any]
    num_response_seeds: int
    samples: Mapping[str, Sampled]


def collect_components(
    sampled: Iterable[SampledArm], statistics: Sequence[str], arm_keys: tuple[str, ...], confidence: float
) -> VarianceComponents:
    """Put the sampled statistics of all arms into a table, with their intervals.

    Args:
        sampled: arms, each with the same statistics.
        statistics: their names; "inter_unbiased" and "response" are among them.
        arm_keys: those of the arms.
        confidence: of the intervals.
    """
    rows: list[dict[str, Any]] = []
    replicates: dict[tuple[Hashable, str, str], FloatArray] = {}
    num_response_seeds: dict[Hashable, int] = {}
    for keys, num_seeds, samples in sampled:
        number = keys["arm"]
        num_response_seeds[number] = num_seeds
        for split, one in samples.items():
            lower, upper = interval(one.replicates, confidence)
            labels = {**keys, "split": split}
            rows += [
                {**labels, "component": name, "estimate": one.estimates[i], "lower": lower[i], "upper": upper[i]}
                for i, name in enumerate(statistics)
            ]
            for name in ("inter_unbiased", "response"):
                replicates[number, split, name] = one.replicates[:, statistics.index(name)].copy()
    columns = ["arm", *arm_keys, "split", "component", "estimate", "lower", "upper"]
    return VarianceComponents(pd.DataFrame(rows, columns=columns), replicates, num_response_seeds, arm_keys)


def sample_arm(
    keys: Mapping[str, Any],
    seeds: NDArray[Any],
    splits: Mapping[str, Content],
    sample: Callable[[Content, str, CrossedDesign], Sampled],
) -> SampledArm:
    """Sample the statistics of each split; an error names the arm.

    Args:
        keys: "arm" and each of the arm keys.
        seeds: (students, 3) response, initialisation and order seed.
        splits: what the students predict on each split.
        sample: statistics of one split, from its content, its name and the students' crossing.
    """
    try:
        design = crossed_design(seeds)
        samples = {split: sample(content, split, design) for split, content in splits.items()}
    except UserError as error:
        raise UserError(f"arm {keys['arm']}: {error}") from error
    return SampledArm(keys, design.shape[0], samples)


def check_students(values: FloatArray, split: str, design: CrossedDesign) -> None:
    """Raise ``UserError`` unless there is one row of values for each row of seeds."""
    if len(values) != len(design.rows):
        raise UserError(f"{len(values)} students in the {split} predictions but {len(design.rows)} rows of seeds")


def num_gram_blocks(num_students: int) -> int:
    """Blocks of examples whose Gram matrices fit in memory, between 16 and ``MAX_BLOCKS``."""
    return max(16, min(MAX_BLOCKS, MAX_GRAM_ELEMENTS // num_students**2))
