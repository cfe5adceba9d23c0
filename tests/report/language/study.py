"""A synthetic language study with known figures, so that every verdict is known beforehand."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pandas as pd

from ..deviations.study import bounded, put

SPREAD = {("train", "embedding"): 0.5, ("train", "answers"): 0.6, ("test", "embedding"): 0.55, ("test", "answers"): 0.7}
"""V by split and space."""
ARMS = (
    *(("multi", k) for k in (1, 2, 4, 8)),
    *((method, k) for method in ("averaging", "variance_paper", "variance_honest") for k in (2, 4, 8)),
    ("token", 1),
    ("token", 8),
)
AVERAGED = {1: 1.0, 2: 0.9, 4: 0.6, 8: 0.4}
"""Inter-student variance of averaging over V: more than 1/k, and less than one response's."""
WEIGHTED = {"averaging": 1.0, "variance_paper": 0.7, "variance_honest": 0.8}
"""The same over that of averaging."""
TEACHER_METRICS = {
    "accuracy": 0.62,
    "modal_accuracy": 0.74,
    "systematic_noise": 0.26,
    "hallucination": 0.12,
    "similarity": 0.71,
    "entropy_token": 0.62,
    "entropy_answers": 1.1,
    "semantic_entropy": 0.8,
    "num_clusters": 2.6,
}
SAID = {
    "What is the capital of France?": ("Paris", {"paris": 0.8, "lyon": 0.1, "london": 0.1}),
    "What is the opposite of hot?": ("cold", {"cold": 0.55, "hot": 0.25, "warm": 0.2}),
    "What is 7 plus 5?": ("12", {"12": 0.4, "13": 0.3, "11": 0.1, "75": 0.1}),
    "What is the chemical symbol of gold?": ("Au", {"au": 0.3, "gold": 0.35, "g": 0.2}),
    "What is the plural of mouse?": ("mice", {"mouse": 0.7, "mice": 0.3}),
    "Which month comes after May?": ("June", {"june": 0.95, "july": 0.05}),
}
"""Question: reference, and the teacher's answers with their shares; what is missing are other answers."""
COUNTS = (1, 2, 4, 8)
Tables = dict[str, pd.DataFrame]

__all__ = ["make_tables", "put"]


def shares(method: str, k: int, split: str) -> dict[str, float]:
    """Intra and inter over V: the law on trained prompts, and hardly any effect on held-out ones."""
    if split == "test":
        return {"intra": 0.8, "inter": 0.15}
    if method == "multi":
        return {"intra": 0.03 if k == 1 else 1.0 - 1.0 / k, "inter": 1.0 / k}
    if method == "token":
        return {"intra": 0.6 if k == 1 else 0.95, "inter": 0.3 if k == 1 else 0.05}
    return {"intra": 0.05, "inter": AVERAGED[k] * WEIGHTED[method]}


def answer_variance() -> pd.DataFrame:
    rows = []
    for method, k in ARMS:
        for (split, space), whole in SPREAD.items():
            own = shares(method, k, split)
            figures = {name: share * whole for name, share in own.items()}
            figures |= {"total": whole * sum(own.values()), "inter_response": figures["inter"], "teacher": whole}
            figures |= {"law_intra": (1.0 - 1.0 / k) * whole, "law_inter": whole / k}
            for component, value in figures.items():
                key = {"method": method, "num_responses": k, "split": split, "space": space, "component": component}
                rows.append(bounded(key, value, 0.05 * value + 1e-4))
    return pd.DataFrame(rows)


def student_metrics(method: str, k: int, split: str) -> dict[str, float]:
    """Students repeat their teacher on trained prompts, more so with more responses; weighting as published is off."""
    level = math.log2(k) / 3.0
    one = level if method in ("multi", "token") else 0.2
    held_out = 0.25 if split == "test" else 0.0
    accuracy = (0.45 if method == "variance_paper" else 0.6) - held_out
    return {
        "accuracy": accuracy,
        "modal_accuracy": accuracy + 0.05,
        "systematic_noise": 0.4 - 0.15 * level + held_out / 2.0,
        "hallucination": 0.35 - 0.25 * level + held_out / 4.0,
        "similarity": 0.6,
        "keeps_modal": 0.6 + 0.3 * level - held_out,
        "entropy_token": 0.1 + 0.4 * one,
        "entropy_answers": 0.1 + 0.9 * one,
        "semantic_entropy": 0.1 + 0.6 * one,
        "num_clusters": 1.1 + one,
    }


def answer_metrics() -> pd.DataFrame:
    rows = []
    for method, k in (("teacher", 0), *ARMS):
        for split in ("train", "test"):
            for metric, value in (student_metrics(method, k, split) if k else TEACHER_METRICS).items():
                key = {"method": method, "num_responses": k, "split": split, "metric": metric}
                rows.append(bounded(key, value, 0.03))
    return pd.DataFrame(rows)


def said(method: str, k: int, shares_: dict[str, float]) -> dict[str, float]:
    """All answers keep the teacher's shares; one chosen answer is its favourite, nearly always."""
    if method in ("teacher", "token") or (method == "multi" and k > 1):
        return shares_
    favourite = max(shares_, key=lambda answer: shares_[answer])
    return {favourite: 0.9, **{answer: 0.1 for answer in list(shares_)[1:2] if answer != favourite}}


def answer_frequencies() -> pd.DataFrame:
    rows = []
    for source, k in (("teacher", 0), *ARMS):
        for prompt, (reference, own) in enumerate(SAID.values()):
            for answer, share in said(source, k, own).items():
                key = {"source": source, "num_responses": k, "prompt": prompt, "answer": answer}
                rows.append(
                    key | {"count": round(64 * share), "share": share, "correct": answer == reference.casefold()}
                )
    return pd.DataFrame(rows)


def sample_answers() -> pd.DataFrame:
    rows = []
    for source, k in (("teacher", 0), ("multi", 1), ("multi", 8), ("averaging", 8)):
        for prompt, (question, (reference, own)) in enumerate(SAID.items()):
            answers = ", ".join(f"{answer} ({round(64 * share)})" for answer, share in said(source, k, own).items())
            split = "test" if prompt % 3 == 2 else "train"
            key = {"prompt": prompt, "split": split, "question": question, "reference": reference}
            rows.append(key | {"source": f"{source}, k = {k}" if k else source, "answers": answers})
    return pd.DataFrame(rows)


def surrogate() -> pd.DataFrame:
    rows = []
    for method in ("multi", "averaging", "variance_paper", "variance_honest"):
        for k in COUNTS:
            for space, whole in (("embedding", 0.4), ("answers", 0.5)):
                plain = method == "multi"
                intra = (1.0 - 1.0 / k) * whole if plain else 0.0
                inter = whole / k if plain else AVERAGED[k] * WEIGHTED[method] * whole
                figures = {
                    "intra": intra,
                    "inter": inter,
                    "bias": 0.0 if plain else whole * (1.1 - WEIGHTED[method]) / 4.0,
                }
                for component, exact in figures.items():
                    key = {"method": method, "num_responses": k, "space": space, "component": component}
                    law = {"intra": intra, "inter": inter}.get(component, math.nan) if plain else math.nan
                    row = key | {"exact": exact, "law": law}
                    rows.append(bounded(row, exact * 1.004, 0.01 * exact))
    return pd.DataFrame(rows)


def plan() -> pd.DataFrame:
    rows = [{"method": method, "num_responses": k} for method, k in ARMS for _ in range(4)]
    return pd.DataFrame(rows).assign(student=np.arange(len(rows)))


def student_curves() -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for student, method, k in plan()[["student", "method", "num_responses"]].itertuples(index=False):
        floor = 0.8 * (1.0 - 1.0 / k) if method in ("multi", "token") else 0.05
        for step in range(0, 40, 3):
            loss = floor + (2.5 + 0.1 * (student % 4)) * math.exp(-step / 8.0)
            rows.append({"student": student, "step": step, "train_loss": loss})
    return pd.DataFrame(rows)


MAKERS = (
    answer_variance,
    answer_metrics,
    answer_frequencies,
    sample_answers,
    surrogate,
    plan,
    student_curves,
)


def make_tables() -> Tables:
    """All tables of the study, as the stages write them; they are the caller's own."""
    return {name: frame.copy() for name, frame in _made().items()}


@functools.cache
def _made() -> Tables:
    return {make.__name__: make() for make in MAKERS}


def make_task() -> dict[str, Any]:
    return {
        "num_prompts": 48,
        "num_train": 36,
        "num_test": 12,
        "num_references": 48,
        "has_references": True,
        "relations": dict.fromkeys(("capital", "opposite", "arithmetic", "symbol", "plural", "month"), 8),
        "template": "Question: {question}\nAnswer:",
        "match": "exact",
    }
