"""Small overlapping mixtures, on which networks of milliseconds interpolate, and options for them."""

from __future__ import annotations

import functools

from kd_uncertainty.deviations.switching import SwitchingOptions
from kd_uncertainty.networks import MLP

from ..convergence.worlds_networks import world

BUILD = functools.partial(MLP, 6, 3, hidden=[7])
"""The student of the options below."""


def small_world(**changes):
    """A task of a hundred training examples; batches of 16 leave a partial one."""
    return world(**({"train": 100, "validation": 60, "test": 50, "variance": 6.0} | changes))


def options(**changes):
    """Seven optimiser steps an epoch, six epochs."""
    fit = {"class": "kd_uncertainty.networks.MLP", "arguments": {"hidden": [64]}}
    settings = {
        "teacher": {"network": fit, "training": {"epochs": 80, "batch_size": 16, "learning_rate": 0.03}},
        "student": {
            "network": {"class": "kd_uncertainty.networks.MLP", "arguments": {"hidden": [7]}},
            "training": {"epochs": 6, "batch_size": 16, "optimiser": "sgd", "learning_rate": 0.2, "momentum": 0.8},
        },
        "temperature": 3.0,
        "fractions": [0.5],
        "num_seeds": 3,
        "seed": 5,
    }
    return SwitchingOptions.model_validate(settings | changes)
