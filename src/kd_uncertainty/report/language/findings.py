"""Sentences of the language report's advice: every word follows from a figure with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kd_uncertainty.report.comparison import as_estimate
from kd_uncertainty.report.findings import Finding
from kd_uncertainty.report.language.arms import TEST, TRAIN, Arm, Study
from kd_uncertainty.report.language.choice import eligible, enough, guard_of, inter, space_of, tied
from kd_uncertainty.report.language.wording import METRIC_NAMES, SPACE_NAMES, WEIGHTINGS, metric_text, share_text
from kd_uncertainty.report.rules import sides
from kd_uncertainty.report.wording import listing, plural

Claims = Mapping[str, Mapping[str, Any]]
"""Claims as JSON by key."""
TEACHING = {
    "multi": "Train on all {k} answers to a prompt",
    "averaging": "Train on the one answer of {k} that is nearest to their mean",
    "variance_paper": "Train on the answer of {k} nearest to the variance-weighted mean, as published",
    "variance_honest": "Train on the answer of {k} nearest to the variance-weighted mean, with an honest estimate",
    "token": "Train on the token probabilities along {k} answers to a prompt",
}


def teaching(arm: Arm) -> str:
    """``Train on all 4 answers to a prompt``."""
    if (arm.method, arm.num_responses) == ("multi", 1):
        return "Train on a single answer to a prompt"
    text = TEACHING.get(arm.method, f"Train by {arm.method.replace('_', ' ')} with {{k}} answers")
    text = text.replace("{k} answers", "one answer") if arm.num_responses == 1 else text
    return text.replace("{k}", str(arm.num_responses))


def _beside(study: Study, arm: Arm, split: str) -> str:
    """``inter-student variance 12% of the teacher's V, accuracy 61%``."""
    space, guard = space_of(study), guard_of(study)
    parts = []
    share = study.share("inter", arm, split, space)
    if share.known:
        parts.append(f"inter-student variance {share_text(share)} of V")
    if guard is not None and arm.metric(guard, split).known:
        parts.append(f"{METRIC_NAMES[guard]} {metric_text(guard, arm.metric(guard, split))}")
    return " and ".join(parts)


def choice_finding(choice: Arm, study: Study) -> Finding:
    """What to do: the steadiest students among those that are not measurably worse."""
    guard = guard_of(study)
    own = inter(study, choice)
    title = teaching(choice)
    among = f" of all ways whose {METRIC_NAMES[guard]} is not measurably below the best" if guard else ""
    sentence = (
        f"{title}: on prompts that students were trained on this has the lowest upper end of the inter-student "
        f"variance ({SPACE_NAMES[space_of(study)]}){among}: {_beside(study, choice, TRAIN)}"
    )
    known = study.share("inter", choice, TRAIN, space_of(study)).known
    sentence += ", where V is the variance of the teacher’s responses." if known else "."
    held_out = _beside(study, choice, TEST)
    if held_out:
        sentence += f" On held-out prompts, which played no part in the choice: {held_out}."
    single = study.single
    if single is not None and single is not choice and inter(study, single).known:
        sentence += f" A single response has {_beside(study, single, TRAIN)}."
    figures: dict[str, object] = {"arm": choice.label, "inter": own.as_json(), "guard": guard}
    return Finding("choice", title, sentence, figures=figures)


def rivals_finding(choice: Arm, study: Study) -> Finding:
    """How many of the other arms the measurement cannot tell apart from the choice."""
    others = [arm for arm in eligible(study) if arm is not choice]
    same, left_out = tied(study, choice, others), len(study.arms) - 1 - len(others)
    guard = guard_of(study)
    as_good = f" with as good {METRIC_NAMES[guard]}" if guard else ""
    noun = "other way" if len(others) == 1 else "other ways"
    title = f"{len(same)} of the {len(others)} {noun}{as_good} cannot be told apart from the choice"
    names = f": {'; '.join(arm.label for arm in same)}" if same else ""
    sentence = f"{title} by inter-student variance (the interval of the difference covers zero){names}."
    if left_out:
        sentence += (
            f" {left_out} {'is' if left_out == 1 else 'are'} left out as measurably worse by it, or not measured."
        )
    figures: dict[str, object] = {"tied": [arm.label for arm in same]}
    return Finding("rivals", title, sentence, "tied" if same else "clear", figures)


def budget_finding(choice: Arm, study: Study, task: Mapping[str, Any]) -> Finding | None:
    """How many answers to buy."""
    if choice.num_responses < 1 or len(study.of(choice.method)) < 2:
        return None
    least = enough(study, choice)
    title = f"Buy {plural(least.num_responses, 'answer')} a prompt"
    count = task.get("num_train")
    size = f", {plural(int(count) * least.num_responses, 'answer')} in all" if count else ""
    told = listing(
        f"{share_text(study.share('inter', arm, TRAIN, space_of(study)))} of V at k = {arm.num_responses}"
        for arm in study.of(choice.method)
        if inter(study, arm).known
    )
    if least is choice:
        why = "with fewer the inter-student variance is measurably higher"
    else:
        why = f"k = {choice.num_responses} is not measurably steadier"
    sentence = f"{title}{size}: {why}. The inter-student variance of this method is {told}."
    most = max(arm.num_responses for arm in study.of(choice.method))
    if least.num_responses == most:
        sentence += " More than these were not measured, and may do better still."
    return Finding("budget", title, sentence, figures={"num_responses": least.num_responses})


def single_finding(study: Study) -> Finding | None:
    """What a single response does to the teacher's uncertainty."""
    single, space = study.single, space_of(study)
    if single is None:
        return None
    intra, between = (study.share(name, single, TRAIN, space) for name in ("intra", "inter"))
    if not (intra.measured and between.measured):
        return None
    lost = intra.upper < 1.0
    title = "Do not read a teacher’s uncertainty off students of a single response" if lost else (
        "A single response does not measurably suppress a student’s own uncertainty here"
    )  # fmt: skip
    sentence = (
        f"{title}: each keeps {share_text(intra)} of V within itself, and they differ from each other by "
        f"{share_text(between)} of V ({SPACE_NAMES.get(space, space)}, trained prompts)."
    )
    figures: dict[str, object] = {"intra": intra.as_json(), "inter": between.as_json()}
    return Finding("single", title, sentence, "lost" if lost else "kept", figures)


def uncertainty_finding(study: Study) -> Finding | None:
    """Which students keep the teacher's uncertainty: the arm whose intra-student variance is nearest to V."""
    space = space_of(study)
    shares = [(arm, study.share("intra", arm, TRAIN, space)) for arm in study.arms]
    shares = [(arm, share) for arm, share in shares if share.measured]
    if len(shares) < 2:
        return None
    arm, share = min(shares, key=lambda item: (abs(item[1].estimate - 1.0), item[0].num_responses))
    title = f"For students that are as unsure as their teacher, {teaching(arm)[0].lower()}{teaching(arm)[1:]}"
    rest = [(other, one) for other, one in _last_of_each(shares) if other is not arm]
    told = f"; {'; '.join(f'{other.label}: {share_text(one)}' for other, one in rest)}" if rest else ""
    sentence = f"{title}: of the teacher’s V a student then has {share_text(share)} within itself{told}."
    return Finding("uncertainty", title, sentence, figures={"arm": arm.label, "intra": share.as_json()})


def _last_of_each(shares: Sequence[tuple[Arm, Any]]) -> list[tuple[Arm, Any]]:
    """Of each method the arm with the most responses."""
    return list({arm.method: (arm, share) for arm, share in shares}.values())


def weighting_finding(claims: Claims) -> Finding | None:
    """Whether variance weighting is worth it beside averaging."""
    found = {name: claims[name] for name in WEIGHTINGS if claims.get(name, {}).get("figures")}
    if not found:
        return None
    counts = {}
    for name, claim in found.items():
        counts[name] = sides([as_estimate(value) for value in claim["figures"].values()])
    pays = any(one.below and not one.above for one in counts.values())
    title = "Variance weighting steadies students more than averaging" if pays else "Variance weighting is not worth it"
    names = {"variance_paper": "as published", "variance_honest": "with an honest estimate"}
    told = listing(
        f"{names[name]} it lies below 1 in {one.below} of {one.count} cases and above in {one.above}"
        for name, one in counts.items()
    )
    sentence = f"{title}. Inter-student variance over that of averaging at the same k: {told}."
    if pays:
        sentence += " Look at the accuracy beside it: students that all give one answer are steady, right or wrong."
    bias = claims.get("surrogate_bias", {})
    if bias.get("verdict") == "holds":
        sentence += (
            " In the surrogate its mean answer is further from the teacher’s than that of averaging, at every k."
        )
    return Finding("weighting", title, sentence, "pays" if pays else "does not pay")


def mistakes_finding(study: Study, claims: Claims) -> Finding | None:
    """What more responses do to mistakes."""
    found = [claims[name] for name in ("systematic_noise", "hallucination") if claims.get(name, {}).get("figures")]
    single = study.single
    if not found or single is None:
        return None
    fewer = [claim for claim in found if claim["verdict"] in ("holds", "holds in part")]
    title = (
        "More responses make fewer mistakes of both kinds"
        if len(fewer) == len(found) == 2 and all(claim["verdict"] == "holds" for claim in fewer)
        else "Do not count on more responses against mistakes"
        if not fewer
        else "More responses make fewer mistakes in places"
    )
    told = listing(f"that there is less {claim['key'].replace('_', ' ')} {claim['verdict']}" for claim in found)
    repeats = claims.get("repeats", {})
    sentence = f"{title}: {told}."
    if repeats.get("verdict") in ("holds", "holds in part"):
        sentence += " No way of teaching is surely better than the teacher: its mistakes are passed on."
        if repeats["verdict"] == "holds in part":
            sentence = sentence.replace("No way", "Hardly any way")
    return Finding("mistakes", title, sentence, figures={claim["key"]: claim["verdict"] for claim in found})


def held_out_finding(study: Study) -> Finding | None:
    """Whether what was measured on trained prompts says anything on others."""
    guard, space = guard_of(study), space_of(study)
    arms = study.of("multi")
    if not arms or guard is None:
        return None
    last = arms[-1]
    here, there = last.metric(guard, TRAIN), last.metric(guard, TEST)
    if not (here.measured and there.measured):
        return None
    carries = there.upper >= here.lower
    title = (
        "No loss on prompts that students were not trained on could be measured"
        if carries
        else "Expect less on prompts that students were not trained on"
    )
    sentence = (
        f"{title}: {METRIC_NAMES[guard]} of {last.label} is {metric_text(guard, here)} on trained prompts and "
        f"{metric_text(guard, there)} on held-out ones"
    )
    shares = [study.share("intra", last, split, space) for split in (TRAIN, TEST)]
    if all(share.known for share in shares):
        sentence += f", and intra-student variance {share_text(shares[0])} and {share_text(shares[1])} of V"
    return Finding("held_out", title, f"{sentence}.", "carries over" if carries else "does not")
