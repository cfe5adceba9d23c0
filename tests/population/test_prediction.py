"""Predictions are those of each network alone, with dropout off."""

import functools

import torch

from kd_uncertainty.population.initialisation import initial_states
from kd_uncertainty.population.prediction import BATCH_SIZE, predict

from .worlds import CPU, mlp, normalised


def test_logits_are_those_of_each_network_in_evaluation_mode():
    for build in (mlp(5, 3, 8, dropout=0.5), functools.partial(normalised, 5, 3)):
        states = initial_states(build, [1, 2], CPU)
        inputs = torch.randn(50, 5)
        logits = predict(build, states, inputs)
        for student in range(2):
            network = build().eval()
            network.load_state_dict({name: values[student] for name, values in states.items()})
            torch.testing.assert_close(logits[student], network(inputs).detach())


def test_students_do_not_depend_on_their_neighbours():
    build, inputs = mlp(5, 3, 8), torch.randn(BATCH_SIZE + 7, 5)
    states = initial_states(build, range(5), CPU)
    logits = predict(build, states, inputs)
    assert logits.shape == (5, BATCH_SIZE + 7, 3)
    some = predict(build, {name: values[3:] for name, values in states.items()}, inputs)
    assert torch.equal(some, logits[3:])


def test_bits_do_not_depend_on_where_in_memory_inputs_and_parameters_lie():
    """As those of a table in a file do, and those of a student among others (7 x 5 floats are no 64 bytes)."""
    build, inputs = mlp(7, 3, 5), torch.randn(300, 7)
    states = initial_states(build, range(6), CPU)
    logits = predict(build, states, inputs)
    for offset in range(1, 16):
        shifted = torch.empty(inputs.numel() + offset)[offset:].view_as(inputs).copy_(inputs)
        assert torch.equal(predict(build, states, shifted), logits)
    for student in range(6):
        alone = predict(build, {name: values[student].clone()[None] for name, values in states.items()}, inputs)
        assert torch.equal(alone[0], logits[student])
