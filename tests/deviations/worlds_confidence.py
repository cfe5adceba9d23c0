"""Logits of planted log-odds, and a world in which no student has seen the teacher."""

from __future__ import annotations

import numpy as np


def planted_logits(log_odds, classes, num_classes):
    """Logits whose class has these log-odds: all other classes share the rest. Shifted, so that a shift would show."""
    log_odds, classes = np.broadcast_arrays(log_odds, classes)
    is_class = np.arange(num_classes) == classes[..., None]
    return 7.0 + np.where(is_class, (log_odds + np.log(num_classes - 1.0))[..., None], 0.0)


def null_world(students, examples=400, classes=10, noise=2.0, seed=0):
    """Logits of a teacher (examples, classes) and of networks that share nothing with it but the truth."""
    generator = np.random.default_rng(seed)
    truth = 2.0 * generator.standard_normal((examples, classes))
    own = noise * generator.standard_normal((students + 1, examples, classes))
    return truth, truth + own[0], truth + own[1:]
