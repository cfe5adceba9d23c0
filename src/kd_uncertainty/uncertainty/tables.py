"""The uncertainty analysis as data frames: what the pipeline calls, and what works on anybody's predictions."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax

from kd_uncertainty.errors import UserError
from kd_uncertainty.schemas import ARM_KEYS, SEED_COLUMNS
from kd_uncertainty.threads import in_order
from kd_uncertainty.uncertainty.budget import ResponseBudget, fit_response_budget
from kd_uncertainty.uncertainty.components import COMPONENTS, CrossedDesign, crossed_design, gram_matrices
from kd_uncertainty.uncertainty.decomposition import FloatArray, as_probabilities
from kd_uncertainty.uncertainty.jackknife import DECOMPOSITIONS, Sampled, sample_components, sample_decompositions
from kd_uncertainty.uncertainty.predictions import read_arms
from kd_uncertainty.uncertainty.resampling import Multipliers, interval

STATISTICS = (*DECOMPOSITIONS, *COMPONENTS)
CURVE_KEYS = ("teacher", "target", "weighting", "mixing", "temperature")
"""Arms that agree on these differ in their number of responses only."""
MAX_BLOCKS = 256
"""Examples are resampled in at most this many blocks of neighbours, which bounds memory for large splits."""
MAX_GRAM_ELEMENTS = 1 << 24
"""Of all blocks' Gram matrices together, 128 MiB; many students are resampled in fewer blocks of examples."""


class ArmPredictions(NamedTuple):
    """What the students of one arm predict.

    Attributes:
        keys: "arm" and each of ``ARM_KEYS``.
        seeds: (students, 3) response, initialisation and order seed, a full crossing.
        probabilities: for each split (students, examples, classes), students in the order of ``seeds``.
    """

    keys: Mapping[str, Any]
    seeds: NDArray[Any]
    probabilities: Mapping[str, NDArray[Any]]


class VarianceComponents(NamedTuple):
    """Components with what later functions of several arms need.

    Attributes:
        table: arm, ``ARM_KEYS``, split, component, estimate, lower, upper.
        replicates: (arm, split, component) -> (num_bootstrap,) joint replicates of "inter_unbiased" and "response".
        num_response_seeds: arm -> levels of the response factor.
    """

    table: pd.DataFrame
    replicates: dict[tuple[Hashable, str, str], FloatArray]
    num_response_seeds: dict[Hashable, int]


def variance_components(
    arms: Iterable[ArmPredictions], *, num_bootstrap: int = 400, confidence: float = 0.95, seed: int = 0
) -> VarianceComponents:
    """Split the uncertainty of every arm and split, with bootstrap intervals over seed levels and examples.

    Total, intra and inter (ddof = 0) describe a population of this size; the ANOVA components are unbiased for a
    student with fresh seeds, and so may be negative.

    Args:
        arms: consumed one by one, so a generator that reads an arm at a time bounds memory.
        num_bootstrap: replicates.
        confidence: of the intervals.
        seed: of the multipliers; equal seeds give equal intervals.

    Raises:
        UserError: an arm's students are not a full crossing, or an array does not hold probabilities.
    """
    multipliers = Multipliers(num_bootstrap, seed)
    rows: list[dict[str, Any]] = []
    replicates: dict[tuple[Hashable, str, str], FloatArray] = {}
    num_response_seeds: dict[Hashable, int] = {}
    for keys, num_seeds, samples in in_order(lambda arm: _sample_arm(arm, multipliers), arms):
        number = keys["arm"]
        num_response_seeds[number] = num_seeds
        for split, sampled in samples.items():
            lower, upper = interval(sampled.replicates, confidence)
            labels = {**keys, "split": split}
            rows += [
                {**labels, "component": name, "estimate": sampled.estimates[i], "lower": lower[i], "upper": upper[i]}
                for i, name in enumerate(STATISTICS)
            ]
            for name in ("inter_unbiased", "response"):
                replicates[number, split, name] = sampled.replicates[:, STATISTICS.index(name)].copy()
    columns = ["arm", *ARM_KEYS, "split", "component", "estimate", "lower", "upper"]
    return VarianceComponents(pd.DataFrame(rows, columns=columns), replicates, num_response_seeds)


def num_gram_blocks(num_students: int) -> int:
    """Blocks of examples whose Gram matrices fit in memory, between 16 and ``MAX_BLOCKS``."""
    return max(16, min(MAX_BLOCKS, MAX_GRAM_ELEMENTS // num_students**2))


def _sample_arm(arm: ArmPredictions, multipliers: Multipliers) -> tuple[Mapping[str, Any], int, dict[str, Sampled]]:
    """An arm's keys, its number of response seeds, and ``STATISTICS`` of each split."""
    try:
        design = crossed_design(arm.seeds)
        samples = {
            split: _sample_split(array, split, design, multipliers) for split, array in arm.probabilities.items()
        }
    except UserError as error:
        raise UserError(f"arm {arm.keys['arm']}: {error}") from error
    return arm.keys, design.shape[0], samples


def _sample_split(array: NDArray[Any], split: str, design: CrossedDesign, multipliers: Multipliers) -> Sampled:
    values = as_probabilities(array)
    if len(values) != len(design.rows):
        raise UserError(f"{len(values)} students in the {split} probabilities but {len(design.rows)} rows of seeds")
    gram, shares = gram_matrices(values, design, num_gram_blocks(len(values)))
    parts = (
        sample_decompositions(values, design, multipliers, split, MAX_BLOCKS),
        sample_components(gram, shares, design, multipliers, split),
    )
    return Sampled(
        np.concatenate([part.estimates for part in parts]),
        np.concatenate([part.replicates for part in parts], axis=1),
    )


def response_budget(
    components: VarianceComponents, *, threshold: float, confidence: float = 0.95, split: str = "validation"
) -> pd.DataFrame:
    """Fit Var(k) = a/k + b for every teacher and target that was measured at two or more k.

    A curve whose students share one response seed has no response variance to fit, so it has no row either.

    Args:
        components: of ``variance_components``.
        threshold: share of the response in inter-student variance below which responses are enough.
        confidence: of the intervals.
        split: whose components are fitted.

    Returns:
        One row a curve; ``recommended_num_responses`` and its bounds are nullable integers, NA where no number is
        enough because the fitted floor is 0, and ``extrapolated`` says that it is NA or above the largest measured k.
    """
    table = components.table
    chosen = table[table["split"] == split]
    wide = chosen.pivot_table(index="arm", columns="component", values="estimate", sort=False)
    arms = chosen.drop_duplicates("arm").set_index("arm")
    rows = []
    for keys, group in arms.groupby(list(CURVE_KEYS), sort=False, dropna=False):
        ordered = group.sort_values("num_responses")
        num_seeds = min(components.num_response_seeds[arm] for arm in ordered.index)
        if ordered["num_responses"].nunique() < 2 or num_seeds < 2:
            continue
        replicates = {
            name: np.stack([components.replicates[arm, split, name] for arm in ordered.index], axis=1)
            for name in ("inter_unbiased", "response")
        }
        num_responses = ordered["num_responses"].to_numpy()
        budget = fit_response_budget(
            num_responses,
            wide.loc[ordered.index, "inter_unbiased"].to_numpy(),
            wide.loc[ordered.index, "response"].to_numpy(),
            replicates["inter_unbiased"],
            replicates["response"],
            threshold,
            confidence,
        )
        labels = {**dict(zip(CURVE_KEYS, keys, strict=True)), "split": split}
        rows.append(labels | _budget_row(budget, threshold, int(num_responses.max()), num_seeds))
    return _typed_budget(rows)


def _budget_row(budget: ResponseBudget, threshold: float, largest: int, num_response_seeds: int) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name in ("response_variance", "floor", "slope", "recommended_num_responses"):
        bounds = getattr(budget, name)
        row |= {name: bounds.estimate, f"{name}_lower": bounds.lower, f"{name}_upper": bounds.upper}
    return row | {
        "threshold": threshold,
        "largest_measured": largest,
        "extrapolated": budget.recommended_num_responses.estimate > largest,
        "num_response_seeds": num_response_seeds,
        "num_slope_points": budget.num_slope_points,
    }


def _typed_budget(rows: list[dict[str, Any]]) -> pd.DataFrame:
    names = [
        f"{name}{bound}"
        for name in ("response_variance", "floor", "slope", "recommended_num_responses")
        for bound in ("", "_lower", "_upper")
    ]
    others = ["threshold", "largest_measured", "extrapolated", "num_response_seeds", "num_slope_points"]
    frame = pd.DataFrame(rows, columns=[*CURVE_KEYS, "split", *names, *others])
    for name in names:
        if name.startswith("recommended"):
            # More than a whole number of 64 bits can say is as unbounded as infinity.
            whole = [pd.NA if value >= 2.0**62 else int(value) for value in frame[name]]
            frame[name] = pd.array(whole, dtype="Int64")
        else:
            frame[name] = frame[name].astype("float64")
    types = dict(zip(others, ("float64", "int64", "bool", "int64", "int64"), strict=True))
    return frame.astype(types)


def from_predictions(
    predictions: pd.DataFrame, plan: pd.DataFrame, splits: Iterable[str] | None = None
) -> Iterator[ArmPredictions]:
    """Read arms from a table of predictions and the plan, one at a time, for ``variance_components``.

    Args:
        predictions: student, example_id, split, logits (one list a row), in any order.
        plan: student, arm, ``ARM_KEYS`` and the three seed columns.
        splits: which to read; all that occur if left out.

    Yields:
        One arm in the order of the plan, examples in ascending order of their id.

    Raises:
        UserError: a column is missing, or not every student has every example once.
    """
    for arm in read_arms(predictions, plan, splits):
        probabilities = {
            split: np.asarray(softmax(logits.astype(np.float64), axis=-1)) for split, (_, logits) in arm.splits.items()
        }
        yield ArmPredictions(arm.keys, arm.plan[list(SEED_COLUMNS)].to_numpy(), probabilities)
