"""Suprema over replacements against loops over sequences of examples."""

import itertools

import numpy as np
import pytest

from kd_uncertainty.bounds.enumerated import data_set_types, enumerate_process
from kd_uncertainty.bounds.sensitivity import neighbours, sensitivity

from .small_processes import naive_gap, naive_kernel, random_process


@pytest.mark.parametrize("seed", range(8))
def test_suprema_are_those_of_plain_loops(seed):
    process = random_process(seed, max_examples=2)
    inputs, classes = process.labels.shape
    models = range(len(process.losses))
    cells = list(itertools.product(range(inputs), range(classes)))
    mean_gap, mean_loss, spread = {}, {}, 0.0
    for data in itertools.product(cells, repeat=process.num_examples):
        kernel = naive_kernel(process.teacher, process.losses, data)
        gaps = [naive_gap(process, data, model) for model in models]
        mean_gap[data] = sum(kernel[model] * gaps[model] for model in models)
        mean_loss[data] = [sum(kernel[model] * process.losses[model][x][y] for model in models) for x, y in cells]
        spread = max(spread, max(gaps) - min(gaps))
    difference = stability = 0.0
    for data, gap in mean_gap.items():
        for place, cell in itertools.product(range(len(data)), cells):
            other = (*data[:place], cell, *data[place + 1 :])
            difference = max(difference, abs(gap - mean_gap[other]))
            stability = max(stability, *(abs(a - b) for a, b in zip(mean_loss[data], mean_loss[other], strict=True)))
    found = sensitivity(process, enumerate_process(process))
    assert found == pytest.approx((difference, stability, spread, np.ptp(process.losses)), abs=1e-12)


def test_what_cannot_occur_does_not_count():
    process = random_process(2)
    labels = np.zeros_like(process.labels)
    labels[:, 0] = 1.0
    inputs = np.eye(len(process.inputs))[0]
    with np.errstate(divide="ignore"):
        process = process._replace(labels=labels, inputs=inputs)
        found = sensitivity(process, enumerate_process(process))
    assert found.difference == found.stability == found.spread == 0.0


def test_neighbours_differ_by_one_example():
    counts = data_set_types(4, 2, 2).reshape(-1, 4)
    before, after = neighbours(counts, np.array([True, True, True, True]))
    apart = counts[before] - counts[after]
    assert (np.abs(apart).sum(axis=1) == 2).all()
    pairs = set(zip(before.tolist(), after.tolist(), strict=True))
    distance = np.abs(counts[:, None] - counts[None]).sum(axis=2)
    assert pairs == set(zip(*(index.tolist() for index in np.nonzero(distance == 2)), strict=True))
