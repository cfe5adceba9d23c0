import sys

import numpy as np
import pytest
import torch
from torch import nn

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import MLP, build_network, import_network, network_builder
from kd_uncertainty.networks.build import try_arguments

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


MODULE = """
import sys
import torch
from torch import nn


class Frozen(nn.Linear):
    def __init__(self, num_inputs, num_classes):
        super().__init__(num_inputs, num_classes)
        self.requires_grad_(False)


class Lazy(nn.Sequential):
    def __init__(self, num_inputs, num_classes):
        super().__init__(nn.LazyLinear(4), nn.Linear(4, num_classes))


class Warmed(nn.Sequential):
    def __init__(self, num_inputs, num_classes):
        super().__init__(nn.LazyLinear(4), nn.Linear(4, num_classes))
        self(torch.zeros(1, num_inputs))


class Late(nn.Module):
    def __init__(self, num_inputs, num_classes):
        super().__init__()
        self.sizes, self.first = (num_inputs, num_classes), nn.Linear(num_inputs, num_inputs)

    def forward(self, inputs):
        self.last = nn.Linear(*self.sizes)
        return self.last(self.first(inputs))


class Broken(nn.Linear):
    def __init__(self, num_inputs, num_classes, how):
        if how == "exit":
            sys.exit("no licence")
        if how == "key":
            {}["width"]
        if how == "lines":
            raise RuntimeError("first\\nsecond")
        assert how == "never"


class Noisy(nn.Linear):
    def forward(self, inputs):
        return super().forward(inputs) + torch.randn(1)
"""


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A folder of modules to import; they are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def write(name, content):
        (tmp_path / f"{name}.py").write_text(content)
        return str(tmp_path / f"{name}.py")

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def refused(function, *arguments):
    with pytest.raises(UserError) as error:
        function(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("content", "reason", "line"),
    [
        ("x = 1\nclass Net(:\n", "invalid syntax", 2),
        ("def f():\n    return undefined\n\nf()\n", "NameError: name 'undefined' is not defined", 2),
        ("import sys\nsys.exit('needs a GPU')\n", "SystemExit: needs a GPU", 2),
        ("raise SystemExit\n", "SystemExit", 1),
        ("import torch\n\ntorch.zeros(2) @ torch.zeros(3)\n", "inconsistent tensor size", 3),
        ("assert False\n", "AssertionError", 1),
        ("raise ValueError('first\\nsecond')\n", "first", 1),
        ("import no_such_dependency\n", "No module named 'no_such_dependency'", 1),
    ],
)
def test_a_module_that_fails_is_named_with_reason_and_line(modules, content, reason, line):
    path = modules("failing_networks", content)
    message = refused(import_network, "failing_networks.Net")
    assert message.startswith("network class 'failing_networks.Net': ")
    assert "'failing_networks'" in message
    assert reason in message
    assert f"({path}, line {line})" in message


def test_a_relative_path_is_refused():
    assert "'.nets'" in refused(import_network, ".nets.Net")


@pytest.mark.parametrize(
    ("how", "reason"),
    [("exit", "SystemExit: no licence"), ("key", "KeyError: 'width'"), ("lines", "first ("), ("bad", "AssertionError")],
)
def test_whatever_init_raises_is_told(modules, how, reason):
    path = modules("own_nets", MODULE)
    message = refused(build_network, "own_nets.Broken", {"how": how}, 6, 3)
    assert "cannot be built as Class(num_inputs=6, num_classes=3" in message
    assert reason in message
    assert f"({path}, line " in message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Frozen", ["no trainable parameter"]),
        ("Lazy", ["lazy layers", "'0.weight'", "give the sizes"]),
        ("Late", ["made by forward", "__init__"]),
    ],
)
def test_networks_that_the_engine_cannot_train_are_refused(modules, name, words):
    modules("own_nets", MODULE)
    message = refused(build_network, f"own_nets.{name}", {}, 3, 3)
    assert all(word in message for word in words), message


def test_a_network_without_any_parameter_is_refused():
    assert "no trainable parameter" in refused(build_network, "torch.nn.Identity", {}, 3, 3)


def test_lazy_layers_that_init_gives_their_sizes_are_fine(modules):
    modules("own_nets", MODULE)
    assert build_network("own_nets.Warmed", {}, 5, 3)[0].weight.shape == (4, 5)


def test_not_even_a_forward_pass_draws_from_the_global_generator(modules):
    modules("own_nets", MODULE)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    build_network("own_nets.Noisy", {}, 6, 3)
    assert torch.rand(1) == expected


@pytest.mark.parametrize("hidden", [[0], [-3], [4, 2.5], ["4"], [True], 32, "32", None])
def test_hidden_widths_are_positive_integers(hidden):
    with pytest.raises(ValueError, match="hidden must be a list of positive integers"):
        MLP(6, 3, hidden=hidden)
    assert "hidden must be" in refused(build_network, PATH, {"hidden": hidden}, 6, 3)


@pytest.mark.parametrize("dropout", [1.0, 1, -0.1, float("nan"), "0.1", True, None])
def test_dropout_is_a_probability_below_one(dropout):
    with pytest.raises(ValueError, match="dropout must be a number from 0 to below 1"):
        MLP(6, 3, dropout=dropout)
    assert "dropout must be" in refused(build_network, PATH, {"dropout": dropout}, 6, 3)


def test_widths_and_dropout_at_their_limits_are_fine():
    assert len(MLP(6, 3, hidden=(1, np.int64(2)), dropout=0)) == 5
    assert sum(isinstance(layer, nn.Dropout) for layer in MLP(6, 3, dropout=0.999)) == 1


def test_arguments_are_tried_without_memory_or_arithmetic():
    try_arguments(PATH, {"hidden": [10**9]})
    with pytest.raises(UserError, match=r"hidden must be a list of positive integers.*-3"):
        try_arguments(PATH, {"hidden": [-3]})
    with pytest.raises(UserError, match="unexpected keyword argument 'width'"):
        try_arguments(PATH, {"width": 3})
