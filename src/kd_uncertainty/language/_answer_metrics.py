r"""Metrics of answers: right and wrong, entropy, what students keep of their teacher; with intervals.

A metric is a mean over prompts and students. Its squared standard error is the sum over prompts and over the levels of
every factor of seeds of the variance of their means, ``sum (x_l - x)^2 / (n (n - 1))``, with the degrees of freedom of
Welch and Satterthwaite; what is their interaction's counts more than once, which errs on the wide side (Owen 2007, "The
pigeonhole bootstrap"). Of systematic noise, which is no mean over students, levels are left out in turn (jackknife).
Intervals:

- shares: Wilson's, of a sample of the effective size ``p (1 - p) / se^2``; where nothing varies, of as many as there
  are prompts, so that 12 right of 12 are not certain (Korn & Graubard 1998; Franco et al. 2019);
- entropies and numbers of clusters: Student's t on the logarithmic scale;
- similarities: Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from kd_uncertainty.language._answer_codes import Answered, Codes, Lexicon
from kd_uncertainty.language._answer_variance import Interval
from kd_uncertainty.language.measures import Floats, Labels, entropy, label_counts, modal_labels, semantic_spread
from kd_uncertainty.language.options import LanguagePropagationOptions

METRICS = (
    "accuracy",
    "modal_accuracy",
    "systematic_noise",
    "hallucination",
    "similarity",
    "keeps_modal",
    "entropy_token",
    "entropy_answers",
    "semantic_entropy",
    "num_clusters",
)
SHARES = frozenset({"accuracy", "modal_accuracy", "systematic_noise", "hallucination", "keeps_modal"})
SYSTEMATIC = "systematic_noise"


class Known(NamedTuple):
    """What answers are compared with.

    Attributes:
        right: by prompt that has a reference, the right normalised answers.
        references: by prompt that has one, the number of the reference's text.
        teacher: by prompt, the teacher's modal normalised answer; empty for the teacher itself.
    """

    right: Mapping[int, Codes]
    references: Mapping[int, int]
    teacher: Mapping[int, int]


Values = dict[str, list[Floats]]
"""By metric: of every prompt the values of all speakers, or of systematic noise those without each level."""


def metrics(
    answered: Answered, lexicon: Lexicon, known: Known, shape: tuple[int, ...], options: LanguagePropagationOptions
) -> dict[str, Interval]:
    """Return those of ``METRICS`` that are defined, with intervals.

    Args:
        answered: speakers in C order of ``shape``.
        lexicon: of all texts.
        known: references, and the teacher.
        shape: levels of every factor of seeds; empty where the speakers are one, such as the teacher.
        options: thresholds and confidence.
    """
    values: Values = {name: [] for name in METRICS}
    for place, prompt in enumerate(answered.prompts.tolist()):
        texts = answered.texts[place]
        found = _of_prompt(texts, prompt, lexicon, known, shape, options)
        if answered.entropy is not None:
            found["entropy_token"] = _means(answered.entropy[place])
        for name, one in found.items():
            if np.isfinite(one).all():
                values[name].append(one)
    return {
        name: _interval(name, np.stack(one, axis=1), shape, options.confidence) for name, one in values.items() if one
    }


def _of_prompt(
    texts: Codes,
    prompt: int,
    lexicon: Lexicon,
    known: Known,
    shape: tuple[int, ...],
    options: LanguagePropagationOptions,
) -> dict[str, Floats]:
    answers = lexicon.labels[texts]
    labels, normalised = _first_given(answers)
    counts, modal = label_counts(labels), modal_labels(labels)
    clusters = semantic_spread(texts, lexicon.vectors, options.cluster_threshold)
    found = {"entropy_answers": entropy(counts), "semantic_entropy": clusters[0], "num_clusters": clusters[1]}
    if prompt in known.teacher:
        found["keeps_modal"] = (normalised[modal] == known.teacher[prompt]).astype(np.float64)
    if prompt in known.right:
        right = np.isin(normalised, known.right[prompt])
        frequency = counts[np.arange(len(counts)), modal] / texts.shape[1]
        sure = frequency >= options.confidence_threshold
        found["accuracy"] = right[labels].mean(axis=1)
        found["modal_accuracy"] = right[modal].astype(np.float64)
        found["hallucination"] = (sure & ~right[modal]).astype(np.float64)
        found[SYSTEMATIC] = systematic_noise(counts, modal, right, shape, options.agreement)
    if prompt in known.references:
        reference = lexicon.vectors[known.references[prompt]].astype(np.float64)
        found["similarity"] = (lexicon.vectors[texts].astype(np.float64) @ reference).mean(axis=1)
    return found


def systematic_noise(
    counts: NDArray[np.int64], modal: Labels, right: NDArray[np.bool_], shape: tuple[int, ...], agreement: float
) -> Floats:
    """Return whether speakers agree on a wrong answer, as 0 or 1: all of them, then all without each level.

    The modal answer of all samples together must be wrong, and at least ``agreement`` of the speakers must have it as
    their own. Of equally frequent answers the one with the lowest label is taken.

    Args:
        counts: (speakers, answers).
        modal: (speakers,) each speaker's modal label.
        right: (answers,) which labels are right.
        shape: levels of every factor; factors with one level are passed over.
        agreement: share of the speakers.

    Returns:
        (1 + levels of all factors with several,).
    """
    speakers = np.ones((1, len(modal)))
    for factor, levels in enumerate(shape):
        if levels > 1:
            level = np.indices(shape)[factor].ravel()
            speakers = np.concatenate([speakers, level != np.arange(levels)[:, None]])
    together = (speakers @ counts).argmax(axis=1)
    agreed = (speakers * (modal == together[:, None])).sum(axis=1) / speakers.sum(axis=1)
    return np.asarray(~right[together] & (agreed >= agreement - 1e-12), dtype=np.float64)


def _interval(name: str, values: Floats, shape: tuple[int, ...], confidence: float) -> Interval:
    """Interval from values (speakers, prompts), or of systematic noise (1 + levels, prompts)."""
    if name == SYSTEMATIC:
        parts, estimate = _left_out(values[1:].mean(axis=1), shape), float(values[0].mean())
        by_prompt = values[0]
    else:
        parts, estimate = _level_parts(values.mean(axis=1), shape), float(values.mean())
        by_prompt = values.mean(axis=0)
    parts.append(_part(by_prompt))
    variance = sum(part for part, _ in parts)
    spread = sum(part**2 / degrees for part, degrees in parts if part > 0.0)
    degrees = variance**2 / spread if spread > 0.0 else max(len(by_prompt) - 1, 1)
    quantile = float(stats.t.ppf(0.5 + confidence / 2.0, degrees))
    if name in SHARES:
        return _wilson(estimate, variance, quantile, len(by_prompt))
    half = quantile * math.sqrt(variance)
    if name == "similarity":
        return Interval(estimate, max(estimate - half, -1.0), min(estimate + half, 1.0))
    factor = math.exp(half / estimate) if estimate > 0.0 else 1.0
    lower = estimate / factor
    return Interval(estimate, max(lower, 1.0) if name == "num_clusters" else lower, estimate * factor)


def _wilson(share: float, variance: float, quantile: float, num_prompts: int) -> Interval:
    """Wilson's interval of a sample of the effective size."""
    inside = share * (1.0 - share)
    size = inside / variance if inside > 0.0 and variance > 0.0 else float(num_prompts)
    weight = quantile**2 / size
    centre = (share + weight / 2.0) / (1.0 + weight)
    half = math.sqrt(weight * (inside + weight / 4.0)) / (1.0 + weight)
    return Interval(share, max(min(centre - half, share), 0.0), min(max(centre + half, share), 1.0))


def _level_parts(by_speaker: Floats, shape: tuple[int, ...]) -> list[tuple[float, float]]:
    """Squared standard errors and degrees of freedom of the factors with several levels."""
    if not shape:
        return []
    table, axes = by_speaker.reshape(shape), range(len(shape))
    means = [table.mean(axis=tuple(axis for axis in axes if axis != factor)) for factor in axes]
    return [_part(one) for one in means if len(one) > 1]


def _part(means: Floats) -> tuple[float, float]:
    count = len(means)
    return (float(np.var(means, ddof=1)) / count, count - 1.0) if count > 1 else (0.0, 1.0)


def _left_out(values: Floats, shape: tuple[int, ...]) -> list[tuple[float, float]]:
    """The jackknife's squared standard errors, (n - 1) / n sum (x_(-l) - mean)^2, and degrees of freedom."""
    parts, first = [], 0
    for levels in (levels for levels in shape if levels > 1):
        own = values[first : first + levels]
        parts.append(((levels - 1.0) * float(np.var(own)), levels - 1.0))
        first += levels
    return parts


def _means(entropies: Floats) -> Floats:
    """Mean over the answers that have an entropy, (speakers,); NaN where none has."""
    there = np.isfinite(entropies)
    total = np.where(there, entropies, 0.0).sum(axis=1)
    count = there.sum(axis=1)
    return np.asarray(np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0))


def _first_given(answers: Codes) -> tuple[Labels, Codes]:
    """Number a prompt's answers by their first appearance: labels (speakers, samples) and what each stands for."""
    unique, first, inverse = np.unique(answers, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[inverse].reshape(answers.shape), unique[order]
