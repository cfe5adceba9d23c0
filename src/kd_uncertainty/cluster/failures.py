"""What went wrong in a task, in the words in which it would have been said here."""

from __future__ import annotations

from kd_uncertainty.cluster.connection import TRIES, import_ray
from kd_uncertainty.errors import UserError


def translated(error: BaseException, doing: str, mend: str) -> BaseException:
    """Return the exception to raise in place of one that came back from Ray.

    An exception that a task raised comes back as itself, with Ray's record of where it was raised as its cause. That a
    worker process died again and again becomes a ``UserError``.

    Args:
        error: as Ray raised it.
        doing: what the worker did: "trained students".
        mend: what to lower if it died of its size: "execution.chunk_size".
    """
    exceptions = import_ray().exceptions
    if isinstance(error, exceptions.RayTaskError):
        cause: BaseException = error.cause
        if isinstance(cause, exceptions.RayError):  # of a task of the task's own
            return translated(cause, doing, mend)
        if cause.__cause__ is None:
            cause.__cause__ = error
        return cause
    if isinstance(error, exceptions.RayError):
        died = UserError(
            f"a worker process of the Ray cluster died {TRIES} times while it {doing}, as happens when memory runs out "
            f"({type(error).__name__}); finished work is kept: lower {mend} and run again"
        )
        died.__cause__ = error
        return died
    return error
