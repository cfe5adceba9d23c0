"""What methods, spaces, splits and metrics of the language study are called."""

from __future__ import annotations

from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.figures.style import INK
from kd_uncertainty.report.wording import value_text, with_bounds, with_interval

TEACHER, SINGLE = "teacher", "single response"
METHOD_NAMES = {
    "multi": "all k answers",
    "averaging": "averaging (the middle answer)",
    "variance_paper": "variance weighting, as published",
    "variance_honest": "variance weighting, honest",
    "token": "token probabilities",
}
SHORT_NAMES = {
    "multi": "all answers",
    "averaging": "averaging",
    "variance_paper": "weighting, published",
    "variance_honest": "weighting, honest",
    "token": "token probabilities",
    TEACHER: TEACHER,
}
METHODS = tuple(METHOD_NAMES)
WEIGHTINGS = ("variance_paper", "variance_honest")
COLOURS = {
    "multi": "#0072B2",
    "averaging": "#D55E00",
    "variance_paper": "#A65698",
    "variance_honest": "#009E73",
    "token": "#C07A00",
    TEACHER: INK,
}
SPLIT_NAMES = {"train": "trained prompts", "test": "held-out prompts"}
SPACE_NAMES = {"embedding": "embeddings", "answers": "normalised answers"}
SHARES = ("accuracy", "modal_accuracy", "systematic_noise", "hallucination", "similarity", "keeps_modal")
METRIC_NAMES = {
    "accuracy": "accuracy",
    "modal_accuracy": "accuracy of the modal answer",
    "systematic_noise": "systematic noise",
    "hallucination": "hallucination",
    "keeps_modal": "keeps the teacher’s modal answer",
    "entropy_token": "entropy a token, nats",
    "entropy_answers": "entropy of answers, nats",
    "semantic_entropy": "semantic entropy, nats",
    "num_clusters": "semantic clusters",
    "similarity": "similarity to the reference",
}


def arm_name(method: str, num_responses: int) -> str:
    """``all answers, k = 4``, ``single response``, ``teacher``."""
    if method == TEACHER:
        return TEACHER
    if (method, num_responses) == ("multi", 1):
        return SINGLE
    return f"{SHORT_NAMES.get(method, method.replace('_', ' '))}, k = {num_responses}"


def metric_text(metric: str, figure: Estimate) -> str:
    """A metric with its interval: shares in percent (a cosine as it is), the others as they are."""
    if metric in SHARES and metric != "similarity":
        return with_interval(figure, percentage=True)
    return with_bounds(figure, 2)


def exact_text(figure: Estimate) -> str:
    """A figure with its interval, or alone where it is exact."""
    return value_text(figure.estimate) if figure.lower == figure.upper else with_bounds(figure)


def share_text(figure: Estimate) -> str:
    """A share of the teacher's variance with its interval, in percent."""
    return with_interval(figure, percentage=True)
