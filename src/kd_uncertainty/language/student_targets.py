"""The responses that students of every arm and response seed are trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_uncertainty.language.arms import draws_of, pilot_draw
from kd_uncertainty.language.embedding import lookup
from kd_uncertainty.language.options import LanguageStudentsOptions, Method
from kd_uncertainty.language.targets import StudentSide, choose, pilot_side, untrained_side

Embeddings = NDArray[np.float32]
COLUMNS = ("arm", "response_level", "prompt", "draw", "weight")


def train_prompts(prompts: pd.DataFrame) -> list[int]:
    """Return the numbers of the prompts that students learn, ascending."""
    return sorted(int(prompt) for prompt in prompts.loc[prompts["split"] == "train", "prompt"])


def pilot_targets(prompts: pd.DataFrame, options: LanguageStudentsOptions) -> pd.DataFrame:
    """Return the targets of the pilots: each a response of its own to every training prompt; none for the untrained.

    Args:
        prompts: columns prompt and split.
        options: of the students.
    """
    numbers = train_prompts(prompts)
    blocks = [
        _block(1, number, numbers, np.full((len(numbers), 1), pilot_draw(options, number)), 1.0)
        for number in range(1, options.pilot.num_students + 1)
    ]
    return pd.concat(blocks, ignore_index=True)


def student_targets(
    plan: pd.DataFrame,
    prompts: pd.DataFrame,
    responses: pd.DataFrame,
    embeddings: pd.DataFrame,
    pilot_answers: pd.DataFrame,
    options: LanguageStudentsOptions,
) -> pd.DataFrame:
    """Return which responses students learn: arm, response_level, prompt, draw and weight, which sums to 1 a prompt.

    Args:
        plan: of ``arms.make_plan``.
        prompts: columns prompt and split.
        responses: of ``read_responses``.
        embeddings: of all responses and of the pilots' answers.
        pilot_answers: columns student, prompt, sample and answer, of students of ``arms.pilot_plan``.
        options: of the students.
    """
    numbers = train_prompts(prompts)
    table = responses[responses["prompt"].isin(numbers)].sort_values(["prompt", "draw"])
    vectors = lookup(embeddings, table["answer"].tolist()).reshape(len(numbers), -1, _dimensions(embeddings))
    answers = _pilot_vectors(pilot_answers, numbers, embeddings)
    blocks = []
    arms: list[dict[str, Any]] = plan.drop_duplicates(["arm", "response_level"]).to_dict("records")  # type: ignore[assignment]
    for arm in arms:
        draws = np.asarray(list(draws_of(options, arm["response_level"], arm["num_responses"])))
        method: Method = arm["method"]
        kept, weights = choose(method, vectors[:, draws], _side(method, answers, len(draws)))
        blocks.append(_block(arm["arm"], arm["response_level"], numbers, draws[kept], weights))
    return pd.concat(blocks, ignore_index=True)


def _side(method: Method, answers: Embeddings, count: int) -> StudentSide | None:
    """The student's side: the untrained student's first k answers (all, if there are fewer), or the pilots' answers."""
    if method == "variance_paper":
        return untrained_side(answers[0, :, :count])
    return pilot_side(answers[1:]) if method == "variance_honest" else None


def _pilot_vectors(answers: pd.DataFrame, prompts: list[int], embeddings: pd.DataFrame) -> Embeddings:
    """Embeddings of the pilots' answers, (students, prompts, answers, dimensions)."""
    rows = answers[answers["prompt"].isin(prompts)].sort_values(["student", "prompt", "sample"])
    vectors = lookup(embeddings, rows["answer"].tolist())
    return vectors.reshape(rows["student"].nunique(), len(prompts), -1, vectors.shape[-1])


def _dimensions(embeddings: pd.DataFrame) -> int:
    return len(embeddings["embedding"].iloc[0])


def _block(arm: Any, level: Any, prompts: list[int], draws: NDArray[Any], weights: Any) -> pd.DataFrame:
    count = draws.shape[1]
    columns = {
        "arm": int(arm),
        "response_level": int(level),
        "prompt": np.repeat(prompts, count),
        "draw": draws.reshape(-1).astype(np.int64),
        "weight": np.broadcast_to(weights, draws.shape).reshape(-1).astype(np.float64),
    }
    return pd.DataFrame(columns)
