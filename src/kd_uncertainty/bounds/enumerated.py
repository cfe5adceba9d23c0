r"""Distillation that is small enough to enumerate: every data set, every hypothesis, exact laws.

n examples are drawn from finite inputs with labels of known probabilities. Teacher and student are Gibbs kernels over
the same few hypotheses, ``q(f | d) ~ prior(f) exp(-beta n L_d(f))``; the student sees the same inputs with hard labels
that are sampled from the teacher's class probabilities. Kernels only see how often every (input, label) occurs, so
that data sets are enumerated as such counts ("types"): given its type, a data set is uniform under both laws, and
divergences and means are those of the data sets themselves.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from kd_uncertainty.bounds.divergence import Law
from kd_uncertainty.errors import UserError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

MAX_ENTRIES = 20_000_000
"""Data sets times pairs of hypotheses that are still enumerated."""


class Gibbs(NamedTuple):
    """A randomised learner.

    Attributes:
        log_prior: of hypotheses, normalised, (f,); -inf for what it never returns.
        inverse_temperature: beta, of the mean loss times n.
    """

    log_prior: Floats
    inverse_temperature: float


class Process(NamedTuple):
    """One distillation.

    Attributes:
        inputs: probabilities of inputs, (m,).
        labels: probabilities of labels given the input, label noise included, (m, K).
        predictions: class probabilities of hypotheses, (f, m, K), from which the teacher samples pseudo-labels.
        losses: of hypotheses, (f, m, K).
        num_examples: n.
        teacher: its kernel.
        student: its kernel.
    """

    inputs: Floats
    labels: Floats
    predictions: Floats
    losses: Floats
    num_examples: int
    teacher: Gibbs
    student: Gibbs


class Enumeration(NamedTuple):
    """Exact laws of a process, over d types of data sets and f hypotheses.

    Attributes:
        types: how often every input and label occurs, (d, m, K).
        gaps: h(d, f), (d, f).
        teacher: law of (D, f_T).
        student: law of (D^, f_S).
        gen_teacher: E h(D, f_T).
        gen_student: E h(D^, f_S), against the pseudo-labels.
        gen_student_true: E h(D, f_S), against the labels of the teacher's data set.
    """

    types: Counts
    gaps: Floats
    teacher: Law
    student: Law
    gen_teacher: float
    gen_student: float
    gen_student_true: float


def enumerate_process(process: Process) -> Enumeration:
    """Return the laws of a process and its generalisation gaps.

    Raises:
        UserError: if there are too many data sets.
    """
    shape = process.labels.shape
    _check_size(process)
    types = data_set_types(process.num_examples, *shape)
    starts = input_blocks(types)
    data = log_multinomial(types, np.log(process.inputs)[:, None] + _log(process.labels))
    gaps = generalisation_gaps(process, types, process.losses)
    teacher = Law(data, gibbs_kernel(process.teacher, process.losses, types))
    student_kernel = gibbs_kernel(process.student, process.losses, types)

    # The law of the pseudo-labelled set: models given the inputs alone, then labels given inputs and model.
    pseudo = label_laws(process.predictions, types)  # (d, f): log P(labels of d | its inputs, f)
    block = np.repeat(np.arange(len(starts)), np.diff([*starts, len(types)]))
    models = np.logaddexp.reduceat(teacher.joint, starts, axis=0)  # (blocks, f): log P(inputs, f_T = f)
    student = Law(logsumexp(models[block] + pseudo, axis=1), student_kernel)

    # The student's model and the true labels depend on each other through f_T: sum over pseudo-labelled sets first.
    passed = np.add.reduceat(np.exp(pseudo[:, :, None] + student_kernel[:, None, :]), starts, axis=0)
    models_of_student = np.einsum("df,dfs->ds", teacher.weights, passed[block])
    return Enumeration(
        types,
        gaps,
        teacher,
        student,
        gen_teacher=float((teacher.weights * gaps).sum()),
        gen_student=float((student.weights * gaps).sum()),
        gen_student_true=float((models_of_student * gaps).sum()),
    )


def population_losses(process: Process, losses: Floats) -> Floats:
    """L_P of losses (f, m, K): (f,)."""
    return np.asarray(np.einsum("m,mk,fmk->f", process.inputs, process.labels, losses))


def empirical_losses(types: Counts, losses: Floats) -> Floats:
    """L_d, the mean loss on every data set, (d, f)."""
    total = types[0].sum()
    return np.asarray(types.reshape(len(types), -1) @ losses.reshape(len(losses), -1).T / total)


def generalisation_gaps(process: Process, types: Counts, losses: Floats) -> Floats:
    """h(d, f) = L_P(f) - L_d(f), (d, f)."""
    return population_losses(process, losses) - empirical_losses(types, losses)


def gibbs_kernel(learner: Gibbs, losses: Floats, types: Counts) -> Floats:
    """Log-probabilities of hypotheses given the data set, (d, f)."""
    energy = learner.inverse_temperature * types[0].sum() * empirical_losses(types, losses)
    scores = learner.log_prior - energy
    return np.asarray(scores - logsumexp(scores, axis=1, keepdims=True))


def label_laws(predictions: Floats, types: Counts) -> Floats:
    """Log-probabilities (d, f) of the label counts of every type given its inputs, labels drawn from predictions."""
    return np.stack([log_multinomial(types, _log(one), given_inputs=True) for one in predictions], axis=1)


def log_multinomial(types: Counts, log_probabilities: Floats, given_inputs: bool = False) -> Floats:
    """Log-probabilities (d,) of counts (d, m, K) under those of one example, (m, K).

    Args:
        types: counts.
        log_probabilities: of (input, label), or of the label given the input.
        given_inputs: whether the counts of inputs are given.
    """
    with np.errstate(invalid="ignore"):
        terms = np.where(types > 0, types * log_probabilities, 0.0) - gammaln(types + 1.0)
    fixed = types.sum(axis=2) if given_inputs else types.sum(axis=(1, 2))[:, None]
    return np.asarray(terms.sum(axis=(1, 2)) + gammaln(fixed + 1.0).sum(axis=1))


@lru_cache(maxsize=32)
def data_set_types(num_examples: int, num_inputs: int, num_classes: int) -> Counts:
    """All ways to spread n examples over (input, label), (d, m, K); those of equal inputs stand together."""
    blocks = []
    for inputs in _compositions(num_examples, num_inputs):
        parts = [_compositions(int(count), num_classes) for count in inputs]
        grid = np.meshgrid(*(np.arange(len(part)) for part in parts), indexing="ij")
        blocks.append(np.stack([part[index.ravel()] for part, index in zip(parts, grid, strict=True)], axis=1))
    types = np.concatenate(blocks)
    types.flags.writeable = False  # it is shared
    return types


def input_blocks(types: Counts) -> Counts:
    """Where types of other inputs begin, (blocks,)."""
    inputs = types.sum(axis=2)
    return np.flatnonzero(np.append(True, (inputs[1:] != inputs[:-1]).any(axis=1)))


def _compositions(total: int, parts: int) -> Counts:
    """All ordered sums of ``parts`` counts that make ``total``, (ways, parts)."""
    if parts == 1:
        return np.array([[total]])
    rest = [(first, _compositions(total - first, parts - 1)) for first in range(total + 1)]
    return np.concatenate([np.insert(ways, 0, first, axis=1) for first, ways in rest])


def _log(probabilities: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.log(probabilities)


def _check_size(process: Process) -> None:
    cells, models = process.labels.size, len(process.losses)
    entries = math.comb(process.num_examples + cells - 1, cells - 1) * models**2
    if entries > MAX_ENTRIES:
        raise UserError(
            f"bounds: {process.num_examples} examples of {len(process.inputs)} inputs and {models} hypotheses make "
            f"{entries} data sets with a teacher and a student, above {MAX_ENTRIES}; ask for fewer of any"
        )
