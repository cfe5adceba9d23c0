"""Students start where their own seed says, and torch's settings come back."""

import pytest
import torch

from kd_uncertainty.population.initialisation import initial_state, initial_states, reproducible
from kd_uncertainty.population.seeds import derive_seed

from .worlds import CPU, mlp


def test_initial_state_is_the_network_under_its_derived_seed():
    torch.manual_seed(derive_seed(5, "initialisation"))
    expected = mlp(4, 3, 6)().state_dict()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    found = initial_state(mlp(4, 3, 6), 5)
    assert all(torch.equal(found[name], values) for name, values in expected.items())
    assert torch.equal(torch.get_rng_state(), before)


def test_equal_seeds_are_built_once_and_stacked_apart():
    built = []

    def build():
        built.append(1)
        return mlp(4, 3, 6)()

    states = initial_states(build, [7, 8, 7], CPU)
    assert len(built) == 2
    weight = states["0.weight"]
    assert torch.equal(weight[0], weight[2])
    assert not torch.equal(weight[0], weight[1])
    weight[0] += 1
    assert not torch.equal(weight[0], weight[2])


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
