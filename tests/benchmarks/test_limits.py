from __future__ import annotations

import shutil
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from benchmarks.limits import Limits
from benchmarks.workers import available_cores

pytestmark = pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")


@pytest.fixture(scope="module")
def limits(tmp_path_factory):
    return Limits(tmp_path_factory.mktemp("limits"), available_cores(2), seconds=0.02)


def test_no_matrix_product_is_faster_than_the_peak(limits):
    """The peak is a limit: numpy's own product stays below it, and is not hundreds of times slower either."""
    matrix = np.ones((512, 512), np.float32)
    best = np.inf
    with threadpool_limits(1):
        for _ in range(10):
            start = time.perf_counter()
            matrix @ matrix
            best = min(best, time.perf_counter() - start)
            limits.sample()
    peak = max(sample["flops_one_core"] for sample in limits.samples)
    assert 0.01 < 2 * 512**3 / best / peak < 1.1


def test_a_small_copy_is_faster_than_a_large_one(limits):
    for cores in ("one_core", "all_cores"):
        best = {name: max(sample[f"{name}_{cores}"] for sample in limits.samples) for name in ("copy_l2", "copy_large")}
        assert best["copy_l2"] > best["copy_large"] > 1e8


def test_the_summary_holds_the_medians(limits):
    limits.samples = [{"instructions": "avx2", "flops_all_cores": float(rate)} for rate in (1, 2, 9)]
    summary = limits.summary()
    assert summary["flops_all_cores"] == {"median": 2.0, "quartiles": [1.5, 5.5]}
    assert limits.peak() == 2.0
    assert limits.peak(since=2) == 9.0
    assert limits.peak(since=3) == 2.0  # nothing measured since: all that there is
    assert limits.instructions == "avx2"
