"""The learning rate of every optimiser step."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.population.options import TrainingOptions


def steps_per_epoch(options: TrainingOptions, num_examples: int) -> int:
    """Return the optimiser steps of one epoch; the last, partial batch is one of them."""
    return math.ceil(num_examples / options.batch_size)


def learning_rates(options: TrainingOptions, num_examples: int) -> NDArray[np.float64]:
    """Return the learning rate of every optimiser step of a training, (steps,) float64.

    With r = ``learning_rate``, T steps in all, W of them in ``warmup_epochs``, and t counted from 0:

    - warm-up (Goyal et al. 2017, section 2.2), t < W: ``r (t + 1) / W``;
    - constant: ``r``;
    - step: ``r decay^k`` in epochs that k milestones have been reached in;
    - cosine (Loshchilov & Hutter 2017, equation 5, one cycle): ``r (1 + cos(pi (t - W) / (T - W))) / 2``.

    Args:
        options: how a network is trained.
        num_examples: its training examples.
    """
    steps = steps_per_epoch(options, num_examples)
    step, warmup = np.arange(options.epochs * steps), options.warmup_epochs * steps
    factors = np.ones(len(step))
    if options.schedule == "step":
        reached = np.searchsorted(options.milestones, step // steps, side="right")
        factors = np.power(options.decay, reached, dtype=np.float64)
    elif options.schedule == "cosine":
        factors = (1 + np.cos(np.pi * (step - warmup) / (len(step) - warmup))) / 2
    if warmup:
        factors[:warmup] = (step[:warmup] + 1) / warmup
    return np.asarray(options.learning_rate * factors, dtype=np.float64)
