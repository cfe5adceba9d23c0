"""Nodes of the processes stage."""

from __future__ import annotations

import pandas as pd
from plotly.graph_objects import Figure

from kd_uncertainty.bounds.processes import ProcessesOptions, processes
from kd_uncertainty.options import ExecutionOptions
from kd_uncertainty.report.bounds.figures import make_figures
from kd_uncertainty.report.figures import portable


def enumerate_processes(options: ProcessesOptions, execution: ExecutionOptions) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Exact laws of small distillations, with every bound; and the sharpness-aware one at several radii."""
    found = processes(options, progress=execution.progress)
    return found.table, found.sharpness


def plot_processes(processes: pd.DataFrame, sharpness: pd.DataFrame) -> list[Figure]:
    """Draw bounds against the truth, and the sharpness-aware one against the radius."""
    figures = make_figures({"processes": processes, "sharpness": sharpness})
    return [portable(figures[name]) for name in ("processes", "sharpness")]
