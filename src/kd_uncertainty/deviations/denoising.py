r"""Gradient denoising: what distillation from an early-stopped teacher mends in one-hot gradients, and what it spoils.

An earlier version of Nagarajan et al. (arXiv 2301.12923) explains the gain of distillation by gradients. Where classes
are similar, one-hot labels push down classes that deserve more probability than the student gives them
(:mod:`~kd_uncertainty.deviations._denoising_entries`). An early-stopped teacher turns many of these entries round, and
a teacher that has memorised its labels none.

What weights gain by that depends on the inputs, since a teacher that is stopped early knows the top of their covariance
alone. Where the signal is there, its students' weights point closer to the true ones than one-hot students'; where the
signal is spread over all directions, they point further away. Both are measured, along training and also in function
space, where a student's first steps may lose although its weights gain; and so is a teacher that knows the exact class
probabilities, which tells what soft labels do from what a teacher's errors do.

Teacher and students are linear softmax models, trained by full-batch descent from weights of 0 on the same examples and
at the same rate: the one-hot student is the teacher itself. Beside those that are trained stands a teacher of the exact
class probabilities, "bayes". Every seed is a world of its own (:mod:`~kd_uncertainty.deviations._denoising_worlds`);
intervals are Student's t over seeds, and changes are paired.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from tqdm import tqdm

from kd_uncertainty.deviations._denoising_descent import cosines, descend, metric, smoothness
from kd_uncertainty.deviations._denoising_entries import destructive_share, entries, flips, share
from kd_uncertainty.deviations._denoising_options import DenoisingOptions, Signal, Similarity
from kd_uncertainty.deviations._denoising_worlds import Floats, Worlds, draw_worlds, softmax
from kd_uncertainty.uncertainty.budget import Interval
from kd_uncertainty.uncertainty.students import student_mean

__all__ = ["Denoising", "DenoisingOptions", "Signal", "Similarity", "denoising"]


class Denoising(NamedTuple):
    """The tables of the section; see :func:`denoising`."""

    entries: pd.DataFrame
    alignment: pd.DataFrame


class Teacher(NamedTuple):
    """What a student learns from: "one_hot" labels, a model "trained" on them for ``step`` steps, or "bayes"."""

    teacher: str
    step: float = math.nan

    @property
    def keys(self) -> dict[str, str | float]:
        """The teacher's columns."""
        return {"teacher": self.teacher, "teacher_step": self.step}


ONE_HOT, BAYES = Teacher("one_hot"), Teacher("bayes")


class Counted(NamedTuple):
    """Shares of one student's entries, (seeds,) each, and the accuracy of its teacher on the labels."""

    destructive: Floats
    flip: Floats
    false_flip: Floats
    teacher_accuracy: Floats


class Cell(NamedTuple):
    """What one kind of world shows.

    Attributes:
        counts: by the student's step, then by its teacher.
        cosines: by quantity and the student's step, then by its teacher; (seeds,).
    """

    counts: dict[int, dict[Teacher, Counted]]
    cosines: dict[tuple[str, int], dict[Teacher, Floats]]


def denoising(options: DenoisingOptions, *, confidence: float = 0.95, progress: bool = False) -> Denoising:
    """Return destructive entries and their flips, and the alignment of gradients and weights with the truth.

    Args:
        options: of the section.
        confidence: of the intervals, over seeds.
        progress: whether to show a bar.

    Returns:
        entries: one row for each signal, similarity, student_step and teacher ("trained" with teacher_step, or
            "bayes" without), of the student trained on that teacher for so many steps; with bounds: destructive (share
            of entries), destructive_change (from the first similarity), flip (rate among destructive entries),
            flip_change (from the earliest teacher), false_flip (rate among the others), false_flip_change,
            teacher_accuracy (on its training labels); num_seeds. Rates leave out seeds without such entries.
        alignment: one row for each signal, similarity, quantity, student_step and teacher ("one_hot", "trained" or
            "bayes"), of the student trained on that teacher for so many steps; with bounds: cosine, gain (over
            one_hot); num_seeds. Quantities: "weights" (of W with W*, gauge removed), "logits" (the same in the inputs'
            covariance: correlation of logits with the true ones over the population), and "gradient" (of the negative
            mean gradient with W* - W, what the student still lacks; at step 0 that is W*).
    """
    cells: dict[tuple[Signal, float], Cell] = {}
    kinds = [(signal, similarity) for signal in options.signals for similarity in options.similarities]
    with threadpool_limits(1, user_api="blas"):  # matrices are small, and results shall not depend on threads
        for kind in tqdm(kinds, desc="denoising", unit="task", disable=not progress):
            cells[kind] = measure(draw_worlds(options, *kind), options)
    return Denoising(_entry_table(cells, options, confidence), _alignment_table(cells, confidence))


def measure(worlds: Worlds, options: DenoisingOptions) -> Cell:
    """Train teachers and students on worlds of one kind and look at them.

    Args:
        worlds: one a seed.
        options: times and learning rate.
    """
    plain, covariance = metric(worlds), metric(worlds, worlds.variances)
    rates = options.learning_rate / smoothness(plain.gram)
    taught = _taught(worlds, plain.gram, rates, {*options.teacher_steps, *options.alignment_teachers})
    counted, aligned = (
        [*_trained(options.teacher_steps), BAYES],
        [ONE_HOT, *_trained(options.alignment_teachers), BAYES],
    )
    young = descend(plain.gram, _stacked(taught, taught), rates, options.entry_steps)
    grown = descend(plain.gram, _stacked(taught, aligned), rates, options.student_steps)

    found: dict[tuple[str, int], dict[Teacher, Floats]] = {}
    for step, state in young.items():
        pulls = _stacked(taught, taught) - softmax(state.logits)
        every = dict(zip(taught, cosines(pulls, plain, state).T, strict=True))
        found["gradient", step] = {teacher: every[teacher] for teacher in aligned}
    for quantity, inner in {"weights": plain, "logits": covariance}.items():
        for step, state in grown.items():
            found[quantity, step] = dict(zip(aligned, cosines(state.coefficients, inner).T, strict=True))
    counts: dict[int, dict[Teacher, Counted]] = {}
    for step, state in young.items():
        figures = _counts(worlds, taught, softmax(state.logits))
        counts[step] = {teacher: figures[teacher] for teacher in counted}
    return Cell(counts, found)


def _taught(worlds: Worlds, gram: Floats, rates: Floats, times: set[int]) -> dict[Teacher, Floats]:
    """Return the probabilities (seeds, examples, classes) that each teacher gives, one-hot labels among them."""
    states = descend(gram, worlds.one_hot[:, None], rates, times)
    trained = {teacher: softmax(states[int(teacher.step)].logits[:, 0]) for teacher in _trained(times)}
    return {ONE_HOT: worlds.one_hot, **trained, BAYES: worlds.probabilities}


def _trained(times: Iterable[int]) -> list[Teacher]:
    return [Teacher("trained", step) for step in sorted(times)]


def _stacked(taught: Mapping[Teacher, Floats], teachers: Iterable[Teacher]) -> Floats:
    """Return targets (seeds, arms, examples, classes)."""
    return np.stack([taught[teacher] for teacher in teachers], axis=1)


def _counts(worlds: Worlds, taught: Mapping[Teacher, Floats], students: Floats) -> dict[Teacher, Counted]:
    """Count the entries of students (seeds, arms, examples, classes), one a teacher."""
    targets, labels = _stacked(taught, taught), worlds.labels[:, None]
    found = entries(worlds.probabilities[:, None], students, labels)
    up = flips(targets, students)
    figures = (
        destructive_share(found),
        share(up, found.destructive),
        share(up, found.harmless),
        (targets.argmax(axis=-1) == labels).mean(axis=-1),
    )
    return {teacher: Counted(*(figure[:, arm] for figure in figures)) for arm, teacher in enumerate(taught)}


def _entry_table(
    cells: Mapping[tuple[Signal, float], Cell], options: DenoisingOptions, confidence: float
) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for (signal, similarity), cell in cells.items():
        for step, counts in cell.counts.items():
            first = next(iter(counts.values()))
            reference = cells[signal, options.similarities[0]].counts[step]
            for teacher, counted in counts.items():
                figures = {
                    "destructive": counted.destructive,
                    "destructive_change": counted.destructive - reference[teacher].destructive,
                    "flip": counted.flip,
                    "flip_change": counted.flip - first.flip,
                    "false_flip": counted.false_flip,
                    "false_flip_change": counted.false_flip - first.false_flip,
                    "teacher_accuracy": counted.teacher_accuracy,
                }
                keys = {"signal": signal, "similarity": similarity, "student_step": step, **teacher.keys}
                rows.append({**keys, **_columns(figures, confidence), "num_seeds": len(counted.destructive)})
    return pd.DataFrame(rows)


def _alignment_table(cells: Mapping[tuple[Signal, float], Cell], confidence: float) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for (signal, similarity), cell in cells.items():
        for (quantity, step), values in cell.cosines.items():
            for teacher, cosine in values.items():
                keys = {"signal": signal, "similarity": similarity, "quantity": quantity, "student_step": step}
                figures = {"cosine": cosine, "gain": cosine - values[ONE_HOT]}
                rows.append({**keys, **teacher.keys, **_columns(figures, confidence), "num_seeds": len(cosine)})
    return pd.DataFrame(rows)


def _columns(figures: Mapping[str, Floats], confidence: float) -> dict[str, float]:
    """Return ``x``, ``x_lower`` and ``x_upper`` of every figure (seeds,), over the seeds that have one."""
    columns: dict[str, float] = {}
    for name, values in figures.items():
        known = values[np.isfinite(values)]
        interval = student_mean(known, confidence) if len(known) else Interval(math.nan, math.nan, math.nan)
        columns |= {f"{name}{suffix}": bound for suffix, bound in zip(("", "_lower", "_upper"), interval, strict=True)}
    return columns
