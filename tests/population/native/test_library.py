"""The kernel's random numbers, the bits of numpy's; and the memory and arithmetic of the kernel under sanitizers."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from kd_uncertainty.population import counter
from kd_uncertainty.population.native import library
from kd_uncertainty.population.native.build import FLAGS, KERNEL

needs_kernel = pytest.mark.skipif(library.obstacle() is not None, reason="no compiler")
SEEDS = counter.as_seeds([0, 1, 1 << 40, (1 << 64) - 1])


@needs_kernel
@pytest.mark.parametrize("count", [0, 1, 4, 63, 64, 65, 1000])
@pytest.mark.parametrize("purpose", [counter.ORDER, counter.NOISE, (1 << 32) - 1])
def test_words_are_those_of_numpy(count, purpose):
    streams = np.array([0, 7, 1 << 33, (1 << 64) - 1], dtype=np.uint64)
    found = counter._implementation.words(SEEDS, streams, purpose, count)
    assert counter._implementation.words is not counter._numpy_words
    assert np.array_equal(found, counter._numpy_words(SEEDS, streams, purpose, count))


@needs_kernel
@pytest.mark.parametrize("count", [1, 2, 3, 64, 1078, 70_000])
def test_orders_are_those_of_numpy(count):
    found = counter._implementation.orders(SEEDS, 3, count)
    assert np.array_equal(found, counter._numpy_orders(SEEDS, 3, count))


@needs_kernel
def test_equal_words_keep_the_order_of_positions():
    """In 70,000 words of 32 bits some are equal with near certainty, if a few epochs are looked at."""
    ties = 0
    for epoch in range(4):
        words = counter.philox_words(SEEDS[1:2], epoch, counter.ORDER, 70_000)[0]
        order = counter._implementation.orders(SEEDS[1:2], epoch, 70_000)[0]
        equal = words[order][1:] == words[order][:-1]
        assert (np.diff(order)[equal] > 0).all()
        ties += int(equal.sum())
    assert ties > 0


@needs_kernel
def test_an_unknown_instruction_set_is_refused():
    task = library.Task(isa=4)
    library.INSTRUCTION_SETS[4] = "such instructions"
    try:
        with pytest.raises(ValueError, match="this machine has no such instructions"):
            library.train(task)
    finally:
        del library.INSTRUCTION_SETS[4]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
def test_the_kernel_runs_clean_under_sanitizers(tmp_path):
    """Random cohorts on arrays of exactly the stated sizes, with every instruction set, in one and two threads."""
    program, source = tmp_path / "sanitize", Path(__file__).with_name("sanitize.cpp")
    sanitizers = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    flags = [flag for flag in FLAGS if flag != "-O3"]
    command = ["g++", *flags, *sanitizers, f"-I{KERNEL}", str(source), "-o", str(program)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if "cannot find -lasan" in built.stderr or "cannot find -lubsan" in built.stderr:
        pytest.skip("no sanitizers")
    assert built.returncode == 0, built.stderr
    run = subprocess.run([str(program)], capture_output=True, text=True, check=False, timeout=300)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip().endswith("cohorts")


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
def test_the_kernel_compiles_without_warnings(tmp_path):
    command = ["g++", *FLAGS, "-O0", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", str(KERNEL / "train.cpp")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
