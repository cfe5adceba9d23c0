"""Teachers by name, as sections of the configuration list them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny

from kd_uncertainty.schemas import NO_TEACHER
from kd_uncertainty.teachers.contract import TeacherOptions, teacher_options


def _drop_switched_off(value: Any) -> Any:
    """Let an environment or ``--params`` switch a teacher off by setting it to null."""
    if not isinstance(value, dict):
        return value
    kept = {name: options for name, options in value.items() if options is not None}
    if not kept:
        raise ValueError("at least one teacher is needed")
    for name in kept:
        if name == NO_TEACHER or not name or "/" in name:
            raise ValueError(
                f"a teacher cannot be called '{name}'; choose a name without '/' that is not '{NO_TEACHER}', "
                "which stands for students without a teacher"
            )
    return kept


Posteriors = Annotated[
    dict[str, SerializeAsAny[Annotated[TeacherOptions, BeforeValidator(teacher_options)]]],
    BeforeValidator(_drop_switched_off),
]
"""Options of teachers by name; a teacher that is null is switched off."""
