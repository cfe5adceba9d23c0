"""Soft-label files of either encoding, and what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from scipy.special import log_softmax, softmax

from kd_uncertainty.datasets import SoftLabelTable
from kd_uncertainty.soft_labels import pack_tables
from kd_uncertainty.soft_labels.table import batches, describe, response_schema, response_table


def posterior(draws: int, examples: int, classes: int, seed: int = 0) -> torch.Tensor:
    """Logits (draws, examples, classes)."""
    return 3 * torch.randn(draws, examples, classes, generator=torch.Generator().manual_seed(seed))


def tables(teachers: dict[str, torch.Tensor], batch: int = 64) -> Iterator[pa.Table]:
    """List tables of every teacher; example i is called 2 i + 1, and they come in reverse."""
    schema = response_schema(describe({name: {} for name in teachers}, 0, ["a"]))
    for name, logits in teachers.items():
        ids = 2 * np.arange(logits.shape[1])[::-1] + 1
        for rows in batches(ids, batch):
            yield response_table(name, ids[rows], logits.flip(1)[:, rows], schema)


def write(path: Path, teachers: dict[str, torch.Tensor], encoding: str = "lists", batch: int = 64) -> Path:
    """The file, as the pipeline writes it."""
    found = tables(teachers, batch)
    draws = max(logits.shape[0] for logits in teachers.values())
    SoftLabelTable(str(path)).save(found if encoding == "lists" else pack_tables(found, draws))
    return path


def truth(logits: torch.Tensor) -> np.ndarray:
    """Log-probabilities (examples, draws, classes) float64 in the order of the file."""
    return log_softmax(logits.flip(1).transpose(0, 1).numpy().astype(np.float64), axis=-1)


def divergences(exact: np.ndarray, found: np.ndarray) -> np.ndarray:
    """KL of each vector's distribution."""
    return (softmax(exact, axis=-1) * (exact - log_softmax(np.asarray(found, np.float64), axis=-1))).sum(axis=-1)
