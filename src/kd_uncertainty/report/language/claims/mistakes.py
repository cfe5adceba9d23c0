"""Claims on mistakes: students repeat their teacher's, and whether more responses make fewer."""

from __future__ import annotations

from dataclasses import replace

from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.comparison import difference
from kd_uncertainty.report.language.arms import TRAIN, Arm, Study
from kd_uncertainty.report.language.claims.cells import Cell, Statement, known, one_sided, texts, trends
from kd_uncertainty.report.language.wording import SPLIT_NAMES, metric_text, share_text
from kd_uncertainty.report.rules import Verdict, sides, trend
from kd_uncertainty.report.wording import listing

SECTION = "mistakes"
SHARED = "holds if no interval of the difference lies above 0; in part if in fewer than half of the cases one does"
FEW = "there are too few prompts or students, or hardly any mistakes of this kind to begin with"


def mistake_claims(study: Study) -> list[Claim]:
    """What students keep of the teacher's answers, and the two kinds of mistakes that are defined here."""
    return [
        _keeps(study),
        _repeats(study),
        _fewer(study, "systematic_noise", "systematic noise (students agree on a wrong answer)"),
        _fewer(study, "hallucination", "hallucination (a student is sure of a wrong answer)"),
    ]


def _keeps(study: Study) -> Claim:
    statement = Statement(
        SECTION,
        "keeps_modal",
        "the more responses, the more often a student’s most frequent answer is the teacher’s",
        "the teacher’s first answer is far ahead of its second: one draw then shows it already",
        ours=True,
    )
    arms = study.of("multi")
    x = [float(arm.num_responses) for arm in arms]
    found = [(SPLIT_NAMES[TRAIN], trend(x, [arm.metric("keeps_modal", TRAIN) for arm in arms]))]
    told = [Cell(arm.label, arm.metric("keeps_modal", TRAIN)) for arm in arms]
    more = f"{texts(known(told), share_text)}." if known(told) else ""
    return trends(statement, "share of prompts whose modal answer is kept", found, rises=True, more=more)


def _repeats(study: Study) -> Claim:
    statement = Statement(
        SECTION,
        "repeats",
        "students repeat their teacher’s mistakes: no way of teaching makes them more accurate than it",
        "the modal answer is right more often than a single draw, and students sharpen towards it",
        ours=True,
    )
    cells = known([
        Cell(f"{arm.label}, {SPLIT_NAMES[split]}", difference(arm.metric("accuracy", split), told))
        for split in study.splits
        if (told := study.teacher.metric("accuracy", split)).known
        for arm in study.arms
    ])  # fmt: skip
    if not cells:
        return statement.claimed(SHARED)
    counted = sides([cell.figure for cell in cells], 0.0)
    few = 2 * counted.above < counted.count
    verdict: Verdict = "holds" if not counted.above else "holds in part" if few else "does not hold"
    most = max(cells, key=lambda cell: cell.figure.estimate)
    teacher = listing(
        f"{metric_text('accuracy', told)} on {SPLIT_NAMES[split]}"
        for split in study.splits
        if (told := study.teacher.metric("accuracy", split)).known
    )
    sentence = (
        f"The teacher’s own accuracy is {teacher}. Student minus teacher: measurably less in {counted.below} of "
        f"{counted.count} cases, more in {counted.above}; the largest is {share_text(most.figure)} ({most.where})."
    )
    return replace(
        statement.claimed(SHARED),
        measured=f"at most {share_text(most.figure)} ({most.where})",
        figure=most.figure,
        verdict=verdict,
        sentence=sentence,
        figures={cell.where: cell.figure.as_json() for cell in cells},
    )


def last_arms(study: Study) -> list[Arm]:
    """The arm with the most responses of every method that has more than one."""
    found = [study.of(method)[-1] for method in study.methods]
    return [arm for arm in found if arm.num_responses > 1]


def _fewer(study: Study, metric: str, name: str) -> Claim:
    statement = Statement(SECTION, metric, f"with more responses there is less {name}", FEW)
    single = study.single
    cells = [
        Cell(f"{arm.label}, {SPLIT_NAMES[split]}", difference(arm.metric(metric, split), single.metric(metric, split)))
        for split in study.splits
        for arm in last_arms(study)
        if single is not None
    ]
    start = [Cell(SPLIT_NAMES[split], single.metric(metric, split)) for split in study.splits if single is not None]
    more = f"A single response: {texts(known(start), share_text)}." if known(start) else ""
    what = f"{metric.replace('_', ' ')}, difference to students of a single response"
    return one_sided(statement, what, cells, below=True, value=0.0, shown_value="0", text=share_text, more=more)
