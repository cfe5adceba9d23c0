from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kd_uncertainty.errors import UserError
from kd_uncertainty.uncertainty import designs as module
from kd_uncertainty.uncertainty.designs import (
    DEPLOYMENTS,
    Designs,
    Prices,
    affordable_designs,
    best_designs,
    predicted_variance,
)

COST = st.decimals("1.0", "9.9", places=1)


def brute_force(prices, deployment, responses):
    """Every affordable pair with its cost, by two loops in exact arithmetic."""
    c, t, budget = (Fraction(str(price)) for price in prices[:3])
    found = {}
    k = 1
    while c * k + t <= budget and k <= (prices.max_responses or k):
        m = 1
        while (cost := c * k + m * t if responses == "shared" else m * (c * k + t)) <= budget:
            found[k, m] = cost
            if deployment == "student":
                break
            m += 1
        k += 1
    return found


def variance(a, b, k, m, responses):
    return a / k + b / m if responses == "shared" else (a / k + b) / m


@settings(max_examples=40, deadline=None)
@given(
    COST,
    COST,
    st.decimals("20", "70", places=1),
    st.sampled_from(DEPLOYMENTS),
    st.sampled_from([None, 1, 5]),
    st.floats(0.01, 10),
    st.floats(0.01, 10),
)
def test_the_best_design_by_brute_force(c, t, budget, way, most, a, b):
    prices = Prices(float(c), float(t), float(budget), most)
    everything = brute_force(prices, *way)
    designs = affordable_designs(prices, *way)
    pairs = list(zip(designs.num_responses.tolist(), designs.num_students.tolist(), strict=True))
    assert set(pairs) <= set(everything)
    assert len(set(pairs)) == len(pairs)
    costs = [everything[pair] for pair in pairs]
    assert costs == sorted(costs)
    for one, other in ((a, b), (0.0, b), (a, 0.0), (0.0, 0.0)):
        least = min(variance(one, other, *pair, way[1]) for pair in everything)
        cheapest = min(cost for pair, cost in everything.items() if variance(one, other, *pair, way[1]) == least)
        (best,) = best_designs(np.array([one]), np.array([other]), designs, way[1])
        assert variance(one, other, *pairs[best], way[1]) == pytest.approx(least, rel=1e-15)
        assert costs[best] == cheapest


def test_decimals_are_counted_as_they_are_written():
    """0.1 + 0.2 > 0.3 in floating point, and 0.3 / 0.1 < 3."""
    designs = affordable_designs(Prices(0.1, 0.2, 0.5), "student", "own")
    assert designs.num_responses.max() == 3
    assert affordable_designs(Prices(0.1, 0.2, 0.3), "ensemble", "own").num_students.tolist() == [1]
    thirds = affordable_designs(Prices(1 / 3, 1e-3, 100.0), "student", "own")
    assert thirds.num_responses.max() == 299


def test_amounts_with_many_digits_are_counted_too():
    designs = affordable_designs(Prices(1e-7 / 3, 1 / 7, 1e3), "ensemble", "own")
    k, m = designs
    costs = [
        y * (x * Fraction(str(1e-7 / 3)) + Fraction(str(1 / 7))) for x, y in zip(k.tolist(), m.tolist(), strict=True)
    ]
    assert max(costs) <= 1000
    assert m.max() == 6999  # 7000 students would leave nothing for responses


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    a, b = rng.gamma(1.0, 1.0, (2, 50))
    designs = affordable_designs(Prices(1.0, 7.0, 500.0), "ensemble", "shared")
    whole = best_designs(a, b, designs, "shared")
    monkeypatch.setattr(module, "MAX_ELEMENTS", 64)
    np.testing.assert_array_equal(best_designs(a, b, designs, "shared"), whole)


@pytest.mark.parametrize("responses", ["own", "shared"])
def test_large_budgets_reach_the_closed_form(responses):
    """k* = sqrt(a t / (b c)) and (sqrt(a c) + sqrt(b t))^2 / B where k and m are continuous."""
    a, b, c, t = 3.7, 0.13, 1.0, 211.0
    budgets = [1e4, 1e5, 1e6]
    closed = np.sqrt(a * t / (b * c))
    excess = []
    for budget in budgets:
        designs = affordable_designs(Prices(c, t, budget), "ensemble", responses)
        (best,) = best_designs(np.array([a]), np.array([b]), designs, responses)
        least = predicted_variance(a, b, designs, responses)[best]
        excess.append(least * budget / (np.sqrt(a * c) + np.sqrt(b * t)) ** 2 - 1.0)
        each = designs.num_responses[best] / (designs.num_students[best] if responses == "shared" else 1)
    assert each == pytest.approx(closed, rel=0.01)
    assert all(one >= -1e-12 for one in excess)  # whole numbers never beat the continuous optimum
    assert excess[-1] < 1e-4


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        (Prices(1.0, 5.0, 5.5), "budget of 5.5 buys no student: .*give at least 6$"),
        (Prices(-1.0, 5.0, 100.0), "cost_per_response is -1.0"),
        (Prices(1.0, 0.0, 100.0), "students are not"),
        (Prices(0.0, 1.0, 100.0), "max_responses how many"),
        (Prices(1.0, 1.0, 100.0, 0), "max_responses is 0"),
        (Prices(1.0, float("nan"), 100.0), "finite"),
        (Prices(1.0, 1.0, 1e12), "too many to count"),
    ],
)
def test_prices_that_buy_nothing_or_too_much_are_named(prices, message):
    with pytest.raises(UserError, match=message):
        affordable_designs(prices, "ensemble", "own")


def test_free_responses_are_taken_up_to_their_number():
    designs = affordable_designs(Prices(0.0, 2.0, 9.0, 6), "ensemble", "shared")
    (best,) = best_designs(np.array([1.0]), np.array([1.0]), designs, "shared")
    assert (designs.num_responses[best], designs.num_students[best]) == (6, 4)


def test_predicted_variances_are_those_of_simulated_ensembles():
    """Sharing is charged with the response's interactions too, which average out: there the prediction is a bound."""
    rng = np.random.default_rng(1)
    main, interaction, b, k, m, repetitions = 0.8, 0.3, 0.5, 4, 5, 40_000

    def draws(variance, students):
        return np.sqrt(variance) * rng.standard_normal((repetitions, students))

    def own_part():
        return draws(interaction / k, m) + draws(b, m)

    own = (draws(main / k, m) + own_part()).mean(axis=1)
    shared = (draws(main / k, 1) + own_part()).mean(axis=1)
    designs = Designs(np.array([k]), np.array([m]))
    predicted = {way: predicted_variance(main + interaction, b, designs, way)[0] for way in ("own", "shared")}
    error = 4 * np.sqrt(2 / repetitions)
    assert own.var(ddof=1) == pytest.approx(predicted["own"], rel=error)
    exact = main / k + (interaction / k + b) / m
    assert shared.var(ddof=1) == pytest.approx(exact, rel=error)
    assert exact < predicted["shared"]
