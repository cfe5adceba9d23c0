"""Claims on real students' variances: what one response loses, how k brings it back, and the law."""

from __future__ import annotations

from dataclasses import replace

from kd_uncertainty.report.claims import Claim, law_claim
from kd_uncertainty.report.comparison import difference
from kd_uncertainty.report.language.arms import TEST, TRAIN, Arm, Study
from kd_uncertainty.report.language.claims.cells import Cell, Statement, known, one_sided, texts, together, trends
from kd_uncertainty.report.language.wording import SPACE_NAMES, SPLIT_NAMES, share_text
from kd_uncertainty.report.rules import MONOTONE, Verdict, contains, is_close, log_slope, trend
from kd_uncertainty.report.wording import listing, number, with_bounds

SECTION = "variance"
SUBSTANTIAL, NOTHING = 0.25, 0.1
"""Shares of V from which on variance is called substantial, and below which there is as good as none."""
UNTAUGHT = "students hardly learn: they then stay as random, and as alike, as before training"
UNFITTED = "students do not fit their answers, share them between prompts, or vary by their training as well"


def variance_claims(study: Study, confidence: float) -> list[Claim]:
    """One response, more responses, and the law, on prompts that students were trained on."""
    return [
        _suppressed(study),
        _substantial(study),
        _nothing(study),
        _law(study, "intra", "(1 − 1/k) V", confidence),
        _law(study, "inter", "V / k", confidence),
        _rises(study),
        _falls(study),
        _rate(study, confidence),
        _surer(study),
        _entropy(study),
    ]


def cells_of(study: Study, arm: Arm | None, component: str, split: str = TRAIN) -> list[Cell]:
    """A component of an arm over V, by space."""
    if arm is None:
        return []
    return [
        Cell(SPACE_NAMES.get(space, space), study.share(component, arm, split, space)) for space in study.spaces(split)
    ]


def _held_out(study: Study, arm: Arm | None, component: str) -> str:
    found = known(cells_of(study, arm, component, TEST))
    return f"On {SPLIT_NAMES[TEST]}: {texts(found, share_text)}." if found else ""


def _suppressed(study: Study) -> Claim:
    statement = Statement(
        SECTION, "single_suppressed", "distilling a single response suppresses intra-student uncertainty", UNTAUGHT
    )
    return one_sided(
        statement,
        f"intra-student variance of students of a single response over V, {SPLIT_NAMES[TRAIN]}",
        cells_of(study, study.single, "intra"),
        below=True,
        value=1.0,
        shown_value="100% of V",
        text=share_text,
        more=_held_out(study, study.single, "intra"),
    )


def _substantial(study: Study) -> Claim:
    statement = Statement(
        SECTION,
        "single_substantial",
        "distilling a single response leaves substantial inter-student variability",
        "students hardly move from the start that they share",
    )
    return one_sided(
        statement,
        f"inter-student variance of students of a single response over V, {SPLIT_NAMES[TRAIN]}",
        cells_of(study, study.single, "inter"),
        below=False,
        value=SUBSTANTIAL,
        shown_value=f"{SUBSTANTIAL:.0%} of V",
        text=share_text,
        more=_held_out(study, study.single, "inter"),
    )


def _nothing(study: Study) -> Claim:
    statement = Statement(
        SECTION,
        "single_nothing",
        "nothing of the intra-student variance is left at k = 1, as in the surrogate",
        "students stop short of reproducing their one answer every time",
        ours=True,
    )
    return one_sided(
        statement,
        f"intra-student variance at k = 1 over V, {SPLIT_NAMES[TRAIN]}",
        cells_of(study, study.single, "intra"),
        below=True,
        value=NOTHING,
        shown_value=f"{NOTHING:.0%} of V",
        text=share_text,
    )


def _law(study: Study, component: str, formula: str, confidence: float) -> Claim:
    arms = [arm for arm in study.of("multi") if component == "inter" or arm.num_responses > 1]
    claim = f"real students of k answers follow the surrogate’s law: {component}-student variance {formula}"
    ratios = known([
        Cell(f"{arm.label}, {SPACE_NAMES.get(space, space)}", study.over_law(component, arm, TRAIN, space))
        for arm in arms
        for space in study.spaces()
    ])  # fmt: skip
    pairs = [(cell.figure, 1.0) for cell in ratios]
    found = law_claim((SECTION, f"law_{component}", claim), pairs, confidence, "k and space", ours=True)
    if not ratios:
        return replace(found, fails=UNFITTED)
    sentence = f"On {SPLIT_NAMES[TRAIN]}: {texts(ratios)}. {found.sentence}"
    figures = {**found.figures, **{cell.where: cell.figure.as_json() for cell in ratios}}
    return replace(found, sentence=sentence, figures=figures, fails=UNFITTED)


def _rises(study: Study) -> Claim:
    """Judged by a difference, since a student of one response may keep nothing at all."""
    statement = Statement(
        SECTION,
        "intra_rises",
        "students of more responses reflect the teacher’s uncertainty better: intra-student variance rises with k",
        "the teacher is sure of its answers, or students keep the randomness that they started with",
    )
    arms = study.of("multi")
    cells, ranks = [], []
    for space in study.spaces() if len(arms) > 1 else []:
        shares = [study.share("intra", arm, TRAIN, space) for arm in arms]
        cells.append(Cell(SPACE_NAMES.get(space, space), difference(shares[-1], shares[0])))
        ranks.append(trend([float(arm.num_responses) for arm in arms], shares).spearman)
    what = f"intra-student variance of students of all k answers, last k less first, over V, {SPLIT_NAMES[TRAIN]}"
    more = f"Rank correlation with k: {listing([number(rank, 2) for rank in ranks])}." if ranks else ""
    claim = one_sided(statement, what, cells, below=False, value=0.0, shown_value="0", text=share_text, more=more)
    monotone = all(rank >= MONOTONE for rank in ranks)
    verdict = "holds in part" if claim.verdict == "holds" and not monotone else claim.verdict
    return replace(claim, verdict=verdict, rule=f"{claim.rule}, or if it does not rise from each k to the next")


def _falls(study: Study) -> Claim:
    statement = Statement(
        SECTION,
        "inter_falls",
        "students of more responses are more stable: inter-student variance falls with k",
        "start and order of training, which no number of responses removes, outweigh the responses",
    )
    arms = study.of("multi")
    x = [float(arm.num_responses) for arm in arms]
    found = [
        (SPACE_NAMES.get(space, space), trend(x, [study.share("inter", arm, TRAIN, space) for arm in arms]))
        for space in study.spaces()
    ]
    what = f"inter-student variance of students of all k answers, {SPLIT_NAMES[TRAIN]}"
    return trends(statement, what, found, rises=False)


def _rate(study: Study, confidence: float) -> Claim:
    statement = Statement(
        SECTION,
        "rate",
        "the noise of the responses falls at the rate 1/k",
        "there is a floor of start and order of training: inter(k) = a/k + b",
    )
    rule = (
        "holds if the slope of log inter on log k has an interval that contains −1, or lies within 5% of it, in every "
        "space; in part if it is surely negative"
    )
    arms = study.of("multi")
    x = [float(arm.num_responses) for arm in arms]
    slopes = known([
        Cell(
            SPACE_NAMES.get(space, space),
            log_slope(x, [arm.component("inter", TRAIN, space) for arm in arms], confidence),
        )
        for space in study.spaces()
    ])  # fmt: skip
    if not slopes:
        return statement.claimed(rule)
    words: list[Verdict] = [
        "holds"
        if contains(cell.figure, -1.0) or is_close(cell.figure, -1.0)
        else "holds in part"
        if cell.figure.upper < 0.0
        else "does not hold"
        for cell in slopes
    ]
    first = slopes[0]
    return replace(
        statement.claimed(rule),
        measured=f"slope {with_bounds(first.figure, 2)} ({first.where})",
        figure=first.figure,
        verdict=together(words),
        sentence=f"Slope of log inter-student variance on log k, {SPLIT_NAMES[TRAIN]}: {texts(slopes)}.",
        figures={cell.where: cell.figure.as_json() for cell in slopes},
    )


def _surer(study: Study) -> Claim:
    statement = Statement(
        SECTION, "single_surer", "students of a single response are surer of their answers than their teacher", UNTAUGHT
    )
    single, teacher = study.single, study.teacher
    metrics = {"entropy_answers": "entropy of answers", "entropy_token": "entropy a token"}
    cells = [
        Cell(f"{name}, {SPLIT_NAMES[split]}", difference(single.metric(metric, split), teacher.metric(metric, split)))
        for split in (TRAIN, TEST)
        for metric, name in metrics.items()
        if single is not None
    ]
    return one_sided(statement, "student minus teacher, nats", cells, below=True, value=0.0, shown_value="0")


def _entropy(study: Study) -> Claim:
    statement = Statement(
        SECTION,
        "entropy_rises",
        "with more responses the entropy of a student’s answers rises towards the teacher’s",
        "students are as unsure as their teacher, or more, whatever they are taught",
    )
    arms = study.of("multi")
    x = [float(arm.num_responses) for arm in arms]
    found = [(SPLIT_NAMES[TRAIN], trend(x, [arm.metric("entropy_answers", TRAIN) for arm in arms]))]
    told = study.teacher.metric("entropy_answers", TRAIN)
    more = f"The teacher’s is {with_bounds(told, 2)} nats." if told.known else ""
    return trends(statement, "entropy of a student’s answers", found, rises=True, more=more)
