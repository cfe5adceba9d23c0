"""Precision is set where it is asked for, on the device that has it, and put back."""

import pytest
import torch

from kd_uncertainty.population.precision import forward_precision, product_precision

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def _allowed():
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


@pytest.fixture(params=[(False, True), (True, False)])
def before(request):
    found = _allowed()
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = request.param
    yield request.param
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = found


@pytest.mark.parametrize(("precision", "allowed"), [("float32", False), ("bf16", False), ("tf32", True)])
def test_tf32_is_allowed_to_products_and_convolutions_alike_only_if_asked_for(before, precision, allowed):
    with product_precision(GPU, precision):
        assert _allowed() == (allowed, allowed)
    assert _allowed() == before


def test_the_setting_is_put_back_after_an_error(before):
    with pytest.raises(KeyError), product_precision(GPU, "tf32"):
        raise KeyError
    assert _allowed() == before


def test_nothing_is_set_for_a_cpu(before):
    with product_precision(CPU, "tf32"):
        assert _allowed() == before


@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16"])
def test_bf16_is_autocast(precision):
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    with forward_precision(CPU, precision):
        assert torch.nn.functional.linear(torch.ones(2, 3), torch.ones(4, 3)).dtype == dtype
        assert not (precision == "bf16" and torch.is_autocast_cache_enabled())
    assert torch.nn.functional.linear(torch.ones(2, 3), torch.ones(4, 3)).dtype == torch.float32


def test_autocast_follows_the_weights():
    """A cache of cast weights would give the old product after the weights change."""
    weight = torch.ones(1, 2, requires_grad=True)
    with forward_precision(CPU, "bf16"):
        first = torch.nn.functional.linear(torch.ones(1, 2), weight)
        weight.data.mul_(3)
        second = torch.nn.functional.linear(torch.ones(1, 2), weight)
    assert (first.item(), second.item()) == (2.0, 6.0)
