import pytest
import torch
from torch import nn

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import MLP, build_network, import_network, network_builder

PATH = "kd_uncertainty.networks.MLP"


def test_the_mlp_is_linear_and_relu_layers_in_order():
    network = MLP(6, 3, hidden=[5, 4])
    assert [type(layer) for layer in network] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert [tuple(weight.shape) for weight in network.parameters() if weight.ndim == 2] == [(5, 6), (4, 5), (3, 4)]
    inputs = torch.randn(7, 6)
    weights = dict(network.named_parameters())
    hidden = inputs
    for layer in ("0", "2"):
        hidden = (hidden @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"]).clamp_min(0)
    torch.testing.assert_close(network(inputs), hidden @ weights["4.weight"].T + weights["4.bias"])


def test_the_mlp_without_hidden_layers_is_logistic_regression():
    assert len(list(MLP(6, 3, hidden=[]).parameters())) == 2


def test_dropout_layers_are_there_only_if_asked_for():
    assert not any(isinstance(layer, nn.Dropout) for layer in MLP(6, 3))
    assert sum(isinstance(layer, nn.Dropout) for layer in MLP(6, 3, hidden=[4, 4], dropout=0.5)) == 2


def test_building_keeps_the_mode_and_draws_nothing_from_the_global_generator():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    assert build_network(PATH, {"hidden": [4]}, 6, 3).training
    assert torch.rand(1) == expected


def test_a_builder_builds_fresh_networks_of_the_checked_kind():
    build = network_builder(PATH, {"hidden": [4]}, 6, 3)
    first, second = build(), build()
    assert isinstance(first, MLP)
    assert not torch.equal(next(first.parameters()), next(second.parameters()))


def test_import_errors_name_place_and_mend():
    with pytest.raises(UserError, match="full import path"):
        import_network("MLP")
    with pytest.raises(UserError, match="cannot import module 'no_such_module'"):
        import_network("no_such_module.Net")
    with pytest.raises(UserError, match="no class 'Net'"):
        import_network("kd_uncertainty.networks.Net")
    with pytest.raises(UserError, match=r"torch\.nn\.Module"):
        import_network("collections.OrderedDict")
