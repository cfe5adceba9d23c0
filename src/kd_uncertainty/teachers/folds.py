"""Cross-fitting: a teacher fitted once for each fold on the other folds, which labels no point that it was trained on.

A teacher that has learnt its labels by heart repeats their noise to its students. Split the training examples into F
folds and fit the kind F times, each time without one fold. A training example is then answered by the fit that has not
seen it; all other inputs by the average of all fits (Breiman 1996, "Bagging predictors"):

    draw j of log P(c | x) = log (1/F sum_f softmax_c(draw j of fit f at x))

and the mean of the fits where a number is predicted. That average is again one function of the inputs for each draw.
The folds are dealt without a look at the labels: what is said of an example must not depend on its label, not even
through the company that it keeps. (Chernozhukov et al. 2018, "Double/debiased machine learning", section 3.)

Parameters are kept side by side: ``fold<f>/<name>``, and which example belongs to which fold.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.teachers.contract import Fitted, Problem, Teacher, TeacherOptions

EXAMPLES, FOLDS = "fold_examples", "fold_numbers"
"""Names of the tensors (training examples,) that say which example_id belongs to which fold."""
SEPARATOR = "/"

Fit = Callable[[Problem, Any, int], Fitted]
Answer = Callable[[Teacher, int], Tensor]
"""From the teacher of one fold, and its number, to what it says about all inputs, (draws, examples, outputs)."""

logger = logging.getLogger(__name__)


def deal_folds(num_examples: int, folds: int, seed: int) -> NDArray[np.int64]:
    """Deal examples at random into folds whose sizes differ by at most one; returns each one's fold, (examples,)."""
    return np.random.default_rng(seed).permutation(np.arange(num_examples) % folds)


def fit_folds(fit: Fit, problem: Problem, options: TeacherOptions, seed: int, name: str) -> Fitted:
    """Fit a kind once for each fold, on all other folds.

    Members of the fits are numbered through in the curves, which get a column ``fold``.

    Raises:
        UserError: if there are fewer training examples than folds.
    """
    examples = len(problem.labels)
    if examples < options.folds:
        raise UserError(
            f"teachers: '{name}' has folds: {options.folds} and {examples} training examples; give it fewer folds"
        )
    numbers = deal_folds(examples, options.folds, derive_seed(seed, "folds"))
    _warn_of_unseen_classes(name, problem, numbers)
    ids = np.arange(examples, dtype=np.int64) if problem.example_ids is None else problem.example_ids
    parameters = {EXAMPLES: torch.from_numpy(ids.astype(np.int64)), FOLDS: torch.from_numpy(numbers)}
    curves: list[pd.DataFrame] = []
    members = 0
    for fold in range(options.folds):
        fitted = fit(_without(problem, numbers == fold), options, derive_seed(seed, "fold", fold))
        parameters |= {f"fold{fold}{SEPARATOR}{key}": value for key, value in fitted.parameters.items()}
        curves.append(fitted.curves.assign(member=fitted.curves["member"] + members, fold=fold))
        members = int(curves[-1]["member"].max()) + 1
    return Fitted(parameters, pd.concat(curves, ignore_index=True))


def teacher_of_fold(teacher: Teacher, fold: int) -> Teacher:
    """The teacher that was fitted without one fold, as its kind knows it."""
    prefix = f"fold{fold}{SEPARATOR}"
    own = {key.removeprefix(prefix): value for key, value in teacher.parameters.items() if key.startswith(prefix)}
    return replace(teacher, parameters=own)


def folds_of(teacher: Teacher, example_ids: NDArray[np.int64] | None, num_examples: int) -> NDArray[np.int64]:
    """The fold of each example, (examples,); -1 for one that the teacher was not fitted on, as all are without ids."""
    found = np.full(num_examples, -1, dtype=np.int64)
    if example_ids is None:
        return found
    ids, numbers = (teacher.parameters[name].cpu().numpy() for name in (EXAMPLES, FOLDS))
    order = np.argsort(ids)
    places = order[np.minimum(np.searchsorted(ids, example_ids, sorter=order), len(ids) - 1)]
    return np.where(ids[places] == example_ids, numbers[places], found)


def answer_folds(teacher: Teacher, answer: Answer, example_ids: NDArray[np.int64] | None, num_examples: int) -> Tensor:
    """Ask all fits: training examples hear from the one that has not seen them, all others the average.

    Every fit is asked about all inputs, so that what it says is the same, bit for bit, as if it were asked alone. The
    average is taken in float64, one fit after another, element by element: no example's answer depends on the others.

    Args:
        teacher: cross-fitted.
        answer: what the fit of one fold says.
        example_ids: (examples,), or None where all inputs are new.
        num_examples: of the inputs.
    """
    member_of = torch.from_numpy(folds_of(teacher, example_ids, num_examples))
    numbers = teacher.num_classes == 1
    average = torch.zeros(())
    own: dict[int, Tensor] = {}
    for fold in range(teacher.options.folds):
        said = answer(teacher_of_fold(teacher, fold), fold)
        held_out = (member_of == fold).to(said.device)
        own[fold] = said[:, held_out]
        values = said.double() if numbers else said.double().log_softmax(-1)
        average = values if fold == 0 else average + values if numbers else torch.logaddexp(average, values)
    average = average / teacher.options.folds if numbers else average - float(np.log(teacher.options.folds))
    answers = average.to(said.dtype)
    for fold, said in own.items():
        answers[:, (member_of == fold).to(said.device)] = said
    return answers


def nest_folds(parameters: Mapping[str, Tensor]) -> dict[str, Any]:
    """Parameters with one level for each fold, as files keep them; without folds they are left as they are."""
    nested: dict[str, Any] = {}
    for key, value in parameters.items():
        fold, _, name = key.rpartition(SEPARATOR)
        (nested.setdefault(fold, {}) if fold else nested)[name] = value
    return nested


def flatten_folds(nested: Mapping[str, Any]) -> dict[str, Tensor]:
    """The inverse of :func:`nest_folds`."""
    flat: dict[str, Tensor] = {}
    for key, value in nested.items():
        flat |= (
            {f"{key}{SEPARATOR}{name}": one for name, one in value.items()}
            if isinstance(value, Mapping)
            else {key: value}
        )
    return flat


def _without(problem: Problem, held_out: NDArray[np.bool_]) -> Problem:
    kept = torch.from_numpy(np.flatnonzero(~held_out))
    ids = None if problem.example_ids is None else problem.example_ids[~held_out]
    return replace(problem, inputs=problem.inputs[kept], labels=problem.labels[kept], example_ids=ids)


def _warn_of_unseen_classes(name: str, problem: Problem, numbers: NDArray[np.int64]) -> None:
    """A class all of whose examples fall into one fold is unknown to the fit that answers for them."""
    if problem.loss == "mse":
        return
    labels = problem.labels.cpu().numpy()
    unseen = [label for label in np.unique(labels) if len(set(numbers[labels == label])) == 1]
    if unseen:
        logger.warning(
            "teachers: '%s': all training examples of class number %s fall into one fold, so the fit that answers for "
            "them has never seen the class; choose other folds, or another teachers.seed",
            name,
            ", ".join(map(str, unseen)),
        )
