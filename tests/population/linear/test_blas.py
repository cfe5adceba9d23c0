"""Rows of products know nothing of other rows, whatever the library."""

import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from kd_uncertainty.population.linear import blas
from kd_uncertainty.population.linear.blas import BLOCK, one_blas_thread, row_products

SHAPES = [(1, 1), (3, 2), (20, 21), (200, 21), (200, 252), (57, 130), (0, 4), (5, 0)]


def operands(inputs, outputs, rows=2 * BLOCK + 17):
    generator = np.random.default_rng(inputs + 1000 * outputs)
    return generator.standard_normal((rows, inputs)), generator.standard_normal((inputs, outputs))


def check_rows(inputs, outputs):
    """Every row alone, in small groups and in reverse order gives the bits that it gives among all."""
    rows, matrix = operands(inputs, outputs)
    products = row_products(rows, matrix)
    np.testing.assert_array_equal(row_products(rows[::-1], matrix)[::-1], products)
    np.testing.assert_array_equal(row_products(rows[5:], matrix), products[5:])
    np.testing.assert_array_equal(np.concatenate([row_products(row[None], matrix) for row in rows]), products)
    np.testing.assert_array_equal(row_products(np.asfortranarray(rows), np.asfortranarray(matrix)), products)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_row_depends_on_itself_alone(shape):
    check_rows(*shape)


@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_products_are_products(shape, uniform, monkeypatch):
    monkeypatch.setattr(blas, "_uniform", lambda *_: uniform)
    rows, matrix = operands(*shape)
    expected = (rows.astype(np.longdouble) @ matrix.astype(np.longdouble)).astype(np.float64)
    np.testing.assert_allclose(
        row_products(rows, matrix), expected, rtol=0, atol=1e-15 * max(shape[0], 1) ** 1.5 + 1e-15
    )


def test_a_library_that_fails_the_probe_is_asked_row_by_row(monkeypatch):
    monkeypatch.setattr(blas, "_uniform", lambda *_: False)
    check_rows(200, 21)


def test_the_probe_notices_a_row_that_rounds_differently(monkeypatch):
    assert blas._uniform.__wrapped__(50, 3)
    tile = np.tile

    def uneven(row, repeats):
        rows = tile(row, repeats)
        rows[-1] *= 1 + 2**-50  # as if an edge had summed in another order
        return rows

    monkeypatch.setattr(np, "tile", uneven)
    assert not blas._uniform.__wrapped__(50, 3)


def blas_threads():
    return {
        library["filepath"]: library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"
    }


def test_contexts_nest_and_overlap_and_restore_the_threads():
    torch_before, torch_wanted = torch.get_num_threads(), 3
    torch.set_num_threads(torch_wanted)
    before = blas_threads()
    try:
        with one_blas_thread():
            with one_blas_thread():
                pass
            assert set(blas_threads().values()) == {1}
            assert torch.get_num_threads() == 1
        # the first to enter leaves before the second, in another thread
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(second.__enter__).result()
            first.__exit__(None, None, None)
            assert set(blas_threads().values()) == {1}
            pool.submit(second.__exit__, None, None, None).result()
        assert blas_threads() == before
        assert torch.get_num_threads() == torch_wanted
    finally:
        torch.set_num_threads(torch_before)


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="these are kernels for x86-64")
@pytest.mark.parametrize("kernel", ["Nehalem", "Sandybridge", "Haswell", "Zen", "SkylakeX"])
def test_rows_depend_on_themselves_alone_with_other_kernels(kernel):
    if kernel == "SkylakeX" and torch.backends.cpu.get_cpu_capability() != "AVX512":
        pytest.skip("this machine has no AVX-512")
    code = "from tests.population.linear.test_blas import *\nfor shape in SHAPES: check_rows(*shape)"
    environment = {**os.environ, "OPENBLAS_CORETYPE": kernel, "OPENBLAS_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
