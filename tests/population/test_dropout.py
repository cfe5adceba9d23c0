"""Masks from the contract's words, the same alone and among others, and in distribution those of nn.Dropout."""

import copy

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.utils.checkpoint import checkpoint

from kd_uncertainty.population.counter import DROPOUT, as_seeds, philox_words
from kd_uncertainty.population.dropout import (
    CounterDropout,
    _kept_by_numpy,
    _kept_by_torch,
    _Mask,
    dropout_keys,
    dropout_layers,
    named_keys,
    set_keys,
    set_step,
    with_counter_dropout,
)

from .worlds import CPU, mlp

ONES = torch.ones(40, 25)


def _dropping(*probabilities):
    """A network that is nothing but dropout, for student 7 at step 0."""
    network = with_counter_dropout(nn.Sequential(*(nn.Dropout(p) for p in probabilities)))
    layers = dropout_layers(network)
    set_keys(layers, dropout_keys([7], CPU)[0])
    set_step(layers, 0)
    return network


def _mask(seed, step, layer=0, p=0.3, shape=ONES.shape):
    """The mask by the contract: words of the stream (layer, step), against p of their range."""
    words = philox_words(as_seeds([seed]), (layer << 32) | step, DROPOUT, int(np.prod(shape)))
    kept = words.astype(np.float64) >= np.rint(p * 2.0**32)
    return torch.from_numpy(kept).view(shape).float() * torch.tensor(1 / (1 - p))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.999])
@pytest.mark.parametrize("step", [0, 3, 2**31 + 5])
def test_masks_are_those_of_the_contract(p, step):
    network = _dropping(0.2, p)
    set_step(dropout_layers(network), step)
    inputs = torch.randn(8, 3, 5)
    expected = inputs * _mask(7, step, 0, 0.2, inputs.shape) * _mask(7, step, 1, p, inputs.shape)
    assert torch.equal(network(inputs), expected)


def test_stacked_students_have_their_own_masks():
    network, seeds = _dropping(0.3), [7, 2**63 - 1, 0]
    set_keys(dropout_layers(network), dropout_keys(seeds, CPU))
    found = network(torch.ones(3, 40, 25))
    for student, seed in enumerate(seeds):
        assert torch.equal(found[student], _mask(seed, 0))


def test_vmapped_students_have_their_own_masks_and_gradients():
    """The gradient of the sum of squares is twice the input where it is kept, scaled twice."""
    network, seeds = _dropping(0.3), [7, 9, 7]
    layers, inputs = dropout_layers(network), torch.randn(3, 40, 25)
    set_step(layers, 4)
    keys = named_keys(layers, dropout_keys(seeds, CPU))

    def loss(values, keys):
        return functional_call(network, keys, (values,)).square().sum()

    found = vmap(grad(loss))(inputs, keys)
    for student, seed in enumerate(seeds):
        torch.testing.assert_close(found[student], 2 * inputs[student] * _mask(seed, 4).square())


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("layer", [0, 3])
def test_torch_makes_the_masks_that_numpy_makes(layer, p):
    """On other devices masks come from torch, without the host."""
    keys, step = dropout_keys([7, 2**63 - 1], CPU), torch.tensor(6)
    expected = _kept_by_numpy(keys, step, layer, p, 101)
    assert torch.equal(_kept_by_torch(keys, step, layer, p, 101), expected)
    assert expected.float().mean().item() == pytest.approx(1 - p, abs=0.15)


def test_on_other_devices_no_value_is_read_by_the_host():
    """Tensors of the device "meta" have no values, so that reading one would fail, as it does within CUDA graphs."""
    network = _dropping(0.3, 0.1).to("meta")
    layers, inputs = dropout_layers(network), torch.ones(3, 40, 25, device="meta")
    set_keys(layers, dropout_keys([7, 8, 9], torch.device("meta")))
    set_step(layers, 5)
    assert network(inputs).device.type == "meta"
    keys = named_keys(layers, dropout_keys([7, 8, 9], torch.device("meta")))
    loss = vmap(grad(lambda values, keys: functional_call(network, keys, (values,)).sum()))
    assert loss(inputs, keys).shape == inputs.shape


def test_evaluation_and_zero_probability_pass_inputs_on():
    assert _dropping(0.5).eval()(ONES) is ONES
    assert _dropping(0.0)(ONES) is ONES


def test_a_layer_that_drops_everything_gives_zeros():
    assert not _dropping(1.0)(torch.full((40, 25), 2.0)).any()


def test_the_kept_share_is_that_of_nn_dropout():
    for p in (0.1, 0.5, 0.9):
        values = _dropping(p)(torch.ones(1000, 100))
        kept = values != 0
        assert torch.equal(values[kept], torch.full_like(values[kept], 1 / (1 - p)))
        error = np.sqrt(p * (1 - p) / values.numel())
        assert abs(kept.float().mean().item() - (1 - p)) < 4 * error
        # by unit and by example, too
        assert stats.kstest((kept.float().mean(0) - (1 - p)) / (error * 10), "norm").pvalue > 1e-3
        assert abs(values.mean().item() - 1) < 4 * error / (1 - p)


def test_masks_of_steps_layers_calls_students_and_units_are_independent():
    shape = (50, 200)
    rows = [_mask(seed, step, layer, 0.5, shape).flatten() for seed in (1, 2) for step in (0, 1) for layer in (0, 1)]
    network = _dropping(0.5, 0.5)
    first = network(torch.ones(shape))
    set_keys(dropout_layers(network), dropout_keys([1], CPU)[0])
    rows.append(network[0](torch.ones(shape)).flatten())
    assert first.shape == shape
    correlations = np.corrcoef(torch.stack(rows).numpy())[np.triu_indices(len(rows), 1)]
    assert np.abs(correlations).max() < 4.5 / np.sqrt(shape[0] * shape[1])
    units = np.corrcoef(_mask(1, 0, 0, 0.5, (5000, 20)).T.numpy())[np.triu_indices(20, 1)]
    assert np.abs(units).max() < 4.5 / np.sqrt(5000)


def test_a_shared_layer_drops_otherwise_at_each_call_and_begins_again_each_step():
    shared = nn.Dropout(0.3)
    network = with_counter_dropout(nn.Sequential(shared, nn.Identity(), shared, nn.Dropout(0.3)))
    layers = dropout_layers(network)
    assert list(layers) == ["0", "3"]
    set_keys(layers, dropout_keys([7], CPU)[0])
    for _ in range(2):
        set_step(layers, 5)
        # its first call takes layer 0 of 2, its second layer 2
        expected = _mask(7, 5, layer=0) * _mask(7, 5, layer=2) * _mask(7, 5, layer=1)
        assert torch.equal(network(ONES), expected)


def test_only_plain_dropout_is_replaced_wherever_it_is():
    class Own(nn.Dropout):
        pass

    class Holder(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.ModuleDict({"a": nn.Dropout(0.3)})
            self.again = [self.drop["a"]]  # a reference that is no submodule

        def forward(self, inputs):
            return self.again[0](inputs)

    others = nn.Sequential(Own(0.3), nn.Dropout1d(0.3), nn.AlphaDropout(0.3))
    assert not dropout_layers(with_counter_dropout(others))
    network = with_counter_dropout(nn.Sequential(others, Holder()))
    assert list(dropout_layers(network)) == ["1.drop.a"]
    set_keys(dropout_layers(network), dropout_keys([7], CPU)[0])
    assert torch.equal(network[1](ONES), _mask(7, 0))


def test_the_state_dict_is_that_of_the_network_without():
    network = mlp(4, 3, 6, dropout=0.3)()
    before = copy.deepcopy(network.state_dict())
    after = with_counter_dropout(network).state_dict()
    assert list(after) == list(before)
    assert isinstance(network[2], CounterDropout)
    root = with_counter_dropout(nn.Dropout(0.3))
    assert list(named_keys(dropout_layers(root), torch.tensor(1))) == ["key"]


def test_recomputation_in_the_backward_pass_is_refused():
    network, inputs = _dropping(0.3), torch.ones(4, 5, requires_grad=True)
    values = checkpoint(network, inputs, use_reentrant=False)
    with pytest.raises(RuntimeError, match="do without checkpointing"):
        (2 * values).square().sum().backward()


def test_masks_for_a_step_of_each_student_are_refused():
    with pytest.raises(ValueError, match="one step for all"):
        vmap(lambda key, step: _Mask.apply(key, step, 0, 0.3, 5))(torch.arange(3), torch.arange(3))
