r"""Variances of a sample of tabular students, unbiased and with intervals over students.

With S students, ``inter = sum_s |m_s - m|^2 / (S - 1)``, and the squared bias is the mean of ``(m_s - mu)(m_t - mu)``
over pairs of different students, since ``|m - mu|^2`` would be too large by inter / S. Each estimate is a mean over
students of one value each, or of jackknife pseudo-values, from which Student's t interval follows.
"""

from __future__ import annotations

import numpy as np

from kd_uncertainty.language._surrogate_world import Floats, spread
from kd_uncertainty.uncertainty.budget import Interval
from kd_uncertainty.uncertainty.students import student_mean


def sampled_moments(students: Floats, teacher: Floats, points: Floats, confidence: float) -> dict[str, Interval]:
    """Estimate intra, inter, total and bias, named and defined as ``Moments``, with intervals.

    Args:
        students: their own distributions of answers, (students, prompts, answers), from independent responses.
        teacher: (prompts, answers).
        points: (prompts, answers, dimensions).
        confidence: of the intervals.
    """
    means = np.einsum("spa,pad->spd", students, points)
    intra = spread(students, points).mean(axis=1)
    inter = _squares(means - means.mean(axis=0)) * (len(means) / (len(means) - 1.0))
    values = {"intra": intra, "inter": inter, "total": intra + inter}
    values["bias"] = _bias_values(means - np.einsum("pa,pad->pd", teacher, points))
    return {name: student_mean(each, confidence) for name, each in values.items()}


def _bias_values(errors: Floats) -> Floats:
    """Return jackknife pseudo-values (students,) of the mean product of two students' errors (students, prompts, d)."""
    count, total, own = len(errors), errors.sum(axis=0), _squares(errors)
    pairs = _squares(total[None])[0] - own.sum()
    others = _squares(total - errors) - (own.sum() - own)
    return np.asarray(pairs / (count - 1.0) - others / (count - 2.0))


def _squares(deviations: Floats) -> Floats:
    """Mean over prompts of squared lengths, (students,)."""
    return np.asarray(np.einsum("spd,spd->s", deviations, deviations) / deviations.shape[1])
