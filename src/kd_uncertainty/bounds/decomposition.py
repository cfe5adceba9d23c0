r"""What the distillation divergence is made of, dial by dial, and what to change first.

One linear-Gaussian world (:mod:`~kd_uncertainty.bounds.linear_gaussian`): inputs and W* are drawn once and stay; one
dial is turned at a time. Bias, Var, Cov and Spread are exact; Apx is a mean over drawn teachers wherever the student's
map truncates, and the divergence is then a nested estimate between two bounds
(:mod:`~kd_uncertainty.bounds.linear_shift`). Intervals are Monte Carlo errors of this world, not how worlds differ; all
points share their random numbers.

Expected, and put to the test: Var falls with beta, and Spread rises with it as soon as data outweigh the prior (from
k d at beta = 0 it falls first); the divergence hardly depends on n unless the student lacks rank that the truth has;
so the interval of width sqrt(2 K_n) sigma, with sigma ~ n^-1/2, narrows with ``sqrt(2 K_n / n)``, `scaled_width`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from tqdm import tqdm

from kd_uncertainty.bounds._decomposition_options import DIALS, DecompositionOptions, Dial
from kd_uncertainty.bounds.linear_audit import audit_table
from kd_uncertainty.bounds.linear_gaussian import (
    Floats,
    LinearGaussian,
    effective_dimension,
    gibbs_spectrum,
    linear_gaussian,
    spectrum,
)
from kd_uncertainty.bounds.linear_maps import is_full
from kd_uncertainty.bounds.linear_shift import NestedDraws, algorithm_shift
from kd_uncertainty.bounds.linear_terms import Terms, plus, terms
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.uncertainty.budget import Interval

__all__ = ["DIALS", "TERMS", "Decomposition", "DecompositionOptions", "Dial", "checklist_table", "decomposition"]

TERMS = ("bias", "variance", "approximation", "covariance", "spread")
"""Summands of the corrected bound."""
TOTAL = "total"
_TIE = 1e-9
"""Reductions that are equal up to this share of the bound are equal."""


class Decomposition(NamedTuple):
    """The tables of the section; see :func:`decomposition`."""

    sweeps: pd.DataFrame
    checklist: pd.DataFrame
    audit: pd.DataFrame


def decomposition(options: DecompositionOptions, *, confidence: float = 0.95, progress: bool = False) -> Decomposition:
    """Turn each dial of the world, and say which to turn first.

    Args:
        options: of the section.
        confidence: of the intervals, over draws.
        progress: whether to show a bar.

    Returns:
        sweeps: one row a dial and value, in nats: dial, value, is_base; divergence_exact, dataset_shift,
            algorithm_shift; bias, variance, approximation, covariance, spread (which sum to) corrected_bound;
            tight_bound; literal_form (no bound) and literal_violated (it lies below the divergence, beyond both
            intervals); effective_dimension, scaled_width; num_draws, num_sets (0 where nothing is drawn); best (the
            value of the dial with the least corrected bound). What may be drawn has bounds, ``_lower`` and ``_upper``:
            divergence_exact, algorithm_shift, approximation and the three forms.
        checklist: see :func:`checklist_table`.
        audit: see :func:`~kd_uncertainty.bounds.linear_audit.audit_table`.
    """
    inputs, weights = _drawn(options)
    found: dict[tuple[float, ...], dict[str, Any]] = {}
    rows = []
    with threadpool_limits(1, user_api="blas"):  # matrices are small, and results shall not depend on threads
        points = [(dial, value) for dial, values in options.turns.items() for value in values]
        for dial, value in tqdm(points, desc="decomposition", unit="world", disable=not progress):
            dials = {**options.base, dial: value}
            key = tuple(dials.values())
            if key not in found:
                found[key] = _point(dials, inputs, weights, options, confidence)
            rows.append({"dial": dial, "value": value, "is_base": value == options.base[dial], **found[key]})
        audit = audit_table(options.num_configurations, derive_seed(options.seed, "audit"))
    sweeps = pd.DataFrame(rows)
    least = sweeps.groupby("dial")["corrected_bound"].idxmin()
    sweeps["best"] = sweeps.index.isin(least)
    return Decomposition(sweeps, checklist_table(sweeps), audit)


def checklist_table(sweeps: pd.DataFrame) -> pd.DataFrame:
    """Return which single turn of a dial lowers each term most, the bound as a whole first, then terms by size.

    Args:
        sweeps: of :func:`decomposition`.

    Returns:
        term ("total" is the corrected bound), contribution (nats at the base configuration), share (of the bound);
        dial, from, to: the turn; "none" and NaN where no turn lowers the term; reduction (of the term, nats);
        bound_before, bound_after: the corrected bound before and after that turn, which may rise although the term
        falls; lowers_bound.
    """
    base = sweeps[sweeps["is_base"]].iloc[0]
    bound = float(base["corrected_bound"])
    rows = []
    for term in (TOTAL, *sorted(TERMS, key=lambda name: -float(base[name]))):
        column = "corrected_bound" if term == TOTAL else term
        lowered = base[column] - sweeps[column]
        reach = float(lowered.max())
        tied = sweeps[lowered >= reach - _TIE * bound]
        turn = sweeps.loc[tied["corrected_bound"].idxmin()]
        turned = reach > _TIE * bound
        after = float(turn["corrected_bound"]) if turned else bound
        rows.append(
            {
                "term": term,
                "contribution": float(base[column]),
                "share": float(base[column]) / bound,
                "dial": turn["dial"] if turned else "none",
                "from": _base_value(sweeps, turn["dial"]) if turned else math.nan,
                "to": float(turn["value"]) if turned else math.nan,
                "reduction": float(base[column] - turn[column]) if turned else 0.0,
                "bound_before": bound,
                "bound_after": after,
                "lowers_bound": after < bound,
            }
        )
    return pd.DataFrame(rows)


def _base_value(sweeps: pd.DataFrame, dial: str) -> float:
    return float(sweeps.loc[(sweeps["dial"] == dial) & sweeps["is_base"], "value"].iloc[0])


def _drawn(options: DecompositionOptions) -> tuple[Floats, Floats]:
    """Draw inputs (d, largest n), of which smaller n are the beginning, and W* (k, d)."""
    generator = np.random.Generator(np.random.Philox(derive_seed(options.seed, "inputs")))
    most = int(max(options.turns["num_examples"]))
    inputs = generator.standard_normal((most, options.num_inputs)).T
    generator = np.random.Generator(np.random.Philox(derive_seed(options.seed, "weights")))
    weights = generator.standard_normal((options.num_outputs, options.true_rank)) @ generator.standard_normal(
        (options.true_rank, options.num_inputs)
    )
    return inputs, weights / math.sqrt(float(np.square(weights).mean()))


def _point(
    dials: Mapping[Dial, float], inputs: Floats, weights: Floats, options: DecompositionOptions, confidence: float
) -> dict[str, Any]:
    """Measure one configuration."""
    world = linear_gaussian(
        inputs[:, : int(dials["num_examples"])],
        weights,
        label_noise=dials["label_noise"],
        prior_precision=dials["prior_precision"],
        inverse_temperature=dials["inverse_temperature"],
    )
    rank, covariance = int(dials["rank"]), gibbs_spectrum(world, dials["student_sharpness"])
    seed = derive_seed(options.seed, "teachers")
    found = terms(world, rank, covariance, num_draws=options.num_draws, seed=seed, confidence=confidence)
    draws = NestedDraws(options.num_sets, options.num_students, options.num_proposals, options.num_fit)
    shift = algorithm_shift(world, rank, covariance, found, draws=draws, seed=options.seed, confidence=confidence)
    drawn = not is_full(rank, spectrum(world))
    return {
        **_columns(world, found, shift),
        "num_draws": options.num_draws * drawn,
        "num_sets": options.num_sets * drawn,
    }


def _columns(world: LinearGaussian, found: Terms, shift: Interval) -> dict[str, Any]:
    exact, literal = plus(shift, found.dataset_shift), found.literal_form
    return {
        **_bounded("divergence_exact", exact),
        "dataset_shift": found.dataset_shift,
        **_bounded("algorithm_shift", shift),
        "bias": found.bias,
        "variance": found.variance,
        **_bounded("approximation", found.approximation),
        "covariance": found.covariance,
        "spread": found.spread,
        **_bounded("corrected_bound", found.corrected_bound),
        **_bounded("tight_bound", found.tight_bound),
        **_bounded("literal_form", literal),
        "literal_violated": bool(literal.upper < exact.lower),
        "effective_dimension": effective_dimension(world),
        "scaled_width": math.sqrt(2.0 * exact.estimate / world.inputs.shape[1]),
    }


def _bounded(name: str, interval: Interval) -> dict[str, float]:
    return {f"{name}{suffix}": float(bound) for suffix, bound in zip(("", "_lower", "_upper"), interval, strict=True)}
