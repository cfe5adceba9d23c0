"""Students start from torch's own distribution, drawn by counter; networks that differ are recognised and built."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from kd_uncertainty.population import initialisation
from kd_uncertainty.population.counter import INITIALISATION, as_seeds, philox_words
from kd_uncertainty.population.initialisation import initial_states, initialisation_kind, reproducible
from kd_uncertainty.population.seeds import derive_seed

from .worlds import CPU, mlp


class Named(nn.Module):
    """Layers by odd names, in modules within modules, some without bias, some frozen, with constants."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleDict({"b": nn.Sequential(nn.Linear(5, 7), nn.LayerNorm(7)), "a": nn.Linear(7, 7)})
        self.add_module("9", nn.Linear(7, 3, bias=False))
        self.blocks["a"].requires_grad_(False)
        self.scale = nn.Parameter(torch.full((3,), 0.5))
        self.register_buffer("table", torch.arange(4.0))

    def forward(self, inputs):
        return self.scale * self.get_submodule("9")(self.blocks["a"](self.blocks["b"](inputs)))


class OwnLinear(nn.Linear):
    """A layer that draws its parameters otherwise."""

    def reset_parameters(self):
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)


class PlainLinear(nn.Linear):
    """A layer of another class that draws its parameters as its parent does."""


class Backwards(nn.Module):
    """Makes its layers in another order than it registers them."""

    def __init__(self):
        super().__init__()
        last, first = nn.Linear(4, 2), nn.Linear(3, 4)
        self.first, self.last = first, last


def convolutional():
    return nn.Sequential(
        nn.Conv1d(2, 4, 3), nn.Conv2d(4, 6, (3, 2), groups=2), nn.GroupNorm(2, 6), nn.Conv3d(3, 2, 2, bias=False),
        nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 3),
    )  # fmt: skip


def reinitialised():
    network = mlp(4, 3, 6)()
    nn.init.normal_(network[0].weight)
    return network


def zero_headed():
    network = mlp(4, 3, 6)()
    nn.init.zeros_(network[-1].weight)
    return network


def tied():
    network = nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5))
    network[2].weight = network[0].weight
    return network


def repeated():
    layer = nn.Linear(5, 5)
    return nn.Sequential(layer, nn.ReLU(), layer, nn.Linear(5, 2))


def with_random_sign():
    """A buffer with so few values that it is the same under many seeds."""
    network = mlp(4, 3)()
    network.register_buffer("sign", torch.randint(0, 2, (1,)).float().mul(0))
    return network


def embedded():
    return nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 2))


def double():
    return nn.Linear(3, 2, dtype=torch.float64)


def weight_normed():
    return nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))


def transposed():
    return nn.ConvTranspose1d(2, 4, 3)


BY_COUNTER = [mlp(6, 3), mlp(6, 3, 8, 5, dropout=0.5), Named, convolutional, repeated, lambda: PlainLinear(3, 2)]
BY_MODULE = [
    lambda: OwnLinear(3, 2), Backwards, reinitialised, zero_headed, tied, with_random_sign, embedded, double,
    weight_normed, transposed, lambda: nn.MultiheadAttention(4, 2), lambda: nn.LSTM(3, 2),
]  # fmt: skip


def _bounds(network):
    """1 / sqrt(fan_in) of every parameter of a Linear or convolutional layer, by name."""
    return {
        f"{name}.{own}".lstrip("."): 1 / math.sqrt(module.weight[0].numel())
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
        for own, _ in module.named_parameters()
    }


@pytest.mark.parametrize("build", BY_COUNTER)
def test_default_layers_are_drawn_by_counter_and_constants_copied(build):
    assert initialisation_kind(build)[0] == "counter"
    seeds, network = [3, 2**62 + 1], build()
    states, bounds = initial_states(build, seeds, CPU), _bounds(network)
    assert list(states) == [name for name, _ in (*network.named_parameters(), *network.named_buffers())]
    for stream, (name, parameter) in enumerate(network.named_parameters()):
        if name not in bounds:
            assert torch.equal(states[name], torch.stack([parameter, parameter]))
            continue
        words = philox_words(as_seeds(seeds), stream, INITIALISATION, parameter.numel()).astype(np.int64)
        for student in range(2):
            # exact in float64; so one rounding, as the contract has it
            exact = ((words[student] >> 8) - 2**23).astype(np.float64) * float(np.float32(bounds[name] * 2**-23))
            assert np.array_equal(states[name][student].flatten().numpy(), exact.astype(np.float32))
            assert states[name][student].shape == parameter.shape
    for name, buffer in network.named_buffers():
        assert torch.equal(states[name], torch.stack([buffer, buffer]))
        assert states[name].dtype == buffer.dtype


@pytest.mark.parametrize("build", BY_MODULE)
def test_networks_that_initialise_themselves_are_built_under_a_derived_seed(build):
    assert initialisation_kind(build)[0] == "module"
    torch.manual_seed(derive_seed(5, "initialisation"))
    expected = build()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    found = initial_states(build, [4, 5, 5], CPU)
    for name, values in (*expected.named_parameters(), *expected.named_buffers()):
        assert torch.equal(found[name][1], values)
        assert torch.equal(found[name][2], values)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_record_says_why_a_network_is_built():
    assert initialisation_kind(reinitialised)[1] == "the network draws '0.weight' in its own way"
    assert initialisation_kind(with_random_sign)[1] == "the network draws random numbers beside those of its layers"
    assert initialisation_kind(lambda: nn.LazyLinear(3)) == (
        "module",
        "the network has no sizes before its first forward pass",
    )


def test_layers_tied_to_the_one_drawn_last_are_drawn_with_its_bound():
    """The default would draw the shared weight last in the second layer, whose fan-in then counts."""

    def build():
        network = nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5))
        network[0].weight = network[2].weight
        return network

    assert initialisation_kind(build)[0] == "counter"
    states = initial_states(build, range(50), CPU)
    assert list(states) == ["0.weight", "0.bias", "2.bias"]
    assert states["0.weight"].abs().max() <= 1 / math.sqrt(5)


def test_few_networks_are_built_however_many_students():
    built = []

    def build():
        built.append(1)
        return mlp(4, 3, 6)()

    initial_states(build, range(100), CPU)
    assert len(built) == 2


def test_equal_seeds_are_drawn_once_and_stacked_apart(monkeypatch):
    asked = []
    original = initialisation.philox_words
    monkeypatch.setattr(
        initialisation, "philox_words", lambda seeds, *rest: asked.append(len(seeds)) or original(seeds, *rest)
    )
    weight = initial_states(mlp(4, 3, 6), [7, 8, 7], CPU)["0.weight"]
    assert set(asked) == {2}
    assert torch.equal(weight[0], weight[2])
    assert not torch.equal(weight[0], weight[1])
    weight[0] += 1
    assert not torch.equal(weight[0], weight[2])


def test_a_students_parameters_depend_neither_on_the_others_nor_on_tiles(monkeypatch):
    alone, together = initial_states(mlp(6, 3, 8), [9], CPU), initial_states(mlp(6, 3, 8), range(40), CPU)
    for tile in (1, 100, 700):
        monkeypatch.setattr(initialisation, "_TILE", tile)
        tiled = initial_states(mlp(6, 3, 8), range(40), CPU)
        for name, values in alone.items():
            assert torch.equal(together[name][9], values[0])
            assert torch.equal(tiled[name], together[name])


def test_parameters_are_uniform_within_torchs_bound():
    states = initial_states(convolutional, range(400), CPU)
    for name, bound in _bounds(convolutional()).items():
        values = states[name].flatten().numpy()
        assert -bound <= values.min()
        assert values.max() <= np.float32(bound)
        assert stats.kstest(values, stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3


def test_torchs_own_networks_have_the_same_distribution():
    """Two-sample Kolmogorov-Smirnov, and the variance ratio within 4 standard errors."""
    build, students = mlp(16, 4, 8), 300
    drawn = initial_states(build, range(students), CPU)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built = [dict(build().named_parameters()) for _ in range(students)]
    for name, values in drawn.items():
        found, expected = values.flatten().numpy(), torch.stack([one[name] for one in built]).detach().flatten().numpy()
        assert stats.ks_2samp(found, expected).pvalue > 1e-3
        error = math.sqrt(2 * (9 / 5 - 1) / len(found))  # a uniform's kurtosis is 9/5
        assert abs(found.var() / expected.var() - 1) < 4 * error


def test_layers_and_students_are_uncorrelated():
    states = initial_states(lambda: nn.Sequential(nn.Linear(50, 50), nn.Linear(50, 50)), range(4), CPU)
    rows = torch.cat([states["0.weight"].flatten(1), states["1.weight"].flatten(1)])
    correlations = np.corrcoef(rows.numpy())[np.triu_indices(8, 1)]
    assert np.abs(correlations).max() < 4 / math.sqrt(2500)
    across = np.corrcoef(initial_states(mlp(10, 2), range(5000), CPU)["0.weight"].flatten(1).T.numpy())
    assert np.abs(across[np.triu_indices(20, 1)]).max() < 4.5 / math.sqrt(5000)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_layer_without_inputs_has_no_range():
    states = initial_states(lambda: nn.Sequential(nn.Linear(0, 2)), [1, 2], CPU)
    assert states["0.bias"].tolist() == [[0, 0], [0, 0]]


def test_reproducible_restores_threads_and_generator_even_after_an_error():
    threads, state = torch.get_num_threads(), torch.get_rng_state()

    def fail():
        with reproducible(CPU):
            assert torch.get_num_threads() == 1
            torch.rand(1)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
