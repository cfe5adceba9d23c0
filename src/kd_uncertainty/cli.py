"""``kedro run`` with errors that speak to the user: one sentence and exit status 1 instead of a traceback."""

from __future__ import annotations

import atexit
import copy
import gc
import logging
from types import TracebackType
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.io import DatasetError

from kd_uncertainty.errors import UserError

logger = logging.getLogger(__name__)


@click.group(name="kd-uncertainty")
def cli() -> None:
    """Commands of this project."""


def user_error(error: BaseException) -> UserError | None:
    """Find the ``UserError`` behind an exception that Kedro wrapped, if there is one."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, UserError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def sentence(error: Exception) -> str | None:
    """What to tell the user in place of a traceback; None if the traceback is what is needed.

    A ``UserError`` speaks for itself. Whatever goes wrong before the first node is about the command line or the
    configuration (a pipeline that does not exist, YAML that cannot be read), and files that cannot be read or written
    are the user's too. Anything else inside a node is a fault of the program, whose place matters.
    """
    cause = user_error(error)
    if cause is not None:
        return one_line(cause)
    if isinstance(error, DatasetError | OSError) or not _inside_a_node(error.__traceback__):
        return f"{one_line(error)} ({type(error).__name__})"
    return None


def one_line(error: BaseException) -> str:
    """The error's text without line breaks."""
    return " ".join(str(error).split()).rstrip(" .") or type(error).__name__


def _inside_a_node(traceback: TracebackType | None) -> bool:
    while traceback is not None:
        if traceback.tb_frame.f_globals.get("__name__", "").startswith("kedro.runner"):
            return True
        traceback = traceback.tb_next
    return False


def _speaking(callback: Any) -> Any:
    def run(*args: Any, **kwargs: Any) -> Any:
        # On the way out Python would search every object of torch and MLflow for cycles, twice: a second for nothing.
        atexit.register(gc.freeze)
        try:
            return callback(*args, **kwargs)
        except click.ClickException:
            raise
        except Exception as error:  # turned into a sentence, or raised again
            told = sentence(error)
            if told is None:
                raise
            logger.debug("the whole story", exc_info=error)
            raise click.ClickException(told) from error

    return run


run = copy.copy(kedro_run)
run.callback = _speaking(kedro_run.callback)
cli.add_command(run)
