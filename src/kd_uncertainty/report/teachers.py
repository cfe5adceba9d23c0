"""Which teacher: the recommendation of the teacher comparison in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kd_uncertainty.report.comparison import as_estimate, verdict
from kd_uncertainty.report.findings import Finding, gap_text, points_text
from kd_uncertainty.report.wording import (
    listing,
    metric_with_interval,
    percent,
    plural,
    with_interval,
)

Figures = Mapping[str, Any]

FIGURE_NAMES = {
    "teacher_error": "error to the Bayes probabilities at the training points",
    "teacher_ece": "test ECE",
    "teacher_nll": "test NLL",
}
STUDENT_NAMES = {"nll": "NLL", "accuracy": "accuracy", "bayes_error": "error to the Bayes probabilities"}


def teacher_findings(recommendation: Figures) -> list[Finding]:
    """What the comparison says, in order: the teacher, whether a Bayesian one pays, the dials, and what tracks."""
    found = [_choice(recommendation)]
    for which, test in (("bayesian", _bayesian), ("recommended", _control)):
        if which in recommendation["figures"]:
            found += [finding for finding in [test(recommendation)] if finding is not None]
    found += [_dial(recommendation, "num_draws"), _mixed(recommendation), *_few_shot(recommendation)]
    return [*found, *_tracks(recommendation)]


def teachers_json(recommendation: Figures | None, task: Mapping[str, Any]) -> dict[str, Any] | None:
    """The recommendation as the summary has it, with its sentences and what to hold against them; None if not run."""
    if recommendation is None:
        return None
    found = teacher_findings(recommendation)
    caveats = [
        "Every teacher was fitted once, and the splits are one draw: no interval covers another fit or another split."
    ]
    if task.get("label_noise") or task.get("num_flipped"):
        caveats.append(
            "Training labels are noisy and those of the other splits are not, so that NLL and ECE favour teachers that "
            "are surer than the training labels warrant; the error to the Bayes probabilities does not."
        )
    return {
        **recommendation,
        "in_short": in_short(recommendation),
        "findings": [finding.as_json() for finding in found],
        "caveats": caveats,
    }


def in_short(recommendation: Figures) -> str:
    """The recommendation in a line: ``mse, k = 1, mixing 1, temperature 1``."""
    dials = {dial: recommendation[dial]["recommended"] for dial in ("teacher", "num_draws", "mixing", "temperature")}
    noise = " (within noise of the best)" if recommendation["teacher"]["within_noise"] else ""
    return (
        f"{dials['teacher']}{noise}, k = {dials['num_draws']}, mixing {dials['mixing']:g}, temperature "
        f"{dials['temperature']:g}"
    )


def _choice(recommendation: Figures) -> Finding:
    teacher = recommendation["teacher"]
    name, best = teacher["recommended"], teacher["best"]
    own = next(one for one in teacher["settings"] if one["value"] == name)
    title = f"Take the {name} teacher"
    sentence = f"{title}: its students' validation NLL is {with_interval(as_estimate(own['validation_nll']))}"
    if teacher["within_noise"]:
        gap = as_estimate(own["difference_to_best"])
        sentence += (
            f"; those of the {best} teacher have the lowest, but the difference, {with_interval(gap)}, is within "
            f"noise, and {name} is cheaper"
        )
    elif teacher["runner_up"] is not None:
        rival = teacher["runner_up"]
        gap = as_estimate(rival["difference"])
        word = "" if gap.upper < 0.0 else "; that is within noise, but nothing within noise is cheaper"
        sentence += f", the lowest; {gap_text(gap)} than with the runner-up, {rival['value']}{word}"
    sentence += (
        f". Of the resamples of students and validation examples, {percent(teacher['share_of_resamples'], 0)} put "
        f"{best} first. {_on_test(recommendation, 'recommended')}"
    )
    return Finding("teacher_choice", title, sentence, "within noise" if teacher["within_noise"] else "clear", teacher)


def _bayesian(recommendation: Figures) -> Finding | None:
    pair = recommendation["differences"].get("bayesian_to_baseline")
    if pair is None:
        return None
    gap, test = as_estimate(pair["validation_nll"]), as_estimate(pair["test"]["nll"])
    name = recommendation["figures"]["bayesian"]["cell"]["teacher"]
    titles = {
        "lower": "A Bayesian teacher pays here",
        "higher": "No Bayesian teacher pays here",
        "no measurable difference": "A Bayesian teacher makes no measurable difference here",
    }
    title = titles[verdict(gap)]
    sentence = (
        f"{title}: the best of them, {name}, against the {recommendation['baseline']} one, each at the mixing and "
        f"temperature that suit it: the students' validation NLL is {gap_text(gap)}; on the test split "
        f"{gap_text(test)}, and their accuracy {points_text(as_estimate(pair['test']['accuracy']))}."
    )
    return Finding("bayesian_teacher", title, sentence, verdict(gap), pair)


def _control(recommendation: Figures) -> Finding | None:
    pair = recommendation["differences"]["recommended_to_control"]
    gap, test = as_estimate(pair["validation_nll"]), as_estimate(pair["test"]["nll"])
    titles = {
        "lower": "Students of this teacher beat students of the labels",
        "higher": "Students of this teacher lose to students of the labels",
        "no measurable difference": "Students of this teacher are not told apart from students of the labels",
    }
    title = titles[verdict(gap)]
    sentence = (
        f"{title}: their validation NLL is {gap_text(gap)}; on the test split {gap_text(test)}, and their accuracy "
        f"{points_text(as_estimate(pair['test']['accuracy']))}."
    )
    return Finding("teacher_control", title, sentence, verdict(gap), pair)


def _dial(recommendation: Figures, dial: str) -> Finding:
    figures = recommendation[dial]
    teacher, best, chosen = recommendation["teacher"]["recommended"], figures["best"], figures["recommended"]
    if len(figures["settings"]) == 1:
        title = f"The {teacher} teacher has {plural(int(chosen), 'draw')} to give"
        return Finding(dial, title, f"{title}, so nothing is to be chosen.", "one setting", figures)
    own = next(one for one in figures["settings"] if one["value"] == chosen)
    verb = "is" if chosen == 1 else "are"
    title = f"{plural(int(chosen), 'draw')} of the {teacher} teacher {verb} enough"
    sentence = f"{title}: validation NLL {with_interval(as_estimate(own['validation_nll']))}"
    if figures["within_noise"]:
        gap = as_estimate(own["difference_to_best"])
        sentence += f", {with_interval(gap)} above the best, {plural(int(best), 'draw')}, which is within noise"
    share = percent(figures["share_of_resamples"], 0)
    return Finding(dial, title, f"{sentence}; k = {best} comes first in {share} of the resamples.", "", figures)


def _mixed(recommendation: Figures) -> Finding:
    mixing, temperature = recommendation["mixing"], recommendation["temperature"]
    title = f"Mix with weight {mixing['recommended']:g} at temperature {temperature['recommended']:g}"
    parts = []
    for word, dial in (("mixing", mixing), ("temperature", temperature)):
        share = percent(dial["share_of_resamples"], 0)
        noise = ", which is within noise" if dial["within_noise"] else ""
        parts.append(f"{word} {dial['best']:g} has the lowest validation NLL in {share} of the resamples{noise}")
    return Finding("mixing", title, f"{title}: {listing(parts)}.", "", {"mixing": mixing, "temperature": temperature})


def _few_shot(recommendation: Figures) -> list[Finding]:
    shares = recommendation["few_shot"]
    if len(shares) < 2:
        return []
    few, everything = shares[0], shares[-1]
    titles = {
        "higher": "The teacher is worth more where examples are few",
        "lower": "The teacher is worth less where examples are few",
        "no measurable difference": "The teacher is worth about as much where examples are few",
    }
    word = verdict(as_estimate(few["gain"]["accuracy"]))
    title = titles[word]
    gaps = [points_text(as_estimate(one["to_control"]["accuracy"])) for one in (few, everything)]
    sentence = (
        f"{title}: students that see {percent(few['fraction'], 0)} of them reach test accuracy "
        f"{metric_with_interval('accuracy', as_estimate(few['accuracy']))}, {gaps[0]} than students of the labels of "
        f"the same examples; with {percent(everything['fraction'], 0)} of them it is {gaps[1]}. The teacher saw all."
    )
    return [Finding("few_shot", title, sentence, word, {"few_shot": shares})]


def _tracks(recommendation: Figures) -> list[Finding]:
    tracks = recommendation["tracks"]
    found = []
    for metric in dict.fromkeys(track["student_metric"] for track in tracks):
        own = [track for track in tracks if track["student_metric"] == metric]
        known = [(FIGURE_NAMES[track["teacher_figure"]], as_estimate(track)) for track in own]
        known = [(name, value) for name, value in known if value.known]
        if not known:
            continue
        firm = [name for name, value in known if value.lower > 0.0 or value.upper < 0.0]
        what = f"students' {STUDENT_NAMES[metric]}"
        title = f"The {what} goes with the teacher's {listing(firm)}" if firm else f"Nothing tracks the {what}"
        ranks = listing(f"{name} {with_interval(value, places=2)}" for name, value in known)
        sentence = f"{title}: rank correlation over {own[0]['num_teachers']} teachers, test split, with {ranks}."
        found.append(Finding("tracks", title, sentence, listing(firm), {"tracks": own}))
    return found


def _on_test(recommendation: Figures, which: str) -> str:
    figures = recommendation["figures"][which]["test"]
    return (
        "On the test split, which played no part in the choice, they reach NLL "
        f"{with_interval(as_estimate(figures['nll']))} and accuracy "
        f"{metric_with_interval('accuracy', as_estimate(figures['accuracy']))}."
    )
