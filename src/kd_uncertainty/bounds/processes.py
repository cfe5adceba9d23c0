r"""Enumerated distillations: every bound against the exact gaps that it is about.

A world has a few inputs, a true chance of label 1 at each, and a handful of hypotheses, which give every input a margin
w: the chance of label 1 is 1 / (1 + exp(-w)). Worlds are crossed with the size of the data set, the teacher's and the
student's inverse temperature, label noise and how many of the hypotheses the student may return; the same worlds stand
behind every value of a dial. Nothing is sampled beyond the worlds, and the figures have no error bars: they are exact.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from tqdm import tqdm

from kd_uncertainty.bounds._process_worlds import Loss, draw_world, smoothed_losses, uniform_prior, world_process
from kd_uncertainty.bounds.divergence import distillation_divergence
from kd_uncertainty.bounds.enumerated import (
    Enumeration,
    Gibbs,
    Process,
    empirical_losses,
    enumerate_process,
    generalisation_gaps,
    population_losses,
)
from kd_uncertainty.bounds.generalisation import central_lower_bound, two_sided
from kd_uncertainty.bounds.proxies import Certificate, cumulant_certificate
from kd_uncertainty.bounds.sensitivity import Proxies, all_proxies
from kd_uncertainty.bounds.sharpness import sharpness_bound
from kd_uncertainty.errors import UserError
from kd_uncertainty.typed import Distinct, Options, Seed, Share

Floats = NDArray[np.float64]

CERTIFIED: dict[str, bool] = {
    "std": False,
    "cumulant": True,
    "bounded_difference": True,
    "stability": True,
    "hoeffding": True,
}
"""Proxies of the table, and whether theirs is a certificate here, where laws and suprema are exact."""

_ROUNDING = 1e-12
"""By how much a bound may seem to fail through rounding, in the units of the loss."""


class ProcessesOptions(Options):
    """The distillations of the section."""

    num_examples: Distinct[PositiveInt] = Field((1, 2, 4, 8, 12), description="n, of the data set")
    inverse_temperatures: Distinct[PositiveFloat] = Field((0.3, 1.0, 3.0), description="beta, of the teacher")
    student_factors: Distinct[NonNegativeFloat] = Field(
        (0.0, 1.0, 4.0), description="the student's inverse temperature over the teacher's; with 0 it learns nothing"
    )
    label_noise: Distinct[Share] = Field((0.0, 0.1, 0.3), description="chances that a label is flipped")
    student_hypotheses: Distinct[PositiveInt] = Field((3, 5), description="how many of them the student may return")
    num_hypotheses: int = Field(5, ge=2, description="that the teacher may return")
    num_inputs: int = Field(2, ge=1, description="different inputs")
    num_worlds: int = Field(2, ge=1, description="inputs, labels and hypotheses, drawn anew")
    margins: Distinct[PositiveFloat] = Field(
        (1.5, 4.0), description="standard deviations of margins; large ones make sure hypotheses and rare, large losses"
    )
    loss: Loss = Field("log", description="of one example, in the gaps and in both Gibbs kernels")
    radii: Distinct[PositiveFloat] = Field((0.1, 0.3, 1.0), description="rho, of the balls that are averaged over")
    seed: Seed = 20


class Processes(NamedTuple):
    """The tables of the section; see :func:`processes`."""

    table: pd.DataFrame
    sharpness: pd.DataFrame


class Smoothed(NamedTuple):
    """What the sharpness-aware bound needs at one radius."""

    radius: float
    sharpness: Floats
    smoothed: Certificate
    roughness: Certificate


def processes(options: ProcessesOptions, *, progress: bool = False) -> Processes:
    """Enumerate every process and hold each bound against it.

    Args:
        options: of the section.
        progress: whether to show a bar.

    Returns:
        table: one row a configuration: configuration (number), world, margin, num_examples, inverse_temperature,
            student_inverse_temperature, label_noise, student_hypotheses; gen_teacher, gen_student (against
            pseudo-labels), gen_student_true (true labels), divergence, dataset_shift, algorithm_shift,
            chain_rule_error; lower_central, central_eta, central_constant, lower_holds_central; and for every proxy p
            of :data:`CERTIFIED` sigma_p, lower_p, upper_p, lower_holds_p, upper_holds_p, true_inside_p (whether
            gen_student_true lies between, which no theorem promises), tightness_p (upper minus lower over
            |gen_student - gen_teacher|, at least 2 where both hold).
        sharpness: one row a configuration and radius: configuration, radius, sharpness_teacher (E S_P(f_T)),
            sharpness_student, sigma_smoothed, sigma_roughness, upper, upper_holds, upper_standard (of the cumulant
            proxy), gain (the second minus the first; positive if sharpness tightens the bound).

    Raises:
        UserError: if the student may return more hypotheses than there are, or a process is too large.
    """
    if max(options.student_hypotheses) > options.num_hypotheses:
        raise UserError(
            f"bounds: processes: student_hypotheses: {max(options.student_hypotheses)} is more than the "
            f"{options.num_hypotheses} of num_hypotheses; the student needs some of the teacher's"
        )
    rows: list[dict[str, Any]] = []
    sharp: list[dict[str, Any]] = []
    teachers = list(
        itertools.product(
            range(options.num_worlds),
            options.margins,
            options.num_examples,
            options.inverse_temperatures,
            options.label_noise,
        )
    )
    for dials in tqdm(teachers, desc="processes", unit="teacher", disable=not progress):
        for row, its_sharpness in _of_teacher(options, *dials):
            sharp.extend({"configuration": len(rows), **entry} for entry in its_sharpness)
            rows.append({"configuration": len(rows), **row})
    return Processes(pd.DataFrame(rows), pd.DataFrame(sharp))


def _of_teacher(
    options: ProcessesOptions, number: int, margin: float, size: int, temperature: float, noise: float
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Rows of the processes of one teacher, whose proxies are the same for all students."""
    world = draw_world(options.seed, number, options.num_inputs, options.num_hypotheses, margin)
    base = world_process(world, options.loss, noise, size, temperature)
    found = enumerate_process(base)
    proxies = all_proxies(base, found)
    smoothed = [_smoothed(base, found, world.margins, options.loss, radius) for radius in options.radii]
    for factor, count in itertools.product(options.student_factors, options.student_hypotheses):
        student = Gibbs(uniform_prior(count, options.num_hypotheses), factor * temperature)
        keys = {
            "world": number,
            "margin": margin,
            "num_examples": size,
            "inverse_temperature": temperature,
            "student_inverse_temperature": factor * temperature,
            "label_noise": noise,
            "student_hypotheses": count,
        }
        row, sharp = _measure(enumerate_process(base._replace(student=student)), proxies, smoothed)
        yield {**keys, **row}, sharp


def _measure(
    found: Enumeration, proxies: Proxies, smoothed: list[Smoothed]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Columns of one process, and its rows of the sharpness table."""
    divergence = distillation_divergence(found.student, found.teacher)
    central = central_lower_bound(found.gaps, found.teacher.weights, divergence.total)
    row: dict[str, Any] = {
        "gen_teacher": found.gen_teacher,
        "gen_student": found.gen_student,
        "gen_student_true": found.gen_student_true,
        "divergence": divergence.total,
        "dataset_shift": divergence.dataset_shift,
        "algorithm_shift": divergence.algorithm_shift,
        "chain_rule_error": divergence.chain_rule_error,
        "lower_central": central.lower,
        "central_eta": central.eta,
        "central_constant": central.constant,
        "lower_holds_central": found.gen_student >= central.lower - _ROUNDING,
    }
    for name, sigma in proxies._asdict().items():
        row |= _columns(name, sigma, found, divergence.total)
    sharp = [_sharp_row(found, one, divergence.total, row["upper_cumulant"]) for one in smoothed]
    return row, sharp


def _columns(name: str, sigma: float, found: Enumeration, divergence: float) -> dict[str, Any]:
    lower, upper = two_sided(found.gen_teacher, sigma, divergence)
    gap = abs(found.gen_student - found.gen_teacher)
    return {
        f"sigma_{name}": sigma,
        f"lower_{name}": lower,
        f"upper_{name}": upper,
        f"lower_holds_{name}": found.gen_student >= lower - _ROUNDING,
        f"upper_holds_{name}": found.gen_student <= upper + _ROUNDING,
        f"true_inside_{name}": lower - _ROUNDING <= found.gen_student_true <= upper + _ROUNDING,
        f"tightness_{name}": (upper - lower) / gap if gap > 0.0 else math.nan,
    }


def _smoothed(process: Process, found: Enumeration, margins: Floats, loss: Loss, radius: float) -> Smoothed:
    """Sharpness of every hypothesis, and the exact sub-Gaussian sigmas of h_u and S_D under the teacher's law."""
    losses, weights = smoothed_losses(margins, loss, radius), found.teacher.weights
    risen = losses - process.losses
    return Smoothed(
        radius,
        population_losses(process, risen),
        cumulant_certificate(generalisation_gaps(process, found.types, losses), weights),
        cumulant_certificate(empirical_losses(found.types, risen), weights),
    )


def _sharp_row(found: Enumeration, one: Smoothed, divergence: float, standard: float) -> dict[str, Any]:
    means = [float(law.weights.sum(axis=0) @ one.sharpness) for law in (found.teacher, found.student)]
    upper = sharpness_bound(found.gen_teacher, means[0], one.smoothed, one.roughness, divergence)
    return {
        "radius": one.radius,
        "sharpness_teacher": means[0],
        "sharpness_student": means[1],
        "sigma_smoothed": one.smoothed,
        "sigma_roughness": one.roughness,
        "upper": upper,
        "upper_holds": found.gen_student <= upper + _ROUNDING,
        "upper_standard": standard,
        "gain": standard - upper,
    }
