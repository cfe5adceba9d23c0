r"""What the bounds say about real networks, on training sets that are drawn again and again.

The population is a table of real inputs with known label noise (:mod:`~kd_uncertainty.bounds.finite_population`), so
that risks are exact. A teacher is trained on n examples and noised, labels the same inputs with hard labels drawn from
its probabilities, and a student is trained on these and noised
(:mod:`~kd_uncertainty.bounds.gaussian_kernels`). Over independent training sets, all of this is a sample of the two
laws that the theory compares: that of (training set, teacher) and that of (pseudo-labelled set, student).

Their divergence K_n has two parts (chain rule):

* dataset shift, KL of the pseudo-labelled set from the training set, which is measured from above and from below;
* algorithm shift, KL of the student's kernel from the teacher's at the same pseudo-labelled set, in closed form.

``divergence`` is the sum from above. h knows functions only, whose divergence is smaller than that of parameters: an
estimate from below is that of the pseudo-labels plus that of logits at a few inputs.

The interval ``gen_teacher +- sigma sqrt(2 K_n)`` is about the student's gap against its pseudo-labels. With the upper
divergence and Hoeffding's sigma it is certain but for the Monte Carlo error of gen_teacher and K_n; other sigmas are
estimates, with which results can be consistent or not. Source: Li & He (arXiv 2605.13143).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from kd_uncertainty.bounds._networks_measures import Measured, measure
from kd_uncertainty.bounds._networks_options import KernelFit, NetworkBoundsOptions
from kd_uncertainty.bounds._networks_training import Minimisers
from kd_uncertainty.bounds.finite_population import LOSS_RANGE, known_population
from kd_uncertainty.bounds.gaussian_kernels import require_no_buffers
from kd_uncertainty.bounds.generalisation import two_sided
from kd_uncertainty.bounds.proxies import (
    bounded_difference_proxy,
    cumulant_proxy,
    hoeffding_certificate,
    stability_proxy,
    std_proxy,
)
from kd_uncertainty.convergence.examples import StudyExamples
from kd_uncertainty.networks import network_builder
from kd_uncertainty.uncertainty.budget import Interval
from kd_uncertainty.uncertainty.students import student_mean

__all__ = ["PROXIES", "KernelFit", "NetworkBounds", "NetworkBoundsOptions", "StudyExamples", "network_bounds"]

PROXIES = ("std", "cumulant", "bounded_difference", "stability", "hoeffding")
"""Only the last certifies."""
_MAXIMA = ("bounded_difference", "stability")
"""Largest values seen, which have no interval."""


class NetworkBounds(NamedTuple):
    """The section's table.

    Attributes:
        table: num_examples, label_noise, quantity, estimate, lower, upper, num_sets, inside, inside_true. Quantities
            are gen_teacher, gen_student_pseudo, gen_student_true, risk_teacher, risk_student (of the loss); divergence,
            dataset_shift and algorithm_shift (in nats, the first two from above); divergence_lower_estimate,
            dataset_shift_lower and algorithm_shift_function_space (from below); and of every proxy sigma_<proxy>,
            upper_<proxy> and lower_<proxy> (the interval) and tightness_<proxy>, the interval's width over
            ``|gen_student_pseudo|``. On rows of bounds, ``inside`` says whether gen_student_pseudo keeps to them, and
            ``inside_true`` the same of gen_student_true, which the theorem is not about; both are None elsewhere.
    """

    table: pd.DataFrame


def network_bounds(
    data: StudyExamples,
    options: NetworkBoundsOptions,
    *,
    confidence: float = 0.95,
    threads: int = 1,
    progress: bool = False,
) -> NetworkBounds:
    """Train teachers and students on training sets of every size, and set their gaps beside the bounds.

    Args:
        data: the task, all splits.
        options: of the section.
        confidence: of the intervals, over training sets.
        threads: threads over networks; no result depends on them.
        progress: whether to show a bar.

    Raises:
        UserError: if the divergence would be infinite, the network has no kernel with a density, or training diverges.
    """
    network = options.network
    build = network_builder(network.class_path, network.arguments, data.inputs.shape[1], data.num_classes)
    require_no_buffers(build, network.class_path)
    cells = [(noise, size) for noise in options.label_noise for size in options.num_examples]
    rows: list[dict[str, Any]] = []
    with tqdm(total=_networks(options), desc="bounds: networks", unit="network", disable=not progress) as bar:

        def advance(networks: int) -> None:
            bar.update(networks)

        for noise, size in cells:
            population = known_population(data, noise, options.population_examples)
            minimisers = Minimisers(build, population.inputs, data.num_classes, options, threads, advance)
            found = measure(minimisers, population, size, options)
            place = {"num_examples": size, "label_noise": noise}
            rows += [place | row for row in quantity_rows(found, size, confidence)]
    table = pd.DataFrame(rows)
    return NetworkBounds(table.astype({"inside": "boolean", "inside_true": "boolean"}))


def _networks(options: NetworkBoundsOptions) -> int:
    """Networks that are trained."""
    a_size = sum(3 + min(options.num_replacements, size) for size in options.num_examples)
    return options.num_sets * a_size * len(options.label_noise)


def quantity_rows(measured: Measured, num_examples: int, confidence: float) -> list[dict[str, Any]]:
    """Return quantity, estimate, lower, upper, num_sets, inside, inside_true of one size and label noise.

    Intervals are Student's t of the delete-one pseudo-values over training sets (Tukey 1958). Sigmas that are largest
    values seen have none, and count as known in the intervals of what is computed from them.

    Args:
        measured: the figures of each training set.
        num_examples: n.
        confidence: of the intervals.
    """
    full = quantities(measured, num_examples)
    maxima = {name: full[f"sigma_{name}"] for name in _MAXIMA}
    sets = len(measured.label_shift)
    left_out = [quantities(measured.without(number), num_examples, maxima) for number in range(sets)]
    rows: list[dict[str, Any]] = []
    for name, estimate in full.items():
        kind, _, proxy = name.partition("_")
        bounds = Interval(estimate, math.nan, math.nan)
        if not (kind == "sigma" and proxy in _MAXIMA):
            bounds = _jackknife(estimate, np.array([other[name] for other in left_out]), confidence)
        row: dict[str, Any] = {"quantity": name} | bounds._asdict() | {"num_sets": sets}
        for column, variant in (("inside", "pseudo"), ("inside_true", "true")):
            row[column] = _keeps_to(kind, proxy, full, full[f"gen_student_{variant}"])
        rows.append(row)
    return rows


def quantities(measured: Measured, num_examples: int, known: dict[str, float] | None = None) -> dict[str, float]:
    """Return the estimate of every quantity.

    Args:
        measured: the figures of each training set.
        num_examples: n.
        known: sigmas that are not to be estimated, by proxy.
    """
    found = {
        "gen_teacher": float(measured.teacher.mean()),
        "gen_student_pseudo": float(measured.student_pseudo.mean()),
        "gen_student_true": float(measured.student_true.mean()),
        "risk_teacher": float(measured.risk_teacher.mean()),
        "risk_student": float(measured.risk_student.mean()),
    } | divergences(measured)
    sigmas = _sigmas(measured, num_examples) | (known or {})
    for name in PROXIES:
        lower, upper = two_sided(found["gen_teacher"], sigmas[name], found["divergence"])
        gap = abs(found["gen_student_pseudo"])
        found[f"sigma_{name}"] = sigmas[name]
        found[f"upper_{name}"] = upper
        found[f"lower_{name}"] = lower
        found[f"tightness_{name}"] = (upper - lower) / gap if gap else math.inf
    return found


def divergences(measured: Measured) -> dict[str, float]:
    """Return the divergence and its parts in nats, from above and from below.

    Args:
        measured: the figures of each training set.
    """
    dataset = float(measured.label_shift.mean() - measured.memory.mean(axis=0).max())
    algorithm = float(measured.algorithm_shift.mean())
    functions = float(measured.function_space.mean())
    least = float(measured.reference_shift.mean(axis=0).max())
    return {
        "divergence": dataset + algorithm,
        "dataset_shift": dataset,
        "algorithm_shift": algorithm,
        "divergence_lower_estimate": least + functions,
        "dataset_shift_lower": least,
        "algorithm_shift_function_space": functions,
    }


def _sigmas(measured: Measured, num_examples: int) -> dict[str, float]:
    """Return sigma of every proxy."""
    values = measured.teacher.ravel()
    low, high = LOSS_RANGE
    spread = float(np.ptp(measured.teacher, axis=1).max())
    change = float(measured.differences.max())
    return {
        "std": std_proxy(values, np.full(len(values), 1.0 / len(values))),
        "cumulant": cumulant_proxy(values),
        "bounded_difference": bounded_difference_proxy(np.full(num_examples, change), spread),
        "stability": stability_proxy(float(measured.stability.max()), num_examples, high - low, spread),
        "hoeffding": hoeffding_certificate(low - high, high - low),
    }


def _keeps_to(kind: str, proxy: str, found: dict[str, float], gap: float) -> bool | None:
    """Whether a gap is on the right side of a bound, or inside of both; None of what is no bound."""
    if kind not in ("upper", "lower", "tightness") or proxy not in PROXIES:
        return None
    below, above = gap <= found[f"upper_{proxy}"], gap >= found[f"lower_{proxy}"]
    return {"upper": below, "lower": above, "tightness": below and above}[kind]


def _jackknife(estimate: float, left_out: NDArray[np.float64], confidence: float) -> Interval:
    """An estimate with Student's t interval of its pseudo-values, from the estimates without each training set."""
    if np.ptp(left_out) == 0.0 or not np.isfinite(left_out).all():
        return Interval(estimate, estimate, estimate) if np.isfinite(estimate) else Interval(estimate, *[math.nan] * 2)
    count = len(left_out)
    centre, lower, upper = student_mean(count * estimate - (count - 1) * left_out, confidence)
    return Interval(estimate, estimate + lower - centre, estimate + upper - centre)
