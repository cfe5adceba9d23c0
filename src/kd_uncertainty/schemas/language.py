"""Tables of the language study."""

from __future__ import annotations

from typing import Any

from kd_uncertainty.schemas.columns import INTERVAL, check

_ARM = {"method": "text", "num_responses": "int"}


def prompts(data: Any) -> None:
    """One row a question: how it is asked, what is right, and whether students learn it."""
    texts = dict.fromkeys(("split", "relation", "question", "text"), "text")
    check("prompts", data, {"prompt": "int", **texts, "answer": "any", "aliases": "any"})


def teacher_samples(data: Any) -> None:
    """One row a prompt, for reading."""
    check("teacher_samples", data, {"prompt": "int", "question": "text", "reference": "text", "answers": "text"})


def student_samples(data: Any) -> None:
    """One row a prompt, one column an arm, for reading."""
    check("student_samples", data, {"prompt": "int", "question": "text", "reference": "text"})


def response_embeddings(data: Any) -> None:
    """One row a different text."""
    check("response_embeddings", data, {"text": "text", "embedding": "any"})


def answer_embeddings(data: Any) -> None:
    """One row a different text."""
    check("answer_embeddings", data, {"text": "text", "embedding": "any"})


def targets(data: Any) -> None:
    """One row a response that a student is trained on."""
    check("targets", data, {"arm": "int", "response_level": "int", "prompt": "int", "draw": "int", "weight": "float"})


def student_answers(data: Any) -> None:
    """One row a student, prompt and sampled answer."""
    keys = {"student": "int", "prompt": "int", "split": "text", "sample": "int"}
    said = {"answer": "text", "num_tokens": "int", "log_prob": "float", "entropy": "float", "finished": "bool"}
    check("student_answers", data, keys | said)


def answer_variance(data: Any) -> None:
    """One row an arm, split, space and component."""
    check("answer_variance", data, {**_ARM, "split": "text", "space": "text", "component": "text", **INTERVAL})


def answer_metrics(data: Any) -> None:
    """One row an arm, split and metric."""
    check("answer_metrics", data, {**_ARM, "split": "text", "metric": "text", **INTERVAL})


def answer_frequencies(data: Any) -> None:
    """One row a source, prompt and answer."""
    keys = {"source": "text", "num_responses": "int", "prompt": "int", "answer": "text"}
    check("answer_frequencies", data, {**keys, "count": "int", "share": "float", "correct": "any"})


def sample_answers(data: Any) -> None:
    """One row a prompt and source, for reading."""
    check("sample_answers", data, {"prompt": "int", "question": "text", "source": "text"})


def surrogate(data: Any) -> None:
    """One row a method, number of responses, space and component."""
    keys = {**_ARM, "space": "text", "component": "text"}
    check("surrogate", data, {**keys, "exact": "float", **INTERVAL, "law": "float"})
