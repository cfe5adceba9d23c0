"""``kedro run`` with errors that speak to the user: one sentence and exit status 1 instead of a traceback."""

from __future__ import annotations

import atexit
import copy
import gc
import logging
from pathlib import Path
from types import TracebackType
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import _split_params
from kedro.io import DatasetError

from kd_uncertainty.errors import user_error

logger = logging.getLogger(__name__)


@click.group(name="kd-uncertainty")
def cli() -> None:
    """Commands of this project."""


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


@click.command()
@click.option("--env", "-e", default=None, help="Configuration environment, as of `kedro run`.")
@click.option("--params", default="", callback=_split_params, help="Parameters, as of `kedro run`.")
@click.option("--conf-source", default=None, help="Folder of the configuration.")
@click.option("--pipelines", "-p", default="classification,regression", show_default=True, help="Studies to look at.")
@click.option("--no-trial", is_flag=True, help="Estimate no time, train nothing.")
def device(env: str | None, params: dict[str, Any], conf_source: str | None, pipelines: str, no_trial: bool) -> None:
    """Say what a run will use before it starts: device, memory, backend, chunk, students, time."""
    from kedro.framework.session import KedroSession
    from kedro.utils import find_kedro_project
    from rich.console import Console

    from kd_uncertainty import device_check
    from kd_uncertainty.config import validate_parameters

    wanted = [name.strip() for name in pipelines.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in device_check.POPULATIONS]
    if unknown:
        known = ", ".join(device_check.POPULATIONS)
        raise click.ClickException(f"--pipelines: '{unknown[0]}' has no population to forecast; known: {known}")
    project = find_kedro_project(Path.cwd()) or Path.cwd()
    with KedroSession.create(project, env=env, conf_source=conf_source, runtime_params=params) as session:
        context = session.load_context()  # type: ignore[attr-defined]
        parameters = validate_parameters(context.config_loader["parameters"])
        facts = device_check.device_facts(parameters)
        forecasts = {
            study: device_check.forecast_study(
                study, parameters, context.catalog.load(f"{study}.source"), trial=not no_trial
            )
            for study in wanted
        }
    device_check.show(facts, forecasts, Console())


device.callback = _speaking(device.callback)
cli.add_command(device)
