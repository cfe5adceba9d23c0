"""Claims on the methods beside students of all k answers: averaging, variance weighting, token probabilities."""

from __future__ import annotations

from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.comparison import difference
from kd_uncertainty.report.language.arms import TRAIN, Arm, Study, over
from kd_uncertainty.report.language.claims.cells import Cell, Statement, one_sided
from kd_uncertainty.report.language.wording import SPACE_NAMES, SPLIT_NAMES, share_text

SECTION = "methods"
WHERE = SPLIT_NAMES[TRAIN]


def method_claims(study: Study) -> list[Claim]:
    """Averaging against one answer, the law and all answers; weighting against averaging; tokens against answers."""
    return [
        _averaging_lowers(study),
        _averaging_slower(study),
        _averaging_removes(study),
        _weighting(study, "variance_paper"),
        _weighting(study, "variance_honest"),
        _token_keeps(study),
        _token_lowers(study),
    ]


def _spaced(arm: Arm, space: str) -> str:
    return f"{arm.label}, {SPACE_NAMES.get(space, space)}"


def against(study: Study, component: str, method: str, other: str, *, least: int = 1) -> list[Cell]:
    """A component of a method's arms over that of another method's at the same k, from ``least`` responses on."""
    pairs = [(arm, study.find(other, arm.num_responses)) for arm in study.of(method) if arm.num_responses >= least]
    return [
        Cell(
            _spaced(arm, space),
            over(arm.component(component, TRAIN, space), beside.component(component, TRAIN, space)),
        )
        for arm, beside in pairs
        if beside is not None
        for space in study.spaces()
    ]


def _averaging_lowers(study: Study) -> Claim:
    statement = Statement(
        SECTION,
        "averaging_lowers",
        "averaging k responses lowers the inter-student variance below that of a single response",
        "the middle answer of k is as random as any one of them, as with k = 2",
    )
    single = study.single
    cells = [
        Cell(_spaced(arm, space), over(arm.component("inter", TRAIN, space), single.component("inter", TRAIN, space)))
        for arm in study.of("averaging")
        for space in study.spaces()
        if single is not None and arm.num_responses > 1
    ]
    what = f"inter-student variance of averaging over that of a single response, {WHERE}"
    return one_sided(statement, what, cells, below=True, value=1.0, shown_value="1")


def _averaging_slower(study: Study) -> Claim:
    statement = Statement(
        SECTION,
        "averaging_slower",
        "averaging lowers the inter-student variance more slowly than the 1/k of a mean",
        "one answer dominates, so that the middle of k is nearly always the same",
        ours=True,
    )
    cells = [
        Cell(_spaced(arm, space), study.over_law("inter", arm, TRAIN, space))
        for arm in study.of("averaging")
        for space in study.spaces()
        if arm.num_responses > 1
    ]
    what = f"inter-student variance of averaging over V / k, {WHERE}"
    return one_sided(statement, what, cells, below=False, value=1.0, shown_value="1")


def _averaging_removes(study: Study) -> Claim:
    statement = Statement(
        SECTION,
        "averaging_removes",
        "averaging removes intra-student variance, which students of all k answers keep",
        "students keep the randomness that they started with",
        ours=True,
    )
    cells = against(study, "intra", "averaging", "multi", least=2)
    what = f"intra-student variance of averaging over that of students of all answers at the same k, {WHERE}"
    return one_sided(statement, what, cells, below=True, value=1.0, shown_value="1")


def _weighting(study: Study, method: str) -> Claim:
    published = method == "variance_paper"
    name = "as published, with the untrained student’s answers," if published else "with an honest estimate of students"
    statement = Statement(
        SECTION,
        method,
        f"variance weighting {name} lowers the inter-student variance below that of averaging at the same k",
        "the students’ side knows nothing of the prompt; it then pulls all students to one answer, right or wrong"
        if published
        else "trained students vary as much as the teacher’s mean does: the weight then stays with the teacher",
        ours=not published,
    )
    what = f"inter-student variance over that of averaging at the same k, {WHERE}"
    cells = against(study, "inter", method, "averaging", least=2)
    return one_sided(statement, what, cells, below=True, value=1.0, shown_value="1")


def _token_keeps(study: Study) -> Claim:
    statement = Statement(
        SECTION,
        "token_keeps",
        "token probabilities along one answer keep intra-student variance that the answer alone loses",
        "the teacher is sure of every token once the answer has begun",
        ours=True,
    )
    one, single = study.find("token", 1), study.single
    shares = (
        []
        if one is None or single is None
        else [
            Cell(
                _spaced(one, space),
                difference(study.share("intra", one, TRAIN, space), study.share("intra", single, TRAIN, space)),
            )
            for space in study.spaces()
        ]
    )
    what = f"intra-student variance at k = 1 less that of a single response, as a share of V, {WHERE}"
    return one_sided(statement, what, shares, below=False, value=0.0, shown_value="0", text=share_text)


def _token_lowers(study: Study) -> Claim:
    statement = Statement(
        SECTION,
        "token_lowers",
        "token probabilities lower the inter-student variance below that of the same k answers",
        "students differ by start and order of training more than by their answers",
        ours=True,
    )
    what = f"inter-student variance over that of students of the same answers, {WHERE}"
    cells = against(study, "inter", "token", "multi")
    return one_sided(statement, what, cells, below=True, value=1.0, shown_value="1")
