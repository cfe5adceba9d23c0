r"""Many random linear-Gaussian worlds: is the chain rule right, and which form of the bound holds?

Worlds are small and varied: n below and above d, inputs without full rank, dials over orders of magnitude, Gibbs
students of any sharpness. Their maps are of full rank, so that K_n is exact, in two ways that share nothing
(:mod:`~kd_uncertainty.bounds.linear_joint`). A form that lies below K_n is violated; for a bound that must never be.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from kd_uncertainty.bounds.linear_divergence import divergence, visible_map
from kd_uncertainty.bounds.linear_gaussian import Floats, LinearGaussian, gibbs_covariance, linear_gaussian
from kd_uncertainty.bounds.linear_joint import direct_divergence
from kd_uncertainty.bounds.linear_terms import terms

_MAX_OUTPUTS, _MAX_INPUTS, _MAX_EXAMPLES = 3, 6, 12
_LOG10_NOISE, _LOG10_PRECISION = (-1.0, 0.5), (-2.0, 1.0)
_LOG10_TEMPERATURE, _LOG10_SHARPNESS = (-2.0, 2.0), (-0.5, 0.5)
_ROUNDING = 1e-12
"""Relative; where a bound is attained, rounding may put it below."""


def random_world(generator: np.random.Generator) -> tuple[LinearGaussian, float]:
    """Draw a world and a student's sharpness; a third of the designs lack rank beyond n < d."""
    outputs = int(generator.integers(1, _MAX_OUTPUTS + 1))
    size, count = int(generator.integers(1, _MAX_INPUTS + 1)), int(generator.integers(1, _MAX_EXAMPLES + 1))
    inputs: Floats = generator.standard_normal((size, count))
    if generator.random() < 1.0 / 3.0:
        rank = int(generator.integers(1, min(size, count) + 1))
        inputs = generator.standard_normal((size, rank)) @ generator.standard_normal((rank, count))
    world = linear_gaussian(
        inputs,
        generator.standard_normal((outputs, size)),
        label_noise=10.0 ** generator.uniform(*_LOG10_NOISE),
        prior_precision=10.0 ** generator.uniform(*_LOG10_PRECISION),
        inverse_temperature=10.0 ** generator.uniform(*_LOG10_TEMPERATURE),
    )
    return world, float(10.0 ** generator.uniform(*_LOG10_SHARPNESS))


def audit_table(num_configurations: int = 400, seed: int = 0) -> pd.DataFrame:
    """Return one row a world.

    Args:
        num_configurations: worlds.
        seed: of the worlds; more begin with the fewer.

    Returns:
        configuration (from 0); num_outputs, num_inputs, num_examples, design_rank; inverse_temperature, label_noise,
        prior_precision, student_sharpness; divergence_exact (by the chain rule), divergence_direct,
        chain_rule_error (relative); dataset_shift, algorithm_shift; corrected_bound, tight_bound, literal_form;
        corrected_violated, tight_violated, literal_violated.
    """
    generator = np.random.Generator(np.random.Philox(seed))
    rows = []
    for number in range(num_configurations):
        world, sharpness = random_world(generator)
        rows.append({"configuration": number, **_row(world, sharpness)})
    return pd.DataFrame(rows)


def _row(world: LinearGaussian, sharpness: float) -> dict[str, Any]:
    covariance, full = gibbs_covariance(world, sharpness), visible_map(world)
    found = terms(world, len(world.inputs), covariance)
    exact = divergence(world, full, covariance)
    direct = direct_divergence(world, full, covariance)
    forms = {
        "corrected_bound": found.corrected_bound.estimate,
        "tight_bound": found.tight_bound.estimate,
        "literal_form": found.literal_form.estimate,
    }
    return {
        "num_outputs": len(world.weights),
        "num_inputs": len(world.inputs),
        "num_examples": world.inputs.shape[1],
        "design_rank": int(np.linalg.matrix_rank(world.inputs)),
        "inverse_temperature": world.inverse_temperature,
        "label_noise": world.label_noise,
        "prior_precision": world.prior_precision,
        "student_sharpness": sharpness,
        "divergence_exact": exact.total,
        "divergence_direct": direct,
        "chain_rule_error": abs(exact.total - direct) / direct,
        "dataset_shift": exact.dataset_shift,
        "algorithm_shift": exact.algorithm_shift,
        **forms,
        **{f"{name.split('_')[0]}_violated": value < exact.total * (1.0 - _ROUNDING) for name, value in forms.items()},
    }
