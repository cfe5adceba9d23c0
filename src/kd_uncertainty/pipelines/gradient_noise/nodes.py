"""Nodes of the gradient noise stage."""

from __future__ import annotations

import pandas as pd
from plotly.graph_objects import Figure

from kd_uncertainty.convergence.gradient_noise import GradientNoiseOptions, gradient_noise_table
from kd_uncertainty.convergence.world import LinearWorld, WorldOptions, linear_world
from kd_uncertainty.options import AnalysisOptions, ExecutionOptions
from kd_uncertainty.report.convergence.figures import make_figures
from kd_uncertainty.report.figures import portable
from kd_uncertainty.tasks.examples import bayes_probabilities, example_tensors


def measure_gradient_noise(
    examples: pd.DataFrame,
    world: WorldOptions,
    options: GradientNoiseOptions,
    analysis: AnalysisOptions,
    execution: ExecutionOptions,
) -> pd.DataFrame:
    """The noise of every kind of labels at the optimum, beside its closed form."""
    return gradient_noise_table(
        world_of(examples, world), options, confidence=analysis.confidence, progress=execution.progress
    )


def world_of(examples: pd.DataFrame, options: WorldOptions) -> LinearWorld:
    """The linear softmax world of the training split."""
    train = example_tensors(examples, "train")
    return linear_world(
        train.inputs.double().numpy(), train.labels.numpy(), bayes_probabilities(examples, "train"), options
    )


def plot_gradient_noise(gradient_noise: pd.DataFrame) -> Figure:
    """Draw measured noise against its closed form."""
    return portable(make_figures({"gradient_noise": gradient_noise})["gradient_noise"])
