r"""What is measured on each training set: generalisation gaps, divergences, and how much one example matters."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax

from kd_uncertainty.bounds._networks_options import NetworkBoundsOptions
from kd_uncertainty.bounds._networks_training import Minimisers, Role, with_replacements
from kd_uncertainty.bounds.finite_population import (
    FinitePopulation,
    TrainingSets,
    draw_sets,
    empirical_risk,
    losses_of,
    risk,
)
from kd_uncertainty.bounds.gaussian_kernels import flat, function_space_divergence, kernel_divergence, noised
from kd_uncertainty.population.contract import State
from kd_uncertainty.population.prediction import predict
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.targets import sample_labels

Floats = NDArray[np.float64]

WEIGHTS: Floats = 1.0 - np.geomspace(1.0, 1e-3, 40)
"""Trial values of the one free parameter of each bound of the dataset shift; with 0 nothing is gained."""


class Measured(NamedTuple):
    """Figures of one size and label noise; the first axis is that of training sets.

    Attributes:
        teacher: (sets, draws) h = L_P - L_D of teachers on their training sets.
        student_pseudo: (sets, draws) of students, on the pseudo-labelled sets that they were trained on.
        student_true: (sets, draws) of the same students, on the true labels of the same inputs.
        risk_teacher: (sets, draws) L_P.
        risk_student: (sets, draws) L_P.
        label_shift: (sets,) sum over examples of KL(teacher's probabilities || P), in nats.
        memory: (sets, weights) what pseudo-labels tell of the true labels, in nats, from below.
        reference_shift: (sets, weights) dataset shift from below; for all three see :func:`label_shifts`.
        algorithm_shift: (sets,) KL of the student's kernel from the teacher's at the pseudo-labelled set.
        function_space: (sets,) the same between laws of logits at reference points, an estimate from below.
        differences: (sets, replacements) change of the mean of h over draws when one example is replaced.
        stability: (sets, replacements) largest change of the mean loss over draws at any point and label.
    """

    teacher: Floats
    student_pseudo: Floats
    student_true: Floats
    risk_teacher: Floats
    risk_student: Floats
    label_shift: Floats
    memory: Floats
    reference_shift: Floats
    algorithm_shift: Floats
    function_space: Floats
    differences: Floats
    stability: Floats

    def without(self, number: int) -> Self:
        """Return the figures without one training set."""
        return self._replace(**{name: np.delete(values, number, axis=0) for name, values in self._asdict().items()})


def measure(
    minimisers: Minimisers, population: FinitePopulation, num_examples: int, options: NetworkBoundsOptions
) -> Measured:
    """Train teachers, label their inputs, train students, and measure.

    Each training set has one pseudo-labelled set: hard labels drawn from the first draw of its teacher's kernel.

    Args:
        minimisers: the algorithms.
        population: of the examples.
        num_examples: n.
        options: of the section.
    """
    sets = draw_sets(population, options.num_sets, num_examples, derive_seed(options.seed, "sets"))
    runs = Runs(minimisers, population, options)
    means = minimisers.fit(sets, "teacher")
    logits = runs.logits(means, "teacher")
    pseudo = pseudo_labelled(logits[:, 0], sets, options.seed)
    teacher = losses_of(logits, options.loss)
    risk_teacher = risk(teacher, population)
    at_pseudo = minimisers.fit(pseudo, "teacher"), minimisers.fit(pseudo, "student")
    student = losses_of(runs.logits(at_pseudo[1], "student"), options.loss)
    risk_student = risk(student, population)
    gaps = risk_teacher - empirical_risk(teacher, sets)
    differences, stability = runs.replaced(sets, teacher, gaps)
    return Measured(
        gaps,
        risk_student - empirical_risk(student, pseudo),
        risk_student - empirical_risk(student, sets),
        risk_teacher,
        risk_student,
        *label_shifts(logits, sets, population),
        *runs.algorithm_shift(*at_pseudo),
        differences,
        stability,
    )


class Runs(NamedTuple):
    """What stays the same over training sets of one population."""

    minimisers: Minimisers
    population: FinitePopulation
    options: NetworkBoundsOptions

    def logits(self, means: State, role: Role, copies: int = 1) -> Floats:
        """Draw from the kernels around the means: logits (networks, draws, points, classes), float32.

        Networks number ``copies`` a training set, and those of one training set share their noise.
        """
        draws, seed = self.options.num_draws, self.options.seed
        count = len(next(iter(means.values())))
        seeds = [[derive_seed(seed, role, row // copies, draw) for draw in range(draws)] for row in range(count)]
        networks = noised(means, getattr(self.options, role).noise, seeds)
        found = predict(self.minimisers.build, networks, self.population.inputs).numpy()
        return np.asarray(found.reshape(count, draws, *found.shape[1:]))

    def replaced(self, sets: TrainingSets, losses: Floats, gaps: Floats) -> tuple[Floats, Floats]:
        """Return how far mean h and mean loss move when one example is replaced, (sets, replacements) each.

        Both networks have the same noise, as kernels of one noise allow.

        Args:
            sets: the training sets.
            losses: (sets, draws, points, classes) of their teachers.
            gaps: (sets, draws) h of their teachers.
        """
        copies, options = self.options.num_replacements, self.options
        copies = min(copies, sets.points.shape[1])
        fresh = draw_sets(self.population, options.num_sets, copies, derive_seed(options.seed, "fresh"))
        changed = with_replacements(sets, fresh, copies)
        other = losses_of(self.logits(self.minimisers.fit(changed, "teacher"), "teacher", copies), options.loss)
        moved = (risk(other, self.population) - empirical_risk(other, changed)).mean(axis=1)
        moved -= gaps.mean(axis=1).repeat(copies)
        apart = other.mean(axis=1) - losses.mean(axis=1).repeat(copies, axis=0)
        shape = options.num_sets, copies
        return np.abs(moved).reshape(shape), np.abs(apart).max(axis=(1, 2)).reshape(shape)

    def algorithm_shift(self, teacher: State, student: State) -> tuple[Floats, Floats]:
        """Return the divergence of the kernels at the same training sets, of parameters and of functions, (sets,)."""
        noises = self.options.student.noise, self.options.teacher.noise
        count = len(self.population.inputs)
        kept = min(self.options.reference_points, count)
        points = self.population.inputs[torch.arange(kept) * count // kept]
        exact = kernel_divergence(flat(student), flat(teacher), *noises)
        functions = function_space_divergence(self.minimisers.build, student, teacher, *noises, points)
        return exact, np.minimum(functions, exact)  # more is not possible, and only an estimate


def pseudo_labelled(logits: Floats, sets: TrainingSets, seed: int) -> TrainingSets:
    """Return the sets with labels drawn from their teachers' probabilities.

    Args:
        logits: (sets, points, classes) of one teacher each.
        sets: whose inputs are labelled.
        seed: of the draws.
    """
    labels = [
        sample_labels(_probabilities(some[points]), derive_seed(seed, "pseudo-labels", number), 1)[:, 0]
        for number, (some, points) in enumerate(zip(logits, sets.points, strict=True))
    ]
    return TrainingSets(sets.points, np.stack(labels))


class LabelShifts(NamedTuple):
    """Parts of the bounds of the dataset shift, as in :class:`Measured`."""

    label_shift: Floats
    memory: Floats
    reference_shift: Floats


def label_shifts(logits: Floats, sets: TrainingSets, population: FinitePopulation) -> LabelShifts:
    r"""Return how far pseudo-labels y^ are from true ones y, given the inputs, in nats.

    The dataset shift is ``E sum_i KL(p(x_i) || P(x_i)) - I(y^; teacher)``, with the teacher's probabilities p, given
    which pseudo-labels are independent. That information makes a teacher harmless that knows its labels by heart:
    what it says varies over training sets as labels do. As true labels are independent it is at least
    ``sum_i I(y^_i; y_i)``, and by Barber & Agakov (2003) at least ``memory``, the sum over examples of
    ``E log(w [y^_i = y_i] + 1 - w) - E log(w P(y^_i | x_i) + 1 - w)`` for any w. So ``label_shift - memory`` bounds the
    dataset shift from above.

    From below it is at least ``sum_i E log(r / P)(y^_i | x_i)`` for any reference r that does not know the training set
    (Donsker & Varadhan; the exponential has mean 1 under P): ``reference_shift``, with ``r = w m + (1 - w) P`` and the
    mean teacher m of the other sets. All of these hold on average over training sets, for each of ``WEIGHTS``.

    Args:
        logits: (sets, draws, points, classes) of teachers.
        sets: what they were trained on.
        population: of the true probabilities P.
    """
    others = _mean_of_others(np.stack([_probabilities(some).mean(axis=0) for some in logits]))
    shift, (memory, reference) = np.empty(len(logits)), np.empty((2, len(logits), len(WEIGHTS)))
    weights = WEIGHTS[:, None, None]
    for row, (points, labels) in enumerate(zip(*sets, strict=True)):
        logs = log_softmax(logits[row][:, points].astype(np.float64), axis=-1)
        predicted, truth = np.exp(logs), population.probabilities[points]
        shift[row] = (predicted * (logs - np.log(truth))).sum(axis=(1, 2)).mean()
        mean = predicted.mean(axis=0)
        recalled = mean[np.arange(len(labels)), labels].sum()
        told = np.log1p(weights * (truth - 1.0))
        memory[row] = (len(labels) - recalled) * np.log1p(-WEIGHTS) - np.einsum("nk,wnk->w", mean, told)
        gains = np.log1p(weights * (others[row, points] / truth - 1.0))
        reference[row] = np.einsum("nk,wnk->w", mean, gains)
    return LabelShifts(shift, memory, reference)


def _mean_of_others(values: Floats) -> Floats:
    """The mean over all rows but one, of each row."""
    return np.asarray((values.sum(axis=0) - values) / (len(values) - 1))


def _probabilities(logits: Floats) -> Floats:
    return np.asarray(np.exp(log_softmax(logits.astype(np.float64), axis=-1)))
