"""What must hold before students are trained, so that hours of work do not end in an error."""

from __future__ import annotations

import pandas as pd

from kd_uncertainty.errors import UserError


def check_distributions(responses: pd.DataFrame) -> None:
    """Check that the teacher's probabilities along its responses are there.

    Args:
        responses: of ``read_responses``.

    Raises:
        UserError: if not.
    """
    if "top_ids" not in responses or responses["top_ids"].isna().any():
        raise UserError(
            "students.arms: method token learns from cached probabilities, and the responses have none (columns "
            "token_ids, top_ids, top_log_probs, tail_mass); leave the method out"
        )


def check_lengths(learnt: pd.DataFrame, context: int, most_new: int) -> None:
    """Check that every prompt has tokens, every response too, and that both, or an answer, fit the student's context.

    Args:
        learnt: indexed by prompt and draw; columns prompt_ids and answer_ids.
        context: tokens that the student sees.
        most_new: tokens of a student's answer at most.

    Raises:
        UserError: that names the first prompt of which this does not hold.
    """
    for (prompt, draw), asked, answer in zip(learnt.index, learnt["prompt_ids"], learnt["answer_ids"], strict=True):
        if not asked:
            raise UserError(f"prompt {prompt} has no tokens for the student; check language.ingestion.template")
        if not answer:
            raise UserError(f"response {draw} to prompt {prompt} has no tokens; take it out of the responses")
        if len(asked) + max(len(answer), most_new) > context:
            raise UserError(
                f"prompt {prompt} has {len(asked)} tokens, response {draw} to it {len(answer)}, and the student reads "
                f"{context} with an answer of up to {most_new}; shorten them, or lower "
                "language.students.sampling.max_new_tokens"
            )
