"""The one exception that speaks to the user rather than to the programmer."""

from __future__ import annotations


class UserError(ValueError):
    """Something that the user gave cannot be used; the message is one sentence with place and mend.

    The command line prints the message alone, without a traceback, and exits with status 1.
    """


def user_error(error: BaseException) -> UserError | None:
    """Find the ``UserError`` behind an exception that Kedro or a worker wrapped, if there is one."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, UserError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None
