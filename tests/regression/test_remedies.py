"""The section on remedies against closed forms of linear students, and against the same done by hand."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from kd_uncertainty.population.linear.noise import standard_normals
from kd_uncertainty.regression._cells import seeds_of
from kd_uncertainty.regression.remedies import RemediesOptions, remedies_table
from tests.regression.worlds import QUICK, balanced_task, hat_matrices, task

ESTIMATED, ORACLE = "inverse_variance_estimated", "inverse_variance_oracle"
COLUMNS = [
    "model", "noise", "num_responses", "method", "responses_used", "num_students",
    *(f"{name}{bound}" for name in ("inter_variance", "test_mse", "variance_ratio", "equal_budget_ratio")
      for bound in ("", "_lower", "_upper")),
    "predicted_ratio", "closed_form_variance", "response_weight",
]  # fmt: skip


def linear(**settings):
    return RemediesOptions(models=("linear",), **settings)


def cell(table, method, num_responses=None):
    rows = table[table["method"] == method]
    (row,) = rows[rows["num_responses"] == (num_responses or rows["num_responses"].iloc[0])].itertuples()
    return row


def within(row, name, expected, errors=4.0):
    """Whether an estimate is within so many standard errors, on the logarithmic scale of its interval."""
    lower, upper = getattr(row, f"{name}_lower"), getattr(row, f"{name}_upper")
    error = np.log(upper / lower) / (2 * stats.t.ppf(0.975, row.num_students - 1))
    return abs(np.log(getattr(row, name) / expected)) < errors * error


def test_averages_of_linear_students_have_the_variance_of_theory_and_fall_as_one_over_k():
    data = task()
    found = remedies_table(data, linear(noise=(0.5,), num_responses=(1, 2, 5), methods=("average",), num_students=5000))
    _, to_test = hat_matrices(data)
    exact = 0.5 * data.train_targets.var() * (to_test**2).sum(axis=1).mean()
    for row in found.itertuples():
        assert row.closed_form_variance == pytest.approx(exact / row.num_responses, rel=1e-9)
        assert within(row, "inter_variance", row.closed_form_variance)
        assert row.responses_used == row.num_responses
    assert (found[["variance_ratio", "equal_budget_ratio", "predicted_ratio"]] == 1.0).all(axis=None)
    slope = np.polyfit(np.log(found["num_responses"]), np.log(found["inter_variance"]), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.05)


def test_the_oracle_gains_what_is_predicted():
    options = linear(noise=(0.1,), num_responses=(1, 2, 3, 8), methods=(ORACLE,), num_students=6000)
    found = remedies_table(task(), options)
    assert cell(found, ORACLE, 1).variance_ratio == pytest.approx(1.0, abs=1e-12)
    expected = stats.chi2(7).expect(lambda value: 1 / (1 + value / 8) ** 2)
    assert cell(found, ORACLE, 8).predicted_ratio == pytest.approx(expected, rel=1e-6)
    for row in found[found["num_responses"] > 1].itertuples():
        assert within(row, "variance_ratio", row.predicted_ratio)
        assert row.equal_budget_ratio == row.variance_ratio


@pytest.mark.parametrize(("own", "pilot"), [(4, None), (3, 2), (2, 9)])
def test_estimated_weights_are_worth_their_closed_form(own, pilot):
    data = task()
    options = linear(noise=(0.3,), num_responses=(own,), methods=(ESTIMATED,), pilot_responses=pilot, num_students=6000)
    row = cell(remedies_table(data, options), ESTIMATED)
    spent = own + (pilot or own)
    assert row.responses_used == spent
    hat, to_test = hat_matrices(data)
    of_pilot = np.diag(hat) / (pilot or own)
    weights = of_pilot / (of_pilot + 1 / own)
    rest = np.eye(len(hat)) - np.diag(weights)
    target = np.diag(weights**2) / own + rest @ hat @ rest / (pilot or own)
    variance = np.einsum("pi,ij,pj->p", to_test, target, to_test).mean()
    average = (to_test**2).sum(axis=1).mean()
    assert within(row, "variance_ratio", variance / (average / own))
    assert within(row, "equal_budget_ratio", variance / (average / spent))


def test_at_equal_leverage_the_pilot_gains_little_and_costs_nearly_twice():
    data, h = balanced_task(), 8 / 32
    row = cell(
        remedies_table(data, linear(noise=(1.0,), num_responses=(6,), methods=(ESTIMATED,), num_students=8000)),
        ESTIMATED,
    )
    worth = (1 + h**2) / (1 + h) ** 2
    assert within(row, "variance_ratio", worth)
    assert within(row, "equal_budget_ratio", 2 * worth)
    assert row.equal_budget_ratio_lower > 1.0


def test_covariances_tell_linear_students_that_nothing_is_left_to_gain():
    found = remedies_table(task(), linear(noise=(0.3,), num_responses=(1, 5), methods=("blue",), num_students=4000))
    for row in found.itertuples():
        assert row.variance_ratio == pytest.approx(1.0, abs=1e-3)
        assert row.variance_ratio_lower <= 1.0 <= row.variance_ratio_upper
        assert row.response_weight == pytest.approx(0.0, abs=1e-3)
        assert row.responses_used == row.num_responses
        assert np.isnan(row.predicted_ratio)


def test_estimating_the_covariances_makes_no_gain_of_nothing():
    """By Gauss and Markov nothing can gain; weights from the measured students themselves would seem to."""
    options = linear(noise=(0.3,), num_responses=(1,), methods=("blue",), num_students=60)
    logs = [
        np.log(remedies_table(task(30, 6, 10), options.model_copy(update={"seed": seed})).loc[0, "variance_ratio"])
        for seed in range(40)
    ]
    assert np.mean(logs) > -4 * np.std(logs, ddof=1) / np.sqrt(40)


def test_methods_are_those_done_by_hand():
    data, students, k, pilot, noise = task(20, 2, 7), 5, 2, 3, 0.4
    options = linear(noise=(noise,), num_responses=(k,), pilot_responses=pilot, num_students=students)
    found = remedies_table(data, options)
    hat, to_test = hat_matrices(data)
    means, sigma = hat @ data.train_targets, np.sqrt(noise * data.train_targets.var())
    normals = np.stack([standard_normals(seeds_of(9, "response", students), j, 20) for j in range(k + pilot)])
    responses = means + sigma * normals  # (k + pilot, students, examples)
    own, later = responses[:k].mean(0), responses[k:].mean(0)

    pilots, fitted = later @ hat, own @ hat
    teacher = responses.var(axis=0, ddof=1).mean(axis=1, keepdims=True) / k
    oracle = 1 / (1 + responses[:k].var(axis=0) / sigma**2)
    weights, share = np.empty((students, 20)), np.empty((students, 20))
    for student in range(students):
        others = [other for other in range(students) if (other - student) % 2]  # the other half
        variance = pilots[others].var(axis=0, ddof=1)
        weights[student] = variance / (variance + teacher[student])
        moments = np.mean([np.cov(own[others, point], fitted[others, point]) for point in range(20)], axis=0)
        limit = np.sqrt(moments[0, 0] * moments[1, 1])
        covariance = np.clip(moments[0, 1], -limit, limit)
        share[student] = (moments[1, 1] - covariance) / (moments[0, 0] + moments[1, 1] - 2 * covariance)
    by_hand = {
        "average": own,
        ORACLE: oracle * own + (1 - oracle) * means,
        ESTIMATED: weights * own + (1 - weights) * pilots,
        "blue": share * own + (1 - share) * fitted,
        "pilot": fitted,
    }
    baseline = (own @ to_test.T).var(axis=0, ddof=1).mean()
    rival = (responses.mean(0) @ to_test.T).var(axis=0, ddof=1).mean()
    for method, targets in by_hand.items():
        predictions, row = targets @ to_test.T, cell(found, method)
        variance = predictions.var(axis=0, ddof=1).mean()
        assert row.inter_variance == pytest.approx(variance, rel=1e-9)
        assert row.test_mse == pytest.approx(((predictions - data.test_targets) ** 2).mean(), rel=1e-9)
        assert row.variance_ratio == pytest.approx(variance / baseline, rel=1e-9)
        budget = rival if method == ESTIMATED else baseline
        assert row.equal_budget_ratio == pytest.approx(variance / budget, rel=1e-9)
    shares = {"average": 1.0, ORACLE: oracle.mean(), ESTIMATED: weights.mean(), "blue": share.mean(), "pilot": 0.0}
    for method, expected in shares.items():
        assert cell(found, method).response_weight == pytest.approx(expected, rel=1e-9)


def test_networks_gain_from_an_oracle_and_keep_a_floor_that_no_method_lowers_to_the_closed_form():
    data = task(40, 3, 15)
    options = RemediesOptions(models=("network",), noise=(1.0,), num_responses=(1, 8), num_students=40, network=QUICK)
    found = remedies_table(data, options)
    assert list(found.columns) == COLUMNS
    assert found["closed_form_variance"].isna().all()
    assert cell(found, ORACLE, 1).variance_ratio == pytest.approx(1.0, abs=1e-6)
    assert cell(found, ORACLE, 8).variance_ratio_upper < 1.0
    # a part of the variance is that of initialisations, so eight responses do not divide it by eight
    assert cell(found, "average", 1).inter_variance_upper < 8 * cell(found, "average", 8).inter_variance_lower
    bounds = found[["variance_ratio_lower", "variance_ratio", "variance_ratio_upper"]].to_numpy()
    assert np.isfinite(bounds).all()
    assert (np.diff(bounds, axis=1) >= 0).all()


def test_rows_are_functions_of_the_seed_alone():
    data = task(25, 3, 10)
    options = RemediesOptions(noise=(1.0, 0.1), num_responses=(2, 1), num_students=8, network=QUICK)
    first = remedies_table(data, options)
    assert list(first.columns) == COLUMNS
    keys = first[["model", "noise", "num_responses"]].drop_duplicates().to_numpy().tolist()
    assert keys == [[m, s, k] for m in ("linear", "network") for s in (0.1, 1.0) for k in (1, 2)]
    assert first["method"].tolist() == list(options.methods) * 8
    assert remedies_table(data, options, threads=2).equals(first)
    # the average over 2 was trained to compare with the pilots of k = 1; alone it is the same
    alone = options.model_copy(update={"num_responses": (2,), "noise": (0.1,), "methods": (ESTIMATED, "average")})
    some = first[(first["num_responses"] == 2) & (first["noise"] == 0.1) & first["method"].isin(alone.methods)]
    keyed = [table.set_index(["model", "method"]).sort_index() for table in (some, remedies_table(data, alone))]
    assert keyed[0].equals(keyed[1])
    assert not remedies_table(data, options.model_copy(update={"seed": 1})).equals(first)


def test_intervals_hold_the_oracles_ratio_at_their_rate():
    data, repetitions, held = task(15, 2, 6), 200, 0
    for seed in range(repetitions):
        options = linear(noise=(1.0,), num_responses=(3,), methods=(ORACLE,), num_students=60, seed=seed)
        (row,) = remedies_table(data, options, confidence=0.9).itertuples()
        held += row.variance_ratio_lower <= row.predicted_ratio <= row.variance_ratio_upper
    assert abs(held / repetitions - 0.9) < 4 * np.sqrt(0.9 * 0.1 / repetitions)


@pytest.mark.parametrize(
    ("methods", "students"),
    [
        (("average",), 4 * 2),
        (("blue",), 4 * (2 + 4)),
        (("blue", "pilot"), 4 * (2 + 6)),
        ((ESTIMATED, ORACLE), 4 * (3 + 4 + 2)),
    ],
)
def test_progress_counts_every_student_and_pilot(capsys, methods, students):
    # averages are those over 1 and 2 responses; with pilots also over 4
    options = linear(noise=(1.0,), num_responses=(1, 2), methods=methods, num_students=4)
    remedies_table(task(), options, progress=True)
    assert f"{students}/{students}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise": (0.0,)}, "greater than 0"),
        ({"num_responses": (0,)}, "greater than 0"),
        ({"num_responses": (3, 3)}, "names a value twice"),
        ({"methods": ("best",)}, "average"),
        ({"pilot_responses": 0}, "greater than 0"),
    ],
)
def test_impossible_options_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        RemediesOptions(**settings)
