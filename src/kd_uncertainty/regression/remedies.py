r"""Remedies: averaging responses and weighting them by variance, each compared at what it costs.

Cui & Pei, arXiv 2601.18909, section 7. A student that has k responses to each example is trained on

- ``average``: their mean. The variance that responses cause falls as 1/k; for linear students that is all of it.
- ``inverse_variance_oracle``: the mean weighted with the noise-free teacher, as the paper's public code does. No user
  has that, so it shows what cannot be had. Its variance ratio is ``E[1 / (1 + chi^2_{k-1} / k)^2]``.
- ``inverse_variance_estimated``: the mean weighted with the prediction of a pilot student, trained on the k' responses
  that follow. The pilot's variance at each example is that over all pilots, the teacher's is pooled over examples and
  all k + k' responses. The student costs k + k'.
- ``blue``: the mean weighted with the prediction of a pilot that was trained on it, by their covariance over all
  pilots. It costs k.
- ``pilot``: the prediction of that pilot alone, the control: what a second training brings without any weighting
  (self-distillation: Furlanello et al. 2018, "Born-again neural networks").

Every student has a pilot of its own, so students stay independent but for the estimated variances, which each half of
the population takes from the other half. Whoever wants one student alone needs several pilots for those, which costs
more than is counted here. And a pilot is a training more: a gain of ``blue`` over the average that ``pilot`` has as
well is none of weighting.

What theory says of linear students, with the hat matrix H and leverages h: plain weights ``w = h / (1 + h)`` (k' = k)
lean on the pilot, whose errors are alike at neighbouring examples and do not average out when the student is fitted.
With equal leverages the variance is ``(1 + h^2) / (1 + h)^2`` of the average's, a little below 1, but ``2 (1 + h^2) /
(1 + h)^2`` of that of an average that spends the same 2 k responses: nearly twice. BLUE finds that least squares has
used the responses up: the weight of the mean response is 0, and the student is the one that averages.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field, PositiveFloat, PositiveInt
from tqdm import tqdm

from kd_uncertainty.population.linear.design import make_design
from kd_uncertainty.population.linear.shared import prediction_variance
from kd_uncertainty.regression._cells import (
    Learner,
    Model,
    NoiseSums,
    NumStudents,
    columns,
    make_learner,
    seeds_of,
)
from kd_uncertainty.regression._weights import Targets, with_independent_pilots, with_own_pilots
from kd_uncertainty.regression.data import Floats, RegressionData
from kd_uncertainty.regression.networks import NetworkFit
from kd_uncertainty.typed import Distinct, Options, Seed
from kd_uncertainty.uncertainty import weighting
from kd_uncertainty.uncertainty.students import inter_student_variance, positive_mean, squared_errors, variance_ratio
from kd_uncertainty.uncertainty.weighting import Responses, StudentEstimate

Method = Literal["average", "inverse_variance_oracle", "inverse_variance_estimated", "blue", "pilot"]


class RemediesOptions(Options):
    """Which students are distilled from how many responses, combined how."""

    models: Distinct[Model] = Field(("linear", "network"), description="kinds of teacher and student")
    noise: Distinct[PositiveFloat] = Field((0.1, 1.0), description="variance of a response, in Var(y_train) (ddof 0)")
    num_responses: Distinct[PositiveInt] = Field((1, 3, 10), description="a student's own responses to each example, k")
    methods: Distinct[Method] = Field(
        ("average", "inverse_variance_oracle", "inverse_variance_estimated", "blue", "pilot"),
        description="how responses and a student's estimate are combined; average is trained in any case, to compare",
    )
    pilot_responses: PositiveInt | None = Field(
        None,
        description="further responses of a student's pilot (inverse_variance_estimated); null: as many as its own",
    )
    num_students: NumStudents = Field(100, description="students of a cell")
    network: NetworkFit = Field(NetworkFit(), description="of teacher and students where they are networks")
    seed: Seed = Field(9, description="of responses and initialisations, which are the same in every cell")


def remedies_table(
    data: RegressionData,
    options: RemediesOptions,
    *,
    confidence: float = 0.95,
    threads: int = 1,
    progress: bool = False,
) -> pd.DataFrame:
    """Return variance, test error and what each method is worth, for each kind of student, noise and k.

    Students of equal number have the same standardised noise and the same initialisation in every row; ratios are
    paired by student. The average of equal budget has seen the very responses that a student and its pilot have.

    Args:
        data: the task.
        options: the grid.
        confidence: of the intervals, which are over students, conditional on the data and the teacher.
        threads: threads over students; no result depends on them.
        progress: whether to show a progress bar.

    Returns:
        One row a cell: model, noise (s), num_responses (k), method, responses_used (a student's and its pilot's),
        num_students, inter_variance (mean over test points), test_mse, variance_ratio (to the average over k),
        equal_budget_ratio (to the average over responses_used), predicted_ratio (1 for the average, the oracle's
        closed form; else NaN), closed_form_variance (averages of linear students; else NaN), response_weight (of the
        mean response in the targets, a mean over students and examples); ``x_lower`` and ``x_upper`` beside every
        estimate x.

    Raises:
        UserError: if the training of a network diverges.
    """
    rows = []
    with tqdm(total=_num_students(options), desc="remedies", unit="student", disable=not progress) as bar:
        for model in options.models:
            learner = make_learner(model, data, options.network, options.seed, threads, bar.update)
            found = [_row(data, learner, cell, confidence) for cell in _cells(data, options, learner)]
            rows += sorted(found, key=lambda row: (row["noise"], row["num_responses"]))
    return pd.DataFrame(rows)


class _Cell(NamedTuple):
    """Predictions (students, points) of a cell's students and of the averages that they are compared with."""

    noise: float
    num_responses: int
    method: Method
    responses_used: int
    response_weight: float
    predictions: Floats
    same_responses: Floats
    same_budget: Floats


def _num_pilot_responses(options: RemediesOptions, num_responses: int) -> int:
    return options.pilot_responses or num_responses


def _num_students(options: RemediesOptions) -> int:
    """Return how many students and pilots are trained, for the progress bar."""
    averages = set(options.num_responses)
    if "inverse_variance_estimated" in options.methods:
        averages |= {k + _num_pilot_responses(options, k) for k in options.num_responses}
    pilots = ("inverse_variance_estimated" in options.methods) + bool({"blue", "pilot"} & set(options.methods))
    others = len(set(options.methods) - {"average"}) + pilots
    cells = len(averages) + len(options.num_responses) * others
    return len(options.models) * len(options.noise) * cells * options.num_students


def _cells(data: RegressionData, options: RemediesOptions, learner: Learner) -> Iterator[_Cell]:
    seeds = seeds_of(options.seed, "response", options.num_students)
    own, together = (NoiseSums(seeds, len(data.train_targets)) for _ in range(2))
    averages: dict[tuple[float, int], Floats] = {}

    def average(noise: float, responses: Responses) -> Floats:
        key = noise, responses.num_responses
        if key not in averages:
            averages[key] = learner.learn(responses.mean, "student").test
        return averages[key]

    for k in sorted(options.num_responses):
        own.extend(k)
        if "inverse_variance_estimated" in options.methods:
            together.extend(k + _num_pilot_responses(options, k))
        for noise in options.noise:
            std = math.sqrt(noise * data.target_variance)
            same = average(noise, own.responses(learner.means, std))
            own_pilots: list[Floats] = []
            for method in options.methods:
                if method == "average":
                    yield _Cell(noise, k, method, k, 1.0, same, same, same)
                    continue
                targets, weights = _combine(method, own, together, std, learner, own_pilots)
                predictions = learner.learn(targets, "student").test
                used, budget = k, same
                if method == "inverse_variance_estimated":
                    used, budget = together.count, average(noise, together.responses(learner.means, std))
                yield _Cell(noise, k, method, used, float(weights.mean()), predictions, same, budget)
        for key in [key for key in averages if key[1] <= k or key[1] not in options.num_responses]:
            del averages[key]  # no later k asks for it


def _combine(
    method: Method, own: NoiseSums, together: NoiseSums, std: float, learner: Learner, own_pilots: list[Floats]
) -> Targets:
    """Return the targets of a method that weights.

    Args:
        method: its name.
        own: the noise of the student's k responses.
        together: that of these and of its pilot's, if the method has any.
        std: standard deviation of a response.
        learner: trains pilots.
        own_pilots: predictions of pilots that were trained on the k responses, once they are there.
    """
    responses = own.responses(learner.means, std)
    if method == "inverse_variance_oracle":
        truth = StudentEstimate(learner.means, np.zeros_like(learner.means))
        target, weights, _ = weighting.inverse_variance_oracle(responses, truth, std**2)
        return Targets(target, weights)
    if method == "inverse_variance_estimated":
        pilots = learner.learn(together.later_mean(own, learner.means, std), "pilot").train
        noise_variance = weighting.teacher_variance(together.responses(learner.means, std))
        return with_independent_pilots(responses, pilots, noise_variance)
    if not own_pilots:
        own_pilots.append(learner.learn(responses.mean, "pilot").train)
    (pilots,) = own_pilots
    return with_own_pilots(responses, pilots) if method == "blue" else Targets(pilots, np.zeros_like(pilots))


def _row(data: RegressionData, learner: Learner, cell: _Cell, confidence: float) -> dict[str, Any]:
    predicted, exact = math.nan, math.nan
    if cell.method == "inverse_variance_oracle":
        predicted = weighting.oracle_variance_ratio(cell.num_responses)
    if cell.method == "average":
        predicted = 1.0
        if learner.model == "linear":
            std = math.sqrt(cell.noise * data.target_variance)
            design = make_design(data.train_inputs)
            exact = float(prediction_variance(design, data.test_inputs, std, cell.num_responses).mean())
    return {
        "model": learner.model,
        "noise": cell.noise,
        "num_responses": cell.num_responses,
        "method": cell.method,
        "responses_used": cell.responses_used,
        "num_students": len(cell.predictions),
        **columns(
            inter_variance=inter_student_variance(cell.predictions, confidence),
            test_mse=positive_mean(squared_errors(cell.predictions, data.test_targets), confidence),
            variance_ratio=variance_ratio(cell.predictions, cell.same_responses, confidence),
            equal_budget_ratio=variance_ratio(cell.predictions, cell.same_budget, confidence),
        ),
        "predicted_ratio": predicted,
        "closed_form_variance": exact,
        "response_weight": cell.response_weight,
    }
