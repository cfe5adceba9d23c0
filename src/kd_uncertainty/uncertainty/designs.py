"""What a budget buys: every undominated number of responses and students, counted exactly."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.errors import UserError
from kd_uncertainty.uncertainty.decomposition import FloatArray

DEPLOYMENTS = (("student", "own"), ("ensemble", "own"), ("ensemble", "shared"))
"""One student; the mean of students that each learn from their own responses; of students that share them."""
MAX_DESIGNS = 1 << 22
"""Where a budget buys more responses and more students than this, its units are too small to count."""
MAX_WHOLE = 1 << 53
"""Whole numbers from here on are not all floats."""
MAX_ELEMENTS = 1 << 22
"""Of a block of variances, replicates x designs: 32 MiB."""


class Prices(NamedTuple):
    """What things cost, all in one unit, and how much there is of it.

    Attributes:
        response: c, one response for every training example.
        student: t, to train one student.
        budget: B.
        max_responses: largest k to consider, or None.
    """

    response: float
    student: float
    budget: float
    max_responses: int | None = None


class Designs(NamedTuple):
    """Affordable pairs, cheapest first.

    Attributes:
        num_responses: (designs,) k, of each student, or of all together where they share responses.
        num_students: (designs,) m.
    """

    num_responses: NDArray[np.int64]
    num_students: NDArray[np.int64]


def check_prices(prices: Prices) -> None:
    """Raise ``UserError`` unless the prices are numbers that a budget can be divided by, and buy one student."""
    response, student, budget, most = prices
    if not (math.isfinite(response) and math.isfinite(student) and math.isfinite(budget)):
        raise UserError(f"costs and budget must be finite numbers, got {response}, {student} and {budget}")
    if response < 0.0 or student <= 0.0:
        raise UserError(
            f"cost_per_response is {response} and cost_per_student {student}; responses may be free, students are not"
        )
    if most is not None and most < 1:
        raise UserError(f"max_responses is {most}; a student needs at least one response")
    if response == 0.0 and most is None:
        raise UserError("responses are free (cost_per_response is 0), so say with max_responses how many there are")
    c, t, b = _units(prices)
    if b < c + t:
        raise UserError(
            f"the budget of {budget:g} buys no student: training costs {student:g} and one response {response:g}; "
            f"give at least {float(Fraction(str(response)) + Fraction(str(student))):g}"
        )


def affordable_designs(prices: Prices, deployment: str, responses: str) -> Designs:
    """List every pair (k, m) within the budget that no other affordable pair beats in both numbers.

    The cost is ``m (c k + t)`` where students have their own responses and ``c k + m t`` where they share them; a
    single student has m = 1. The pairs with one response, one student, or both, are listed too, although they are
    beaten: where one of the numbers does not matter they are the cheapest. Costs are compared in exact
    decimal arithmetic.

    Args:
        prices: costs and budget.
        deployment: "student" or "ensemble".
        responses: "own" or "shared".

    Raises:
        UserError: a price is out of range, or the budget buys no student or too many to count.
    """
    check_prices(prices)
    c, t, budget = _units(prices)
    shared = responses == "shared"
    most_responses = min((budget - t) // c if c else MAX_WHOLE, prices.max_responses or MAX_WHOLE)
    most_students = 1 if deployment == "student" else ((budget - c) // t if shared else budget // (c + t))
    if min(most_responses, most_students) > MAX_DESIGNS or max(most_responses, most_students) >= MAX_WHOLE:
        raise UserError(
            f"the budget of {prices.budget:g} buys {most_responses} responses or {most_students} students, too many to "
            "count; give a smaller budget, or max_responses"
        )
    whole = np.int64 if budget < MAX_WHOLE else object
    if most_students <= most_responses:
        m = np.arange(1, most_students + 1).astype(whole)
        k = np.full_like(m, most_responses)
        if c:
            k = np.minimum((budget - m * t) // (c if shared else m * c), k)
        keep = _last_of_equals(k)
    else:
        k = np.arange(1, most_responses + 1).astype(whole)
        m = (budget - k * c) // t if shared else budget // (k * c + t)
        keep = _last_of_equals(m)
    pairs = np.stack([k[keep], m[keep]], axis=1)
    pairs = np.concatenate([pairs, np.array([(1, 1), (1, most_students), (most_responses, 1)], dtype=whole)])
    cost = pairs[:, 0] * c * (1 if shared else pairs[:, 1]) + pairs[:, 1] * t
    pairs = pairs[np.lexsort((pairs[:, 0], cost))].astype(np.int64)
    # Equal pairs are neighbours now: students are not free, so cost and k say m.
    fresh = np.append(True, (pairs[1:] != pairs[:-1]).any(axis=1))
    return Designs(pairs[fresh, 0], pairs[fresh, 1])


def predicted_variance(
    response_variance: FloatArray | float, floor: FloatArray | float, designs: Designs, responses: str
) -> FloatArray:
    """Variance of what is deployed: ``(a/k + b) / m`` with own responses, ``a/k + b/m`` with shared ones.

    Sharing is charged with all of a. Interactions of a response with other seeds, which are part of a, do average out
    over the students; so for shared responses this is an upper bound.

    Args:
        response_variance: a, a number or (replicates, 1).
        floor: b, likewise.
        designs: k and m, (designs,).
        responses: "own" or "shared".

    Returns:
        (designs,) or (replicates, designs).
    """
    k, m = designs
    if responses == "shared":
        return np.asarray(response_variance / k + floor / m)
    return np.asarray((response_variance / k + floor) / m)


def best_designs(
    response_variance: FloatArray, floor: FloatArray, designs: Designs, responses: str
) -> NDArray[np.intp]:
    """Position of the design with the least variance, the cheapest of equals, for each pair of a and b.

    Args:
        response_variance: (replicates,) a >= 0.
        floor: (replicates,) b >= 0.
        designs: what can be afforded, cheapest first.
        responses: "own" or "shared".

    Returns:
        (replicates,).
    """
    blocks = np.array_split(
        np.stack([response_variance, floor], axis=1),
        math.ceil(len(response_variance) * len(designs.num_students) / MAX_ELEMENTS),
    )
    return np.concatenate(
        [predicted_variance(one[:, :1], one[:, 1:], designs, responses).argmin(axis=1) for one in blocks]
    )


def _units(prices: Prices) -> tuple[int, int, int]:
    """Costs and budget as whole multiples of one unit, from the decimals that they are written with."""
    exact = [Fraction(str(float(price))) for price in prices[:3]]
    unit = math.lcm(*(one.denominator for one in exact))
    c, t, budget = (int(one * unit) for one in exact)
    return c, t, budget


def _last_of_equals(falling: NDArray[Any]) -> NDArray[np.bool_]:
    """Of pairs whose first number rises and whose second never does, those with the largest first for their second."""
    return np.append(falling[:-1] != falling[1:], True)
