"""Answers side by side, for a person to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pandas as pd

MOST_PROMPTS = 24
"""Prompts in a table of sample answers."""


def teacher_samples(prompts: pd.DataFrame, responses: pd.DataFrame, most_prompts: int = MOST_PROMPTS) -> pd.DataFrame:
    """Return the teacher's answers to the first prompts of each split: prompt, split, question, reference, answers.

    Args:
        prompts: of ``read_prompts``.
        responses: columns prompt and answer.
        most_prompts: rows at most.
    """
    shown = _shown(prompts, most_prompts)
    by_prompt = responses.groupby("prompt")["answer"].agg(counted)
    return shown.assign(answers=[by_prompt.get(prompt, "") for prompt in shown["prompt"]])


def student_samples(
    prompts: pd.DataFrame, answers: pd.DataFrame, plan: pd.DataFrame, most_prompts: int = MOST_PROMPTS
) -> pd.DataFrame:
    """Return what all students of an arm answer: as ``teacher_samples``, with one column more an arm.

    Args:
        prompts: of ``read_prompts``.
        answers: columns student, prompt and answer.
        plan: columns student, method and num_responses.
        most_prompts: rows at most.
    """
    shown = _shown(prompts, most_prompts)
    wanted = answers[answers["prompt"].isin(shown["prompt"])].merge(plan[["student", "arm"]], on="student")
    table = wanted.pivot_table(index="prompt", columns="arm", values="answer", aggfunc=counted)
    arms = plan.drop_duplicates("arm")
    names = {row.arm: f"{row.method}, k = {row.num_responses}" for row in arms.itertuples(index=False)}
    return shown.merge(table.rename(columns=names).reset_index(), on="prompt", how="left")


def counted(answers: Iterable[str], most: int = 6) -> str:
    """``Paris (6), Lyon (2)``: the most frequent answers with their counts."""
    counts = Counter(map(str, answers))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    more = f", {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(f"{answer} ({count})" for answer, count in ordered[:most]) + more


def _shown(prompts: pd.DataFrame, most: int) -> pd.DataFrame:
    """The first prompts of every split, in their proportion."""
    share = min(1.0, most / max(len(prompts), 1))
    firsts = [rows.head(max(1, round(share * len(rows)))) for _, rows in prompts.groupby("split", sort=True)]
    shown = pd.concat(firsts).sort_values("prompt").reset_index(drop=True)
    return pd.DataFrame(
        {
            "prompt": shown["prompt"],
            "split": shown["split"],
            "question": shown["question"],
            "reference": shown["answer"].fillna(""),
        }
    )
