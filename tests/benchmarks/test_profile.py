"""Samples of the kernel, by what they compute."""

import pytest

from benchmarks.profile import parts_of


def test_every_sample_of_the_kernel_belongs_to_a_part():
    lines = [
        "# comment",
        "    40.00%  kd_uncertainty_kernel.so   [.] avx512::tile<11, 2>     ",
        "    10.00%  kd_uncertainty_kernel.so   [.] avx512::strip<2, 12>",
        "    20.00%  kd_uncertainty_kernel.so   [.] avx512::Workspace::backward",
        "     5.00%  kd_uncertainty_kernel.so   [.] avx512::distillation",
        "     5.00%  kd_uncertainty_kernel.so   [.] something_new",
        "    15.00%  libpython3.11.so.1.0       [.] gc_collect_main",
    ]
    shares = parts_of(lines)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["matrix products"] == pytest.approx(50 / 80)
    assert shares["optimiser, biases, activations"] == pytest.approx(20 / 80)
    assert shares["batches and bookkeeping"] == pytest.approx(5 / 80)


def test_nothing_sampled_is_no_share():
    assert set(parts_of([]).values()) == {0.0}
