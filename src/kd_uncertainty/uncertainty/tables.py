"""The uncertainty analysis as data frames: what the pipeline calls, and what works on anybody's predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax

from kd_uncertainty.schemas import ARM_KEYS, SEED_COLUMNS
from kd_uncertainty.threads import in_order
from kd_uncertainty.uncertainty.arms import (
    MAX_BLOCKS,
    VarianceComponents,
    check_students,
    collect_components,
    num_gram_blocks,
    sample_arm,
)
from kd_uncertainty.uncertainty.budget import ResponseBudget, fit_response_budget
from kd_uncertainty.uncertainty.components import COMPONENTS, CrossedDesign, gram_matrices
from kd_uncertainty.uncertainty.decomposition import FloatArray, as_probabilities
from kd_uncertainty.uncertainty.jackknife import DECOMPOSITIONS, Sampled, sample_components, sample_decompositions
from kd_uncertainty.uncertainty.predictions import read_arms
from kd_uncertainty.uncertainty.resampling import Multipliers

STATISTICS = (*DECOMPOSITIONS, *COMPONENTS)


class ArmPredictions(NamedTuple):
    """What the students of one arm predict.

    Attributes:
        keys: "arm" and each of the arm keys.
        seeds: (students, 3) response, initialisation and order seed, a full crossing.
        probabilities: for each split (students, examples, classes), students in the order of ``seeds``.
    """

    keys: Mapping[str, Any]
    seeds: NDArray[Any]
    probabilities: Mapping[str, NDArray[Any]]


def variance_components(
    arms: Iterable[ArmPredictions],
    *,
    num_bootstrap: int = 400,
    confidence: float = 0.95,
    seed: int = 0,
    arm_keys: Sequence[str] = ARM_KEYS,
) -> VarianceComponents:
    """Split the uncertainty of every arm and split, with bootstrap intervals over seed levels and examples.

    Total, intra and inter (ddof = 0) describe a population of this size; the ANOVA components are unbiased for a
    student with fresh seeds, and so may be negative.

    Args:
        arms: consumed one by one, so a generator that reads an arm at a time bounds memory.
        num_bootstrap: replicates.
        confidence: of the intervals.
        seed: of the multipliers; equal seeds give equal intervals.
        arm_keys: those of the arms.

    Raises:
        UserError: an arm's students are not a full crossing, or an array does not hold probabilities.
    """
    multipliers = Multipliers(num_bootstrap, seed)

    def sample(array: NDArray[Any], split: str, design: CrossedDesign) -> Sampled:
        values = as_probabilities(array)
        check_students(values, split, design)
        gram, shares = gram_matrices(values, design, num_gram_blocks(len(values)))
        parts = (
            sample_decompositions(values, design, multipliers, split, MAX_BLOCKS),
            sample_components(gram, shares, design, multipliers, split),
        )
        return Sampled(
            np.concatenate([part.estimates for part in parts]),
            np.concatenate([part.replicates for part in parts], axis=1),
        )

    sampled = in_order(lambda arm: sample_arm(arm.keys, arm.seeds, arm.probabilities, sample), arms)
    return collect_components(sampled, STATISTICS, tuple(arm_keys), confidence)


class MeasuredCurve(NamedTuple):
    """Arms that differ in their number of responses only.

    Attributes:
        keys: each of the curve keys.
        num_responses: (arms,) ascending.
        num_response_seeds: of the arm with the fewest.
        estimates: "inter_unbiased" and "response" -> (arms,).
        replicates: the same -> (num_bootstrap, arms), joint.
    """

    keys: Mapping[str, Any]
    num_responses: NDArray[np.int64]
    num_response_seeds: int
    estimates: Mapping[str, FloatArray]
    replicates: Mapping[str, FloatArray]


def measured_curves(components: VarianceComponents, split: str) -> Iterator[MeasuredCurve]:
    """Find the curves that Var(k) = a/k + b can be fitted to: two or more k, and two or more response seeds at each."""
    chosen = components.table[components.table["split"] == split]
    wide = chosen.pivot_table(index="arm", columns="component", values="estimate", sort=False)
    arms = chosen.drop_duplicates("arm").set_index("arm")
    names = list(components.curve_keys)
    groups = arms.groupby(names, sort=False, dropna=False) if names else [((), arms)]
    for keys, group in groups:
        ordered = group.sort_values("num_responses")
        num_seeds = min((components.num_response_seeds[arm] for arm in ordered.index), default=0)
        if ordered["num_responses"].nunique() < 2 or num_seeds < 2:
            continue
        both = ("inter_unbiased", "response")
        yield MeasuredCurve(
            dict(zip(names, keys, strict=True)),
            ordered["num_responses"].to_numpy(dtype=np.int64),
            num_seeds,
            {name: wide.loc[ordered.index, name].to_numpy() for name in both},
            {
                name: np.stack([components.replicates[arm, split, name] for arm in ordered.index], axis=1)
                for name in both
            },
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
    rows = []
    for curve in measured_curves(components, split):
        budget = fit_response_budget(
            curve.num_responses,
            curve.estimates["inter_unbiased"],
            curve.estimates["response"],
            curve.replicates["inter_unbiased"],
            curve.replicates["response"],
            threshold,
            confidence,
        )
        largest = int(curve.num_responses.max())
        rows.append({**curve.keys, "split": split} | _budget_row(budget, threshold, largest, curve.num_response_seeds))
    return _typed_budget(rows, components.curve_keys)


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


def _typed_budget(rows: list[dict[str, Any]], curve_keys: Sequence[str]) -> pd.DataFrame:
    names = [
        f"{name}{bound}"
        for name in ("response_variance", "floor", "slope", "recommended_num_responses")
        for bound in ("", "_lower", "_upper")
    ]
    others = ["threshold", "largest_measured", "extrapolated", "num_response_seeds", "num_slope_points"]
    frame = pd.DataFrame(rows, columns=[*curve_keys, "split", *names, *others])
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
    predictions: pd.DataFrame,
    plan: pd.DataFrame,
    splits: Iterable[str] | None = None,
    *,
    arm_keys: Sequence[str] = ARM_KEYS,
) -> Iterator[ArmPredictions]:
    """Read arms from a table of predictions and the plan, one at a time, for ``variance_components``.

    Args:
        predictions: student, example_id, split, logits (one list a row), in any order.
        plan: student, arm, the arm keys and the three seed columns.
        splits: which to read; all that occur if left out.
        arm_keys: columns of the plan that say what the students of an arm have in common.

    Yields:
        One arm in the order of the plan, examples in ascending order of their id.

    Raises:
        UserError: a column is missing, or not every student has every example once.
    """
    for arm in read_arms(predictions, plan, splits, arm_keys=arm_keys):
        probabilities = {
            split: np.asarray(softmax(logits.astype(np.float64), axis=-1)) for split, (_, logits) in arm.splits.items()
        }
        yield ArmPredictions(arm.keys, arm.plan[list(SEED_COLUMNS)].to_numpy(), probabilities)
