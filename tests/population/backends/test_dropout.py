"""Dropout in training: a plain loop with masks made by hand, then all backends alike, whoever is trained beside."""

import functools

import numpy as np
import pytest
import torch
from torch import nn

from kd_uncertainty.population.backends import vmap
from kd_uncertainty.population.contract import Monitor
from kd_uncertainty.population.counter import DROPOUT, as_seeds, philox_words
from kd_uncertainty.population.dropout import dropout_keys, dropout_layers, set_step, with_counter_dropout
from kd_uncertainty.population.initialisation import initial_states
from kd_uncertainty.population.losses import distillation_loss
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.seeds import batch_orders
from kd_uncertainty.population.training import predict, train

from ..worlds import CPU, mlp, world

OPTIMISERS = {
    "sgd": {"optimiser": "sgd", "momentum": 0.9, "learning_rate": 0.05},
    "adam": {"optimiser": "adam", "learning_rate": 3e-3, "weight_decay": 1e-2},
}
SHAPES = {
    "digits": (64, (32,), 10, 118, 64),
    "two layers": (30, (50, 20), 5, 150, 64),
    "last batch of one": (7, (5, 3), 2, 33, 8),
    "one batch": (9, (4,), 4, 20, 64),
}


class General(nn.Module):
    """Not a sequence of layers: dropout of inputs, one shared layer called twice, no product that vmap rounds apart."""

    def __init__(self, num_inputs: int, num_classes: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(num_inputs)), nn.Parameter(torch.zeros(num_inputs))
        self.wide, self.narrow = nn.Dropout(0.2), nn.Dropout(0.4)
        self.num_classes = num_classes

    def forward(self, inputs):
        values = self.narrow(torch.relu(self.wide(inputs) * self.scale + self.shift))
        return self.narrow(values)[..., : self.num_classes]


def _assert_equal(found, expected, students=slice(None)):
    for name, values in expected.parameters.items():
        assert torch.equal(found.parameters[name], values[students]), name
    assert torch.equal(found.losses, expected.losses[students])


def _masked(values, seed, layer, step, p):
    words = philox_words(as_seeds([seed]), (layer << 32) | step, DROPOUT, values.numel())
    mask = torch.from_numpy((words >= round(p * 2**32)).astype(np.float32)).view(values.shape)
    return values * (mask * (1 / (1 - p)))


def _plain(inputs, labels, cohort, options, student, p):
    """A network of two hidden layers, each followed by dropout, trained by hand."""
    seed = cohort.order_seeds[student]
    states = initial_states(mlp(6, 3, 9, 5), [cohort.initialisation_seeds[student]], CPU)
    parameters = [values[0].clone().requires_grad_() for values in states.values()]
    optimiser = torch.optim.Adam(parameters, lr=options.learning_rate, foreach=True)
    step = 0
    for epoch in range(options.epochs):
        for batch in torch.tensor(batch_orders([seed], epoch, len(inputs))[0]).split(options.batch_size):
            values = inputs[batch]
            for layer in range(2):
                hidden = torch.relu(nn.functional.linear(values, *parameters[2 * layer : 2 * layer + 2]))
                values = _masked(hidden, seed, layer, step, p)
            logits = nn.functional.linear(values, *parameters[4:])
            mixing, temperature = cohort.mixing[student], cohort.temperature[student]
            loss = distillation_loss(logits, labels[batch], cohort.targets[student][batch], mixing, temperature)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            step += 1
    return parameters


@pytest.mark.parametrize("backend", ["loop", "vmap"])
def test_equals_a_plain_loop_with_masks_of_the_contract(backend):
    inputs, labels, cohort = world(3, 50, 6, 3)
    options = TrainingOptions(epochs=3, batch_size=16)
    trained = train(mlp(6, 3, 9, 5, dropout=0.3), inputs, labels, cohort, options, backend=backend)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for student in range(3):
            expected = _plain(inputs, labels, cohort, options, student, 0.3)
            for found, values in zip(trained.parameters.values(), expected, strict=True):
                assert torch.equal(found[student], values)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_stacks_equal_the_loop_bit_for_bit_for_any_chunk_size(shape, optimiser):
    features, hidden, classes, examples, batch_size = SHAPES[shape]
    inputs, labels, cohort = world(5, examples, features, classes)
    options = TrainingOptions(epochs=2, batch_size=batch_size, **OPTIMISERS[optimiser])
    run = functools.partial(train, mlp(features, classes, *hidden, dropout=0.4), inputs, labels, cohort, options)
    expected = run(backend="loop")
    for chunk_size in (1, 3, 32):
        _assert_equal(run(backend="vmap", chunk_size=chunk_size), expected)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_general_networks_drop_the_units_of_the_loop_whoever_is_trained_beside_them(optimiser):
    """As vmap trains them on a GPU. Without the masks of the loop, losses would differ by much more than rounding."""
    inputs, labels, cohort = world(5, 70, 8, 3)
    build, options = functools.partial(General, 8, 3), TrainingOptions(epochs=2, batch_size=32, **OPTIMISERS[optimiser])
    assert vmap.stacked_forward(with_counter_dropout(build())) is None
    expected = train(build, inputs, labels, cohort, options, backend="loop").parameters
    for students in (slice(0, 1), slice(1, 4), slice(0, 5)):
        chunk = cohort[students]
        initial = initial_states(build, chunk.initialisation_seeds, CPU)
        found = vmap.train_cohort(build, initial, inputs, labels, chunk, options, Monitor(lambda *_: None))
        for name, values in found.items():
            torch.testing.assert_close(values, expected[name][students])
    assert (expected["scale"] - 1).abs().max() > 1e-3


def test_both_ways_of_vmap_drop_the_same_units():
    build, (inputs, labels, cohort) = mlp(6, 3, 8, dropout=0.5), world(4, 20, 6, 3)
    state, keys = initial_states(build, cohort.initialisation_seeds, CPU), dropout_keys(cohort.order_seeds, CPU)
    batch = (inputs.expand(4, 20, 6), labels.expand(4, 20), cohort.targets, cohort.mixing, cohort.temperature)
    results = {}
    for step in (11, 12):
        for make in (vmap.make_step, vmap._make_vmap_step):
            network = with_counter_dropout(build())
            set_step(dropout_layers(network), step)
            results[step, make] = make(network, "distillation", keys)(state, *batch)
        torch.testing.assert_close(results[step, vmap.make_step], results[step, vmap._make_vmap_step])
    difference = results[11, vmap.make_step][1] - results[12, vmap.make_step][1]
    assert difference.abs().min() > 1e-3  # more than rounding could explain


@pytest.mark.parametrize(
    ("build", "backend"),
    [
        (mlp(8, 3, 10, dropout=0.5), "loop"),
        (mlp(8, 3, 10, dropout=0.5), "vmap"),
        (functools.partial(General, 8, 3), "loop"),
    ],
)
def test_a_student_drops_the_same_units_whoever_is_trained_beside_it(build, backend):
    inputs, labels, cohort = world(6, 60, 8, 3)
    run = functools.partial(
        train, build, inputs, labels, options=TrainingOptions(epochs=2, batch_size=16), backend=backend
    )
    everybody = run(cohort=cohort)
    _assert_equal(run(cohort=cohort[2:3]), everybody, slice(2, 3))
    _assert_equal(run(cohort=cohort[1:4], chunk_size=2), everybody, slice(1, 4))


def test_trained_networks_predict_without_dropout_and_differ_from_those_trained_without():
    inputs, labels, cohort = world(3, 60, 8, 3)
    options, build = TrainingOptions(epochs=2, batch_size=16), mlp(8, 3, 10, dropout=0.5)
    trained = train(build, inputs, labels, cohort, options, backend="vmap")
    assert list(trained.parameters) == ["0.weight", "0.bias", "3.weight", "3.bias"]
    weights = [values[1] for values in trained.parameters.values()]
    by_hand = torch.relu(inputs @ weights[0].T + weights[1]) @ weights[2].T + weights[3]
    torch.testing.assert_close(predict(build, trained.parameters, inputs)[1], by_hand)
    without = train(mlp(8, 3, 10), inputs, labels, cohort, options, backend="vmap")
    assert not torch.equal(trained.losses, without.losses)


def test_dropout_of_another_kind_is_keyed_by_the_order_seed_in_the_loop():
    def build():
        return nn.Sequential(nn.Linear(8, 10), nn.ReLU(), nn.AlphaDropout(0.5), nn.Dropout(0.2), nn.Linear(10, 3))

    inputs, labels, cohort = world(4, 60, 8, 3)
    run = functools.partial(train, build, inputs, labels, options=TrainingOptions(epochs=2, batch_size=16))
    _assert_equal(run(cohort=cohort[1:3], chunk_size=1), run(cohort=cohort), slice(1, 3))


def test_weight_dropped_in_expectation_is_that_of_the_loss_without():
    """For one linear layer and squared loss, dropout of inputs adds p / (1 - p) x^2 w^2 in expectation (Wager, Wang &
    Liang 2013, "Dropout training as adaptive regularization", section 2): here, from the masks of many steps.
    """
    network = with_counter_dropout(nn.Sequential(nn.Dropout(0.3), nn.Linear(4, 1, bias=False)))
    layers, inputs = dropout_layers(network), torch.randn(2000, 4, generator=torch.Generator().manual_seed(0))
    weight = network[1].weight.detach()
    clean, expected = inputs @ weight.T, 0.3 / 0.7 * (inputs.square() @ weight.square().T)
    squares = []
    for step in range(50):
        set_step(layers, step)
        squares.append((network(inputs).detach() - clean).square().mean() - expected.mean())
    found = torch.stack(squares)
    assert found.mean().abs() < 4 * found.std() / len(squares) ** 0.5
