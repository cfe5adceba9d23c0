"""Claims on the tabular surrogate, whose students fit what was sampled: there the law must hold."""

from __future__ import annotations

import math
from dataclasses import replace

from kd_uncertainty.report.claims import Claim, law_claim
from kd_uncertainty.report.comparison import Estimate, difference
from kd_uncertainty.report.language.arms import over, scaled
from kd_uncertainty.report.language.claims.cells import Cell, Statement, one_sided
from kd_uncertainty.report.language.surrogate import Point, Surrogate
from kd_uncertainty.report.language.wording import WEIGHTINGS, exact_text, share_text
from kd_uncertainty.report.rules import ZERO, Verdict
from kd_uncertainty.report.wording import number, percent

SECTION = "surrogate"
LAW_FAILS = "students do not fit their answers, or the answers to a prompt are not independent draws"
NONE_RULE = "holds if the exact variance is zero to rounding at every k"


def surrogate_claims(surrogate: Surrogate, confidence: float) -> list[Claim]:
    """The law of students of all answers, simulation beside enumeration, and what the other methods do."""
    return [
        _law(surrogate, "intra", "(1 − 1/k) V", confidence),
        _law(surrogate, "inter", "V / k", confidence),
        _enumerated(surrogate, confidence),
        _nothing_within(surrogate),
        _slower(surrogate),
        _weighting(surrogate),
        _bias(surrogate),
    ]


def _law(surrogate: Surrogate, component: str, formula: str, confidence: float) -> Claim:
    points = surrogate.of("multi", component)
    name = f"{component}-student variance"
    claim = f"students that fit k sampled answers have the {name} {formula}, V the variance of the teacher’s responses"
    pairs = [(one.simulated, one.law) for one in points]
    found = law_claim((SECTION, f"surrogate_{component}", claim), pairs, confidence, "k and space", ours=True)
    gaps = [abs(one.exact - one.law) / one.law for one in points if one.law > 0.0 and not math.isnan(one.exact)]
    if not gaps:
        return replace(found, fails=LAW_FAILS)
    worst = "to rounding" if max(gaps) < 1e-9 else f"to {number(100.0 * max(gaps), 2)}%"
    sentence = f"Enumerated over all draws the {name} equals {formula} {worst}. Simulated students: {found.sentence}"
    return replace(found, sentence=sentence, fails=LAW_FAILS)


def _enumerated(surrogate: Surrogate, confidence: float) -> Claim:
    pairs = [(one.simulated, one.exact) for one in surrogate.points if one.component in ("intra", "inter")]
    claim = "simulated students of every method have the variances that enumeration gives"
    found = law_claim((SECTION, "surrogate_exact", claim), pairs, confidence, "method, k and space", ours=True)
    fails = "there are too few students, or an error in either"
    return replace(found, sentence=found.sentence.replace("the law", "enumeration"), fails=fails)


def _nothing_within(surrogate: Surrogate) -> Claim:
    statement = Statement(
        SECTION,
        "surrogate_nothing_within",
        "students of the one answer nearest to the mean of k have no intra-student variance",
        "a student keeps some randomness of its own",
        ours=True,
    )
    points = [(one, surrogate.spread(one.space)) for one in surrogate.of("averaging", "intra")]
    shares = [one.value.estimate / whole for one, whole in points if one.value.known and whole > 0.0]
    if not shares:
        return statement.claimed(NONE_RULE)
    most = max(shares)
    figure = Estimate(most, most, most)
    none = sum(share <= ZERO for share in shares)
    verdict: Verdict = "holds" if none == len(shares) else "holds in part" if none else "does not hold"
    sentence = f"The intra-student variance is at most {number(100.0 * most, 1)}% of V over {len(shares)} k and spaces."
    found = statement.claimed(NONE_RULE)
    measured = f"at most {number(100.0 * most, 1)}% of V"
    return replace(found, measured=measured, figure=figure, verdict=verdict, sentence=sentence)


def _slower(surrogate: Surrogate) -> Claim:
    statement = Statement(
        SECTION,
        "surrogate_slower",
        "averaging lowers the inter-student variance more slowly than 1/k",
        "answers lie so close that the middle one is as good as their mean",
        ours=True,
    )
    cells = []
    for one in surrogate.of("averaging", "inter"):
        law = surrogate.spread(one.space) / one.num_responses
        if one.num_responses > 1 and law > 0.0:
            cells.append(Cell(one.where, over(one.value, Estimate(law, law, law))))
    return one_sided(
        statement,
        "inter-student variance over V / k, exact where enumerated",
        cells,
        below=False,
        value=1.0,
        shown_value="1",
        text=exact_text,
    )


def _weighting(surrogate: Surrogate) -> Claim:
    statement = Statement(
        SECTION,
        "surrogate_weighting",
        "variance weighting lowers the inter-student variance below that of averaging at the same k",
        "the students’ side carries no information on the teacher’s mean, or the same answer stays nearest",
    )
    cells = [Cell(one.where, _against(one, other)) for one, other in _weighted(surrogate, "inter")]
    what = "inter-student variance over that of averaging, exact where enumerated"
    return one_sided(statement, what, cells, below=True, value=1.0, shown_value="1", text=exact_text)


def _bias(surrogate: Surrogate) -> Claim:
    statement = Statement(
        SECTION,
        "surrogate_bias",
        "what variance weighting gains in steadiness it pays in bias: its mean answer is further from the teacher’s",
        "students’ side and teacher agree on the mean answer",
        ours=True,
    )
    cells = []
    for one, other in _weighted(surrogate, "bias"):
        whole = surrogate.spread(one.space)
        if whole > 0.0:
            cells.append(Cell(one.where, scaled(difference(*_alike(one, other)), 1.0 / whole)))
    what = "squared bias minus that of averaging, as a share of V, exact where enumerated"
    return one_sided(statement, what, cells, below=False, value=0.0, shown_value="0", text=_share_text)


def _share_text(figure: Estimate) -> str:
    return percent(figure.estimate) if figure.lower == figure.upper else share_text(figure)


def _weighted(surrogate: Surrogate, component: str) -> list[tuple[Point, Point]]:
    """The points of variance weighting with those of averaging; with one response there is nothing to choose."""
    averaging = {(one.num_responses, one.space): one for one in surrogate.of("averaging", component)}
    return [
        (one, averaging[one.num_responses, one.space])
        for method in WEIGHTINGS
        for one in surrogate.of(method, component)
        if one.num_responses > 1 and (one.num_responses, one.space) in averaging
    ]


def _against(one: Point, other: Point) -> Estimate:
    return over(*_alike(one, other))


def _alike(one: Point, other: Point) -> tuple[Estimate, Estimate]:
    """Both exact, or both simulated by the same draws."""
    exact = not (math.isnan(one.exact) or math.isnan(other.exact))
    return (one.value, other.value) if exact else (one.simulated, other.simulated)
