"""``kedro run`` with errors that speak to the user: one sentence and exit status 1 instead of a traceback."""

from __future__ import annotations

import copy
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.io import DatasetError
from kedro.validation.exceptions import ParameterValidationError

from kd_uncertainty.errors import UserError


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


def _speaking(callback: Any) -> Any:
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return callback(*args, **kwargs)
        except (UserError, DatasetError, ParameterValidationError, ValueError) as error:
            cause = user_error(error)
            if cause is None and not isinstance(error, DatasetError):
                raise
            raise click.ClickException(" ".join(str(cause or error).split())) from error

    return run


run = copy.copy(kedro_run)
run.callback = _speaking(kedro_run.callback)
cli.add_command(run)
