"""The engine against a plain PyTorch training loop, and one student's independence of all others, bit for bit."""

import dataclasses
import functools
from time import perf_counter

import pytest
import torch
from torch import nn

from kd_uncertainty.errors import UserError
from kd_uncertainty.population import choice, training
from kd_uncertainty.population.contract import Cohort, Monitor
from kd_uncertainty.population.initialisation import initial_states
from kd_uncertainty.population.losses import distillation_loss
from kd_uncertainty.population.native import library
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.seeds import batch_orders
from kd_uncertainty.population.training import predict, train

from .worlds import CPU, Residual, mlp, normalised, regression_world, resampled, switching, world

SGD = {"optimiser": "sgd", "momentum": 0.9, "weight_decay": 1e-3, "learning_rate": 0.05}
OPTIMISERS = {
    "sgd": SGD | {"momentum": 0.0},
    "momentum": SGD,
    "adam": {"optimiser": "adam", "learning_rate": 3e-3},
    "adam with decay": {"optimiser": "adam", "weight_decay": 1e-2},
    "adamw": {"optimiser": "adamw", "weight_decay": 1e-2},
}
# features, hidden widths, classes, examples, batch size; no batch size divides its number of examples
SHAPES = {
    "digits": (64, (32,), 10, 118, 64),
    "two layers": (30, (128, 128), 5, 150, 64),
    "logistic": (13, (), 3, 70, 32),
    "last batch of one": (7, (5, 3), 2, 33, 8),
    "one feature": (1, (16,), 2, 65, 64),
    "long sums": (785, (20,), 10, 70, 64),
    "one batch": (9, (4,), 4, 20, 64),
    "one example": (5, (1, 9), 3, 1, 8),
    "one unit": (1, (1, 1), 2, 17, 8),
}


def _assert_equal(found, expected, students=slice(None)):
    for name, values in expected.parameters.items():
        assert torch.equal(found.parameters[name], values[students]), name
    assert torch.equal(found.losses, expected.losses[students])


def _plain(build, inputs, labels, cohort, options, student):
    """What anybody would write for one student."""
    network = build()
    network.load_state_dict(
        {
            name: v[0]
            for name, v in initial_states(build, cohort.initialisation_seeds[student : student + 1], CPU).items()
        }
    )
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    more = {"momentum": options.momentum} if options.optimiser == "sgd" else {}
    optimiser = kinds[options.optimiser](
        network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay, foreach=True, **more
    )
    means = []
    for epoch in range(options.epochs):
        total = 0.0
        for batch in torch.tensor(batch_orders([cohort.order_seeds[student]], epoch, len(inputs))[0]).split(
            options.batch_size
        ):
            optimiser.zero_grad()
            targets = cohort.targets[student][batch]
            mixing, temperature = cohort.mixing[student], cohort.temperature[student]
            loss = distillation_loss(network(inputs[batch]), labels[batch], targets, mixing, temperature)
            loss.backward()
            optimiser.step()
            total += loss.item() * len(batch)
        means.append(total / len(inputs))
    return dict(network.named_parameters()), torch.tensor(means)


@pytest.mark.parametrize("backend", ["loop", "vmap"])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_equals_a_plain_loop_bit_for_bit(backend, optimiser):
    inputs, labels, cohort = world(3, 70, 12, 4)
    options, build = TrainingOptions(epochs=3, batch_size=32, **OPTIMISERS[optimiser]), mlp(12, 4, 9)
    trained = train(build, inputs, labels, cohort, options, backend=backend)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for student in range(3):
            parameters, losses = _plain(build, inputs, labels, cohort, options, student)
            for name, values in parameters.items():
                assert torch.equal(trained.parameters[name][student], values)
            torch.testing.assert_close(trained.losses[student], losses, rtol=1e-5, atol=1e-6)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_vmap_equals_loop_bit_for_bit_for_any_chunk_size(shape, optimiser):
    features, hidden, classes, examples, batch_size = SHAPES[shape]
    inputs, labels, cohort = world(5, examples, features, classes)
    options = TrainingOptions(epochs=2, batch_size=batch_size, **OPTIMISERS[optimiser])
    run = functools.partial(train, mlp(features, classes, *hidden), inputs, labels, cohort, options)
    expected = run(backend="loop")
    for chunk_size in (1, 3, 32):
        _assert_equal(run(backend="vmap", chunk_size=chunk_size), expected)


def test_full_chunks_of_32_equal_the_loop():
    inputs, labels, cohort = world(35, 118, 64, 10)
    run = functools.partial(train, mlp(64, 10, 32), inputs, labels, cohort, TrainingOptions(epochs=2))
    _assert_equal(run(backend="vmap", chunk_size=32), run(backend="loop"))


@pytest.mark.parametrize("backend", ["loop", "vmap"])
def test_a_student_does_not_depend_on_its_neighbours(backend):
    inputs, labels, cohort = world(6, 60, 8, 3)
    options = TrainingOptions(epochs=2, batch_size=16)
    run = functools.partial(train, mlp(8, 3, 10), inputs, labels, options=options, backend=backend)
    everybody = run(cohort=cohort)
    _assert_equal(run(cohort=cohort[2:4]), everybody, slice(2, 4))
    others = Cohort(
        cohort.targets.flip(0), cohort.mixing.flip(0), cohort.temperature.flip(0),
        cohort.initialisation_seeds[::-1], cohort.order_seeds[::-1],
    )  # fmt: skip
    reverse = run(cohort=others)
    assert torch.equal(reverse.losses.flip(0), everybody.losses)


def test_dropout_is_reproducible_and_keyed_by_the_order_seed():
    inputs, labels, cohort = world(4, 60, 8, 3)
    options = TrainingOptions(epochs=2, batch_size=16)
    run = functools.partial(train, mlp(8, 3, 10, dropout=0.5), inputs, labels, options=options)
    everybody = run(cohort=cohort)
    _assert_equal(run(cohort=cohort[1:3], chunk_size=1), everybody, slice(1, 3))
    without = train(mlp(8, 3, 10), inputs, labels, cohort, options)
    assert not torch.equal(everybody.losses, without.losses)


def test_buffers_are_trained_and_returned_per_student():
    inputs, labels, cohort = world(3, 60, 8, 3)
    build = functools.partial(normalised, 8, 3)
    trained = train(build, inputs, labels, cohort, TrainingOptions(epochs=2, batch_size=16))
    assert trained.parameters["1.num_batches_tracked"].tolist() == [8, 8, 8]
    assert not torch.equal(trained.parameters["1.running_mean"][0], trained.parameters["1.running_mean"][1])
    _assert_equal(
        train(build, inputs, labels, cohort[1:2], TrainingOptions(epochs=2, batch_size=16)), trained, slice(1, 2)
    )


def test_general_networks_train_alike_in_both_backends():
    """Vmap takes them on a GPU only; here it is called past the choice."""
    inputs, labels, cohort = world(3, 60, 8, 3)
    build, options, found = functools.partial(Residual, 8, 3), TrainingOptions(epochs=3), []
    expected = train(build, inputs, labels, cohort, options, backend="loop")
    initial = initial_states(build, cohort.initialisation_seeds, CPU)
    monitor = Monitor(lambda *report: found.append(report[-1]))
    choice.BACKENDS["vmap"].train_cohort(build, initial, inputs, labels, cohort, options, monitor)
    torch.testing.assert_close(torch.cat(found, dim=1), expected.losses, rtol=1e-4, atol=1e-5)


def test_logistic_students_reach_the_optimum_that_the_targets_define():
    """One-hot inputs make the optimum explicit: the student reproduces every soft target, softened back."""
    examples, classes, temperature = 6, 3, torch.tensor([1.0, 2.0])
    targets = torch.softmax(torch.randn(2, examples, classes, generator=torch.Generator().manual_seed(0)), -1)
    cohort = Cohort(targets, torch.ones(2), temperature, (1, 2), (3, 4))
    options = TrainingOptions(epochs=1500, batch_size=64, optimiser="adam", learning_rate=0.05)
    build, inputs = mlp(examples, classes), torch.eye(examples)
    trained = train(build, inputs, torch.zeros(examples, dtype=torch.int64), cohort, options, backend="vmap")
    probabilities = torch.softmax(predict(build, trained.parameters, inputs) / temperature[:, None, None], -1)
    torch.testing.assert_close(probabilities, targets, atol=1e-3, rtol=0)


def test_validation_curves_end_at_the_trained_networks():
    inputs, labels, cohort = world(4, 60, 8, 3)
    build, held_out = mlp(8, 3, 10), (torch.randn(25, 8), torch.randint(0, 3, (25,)))
    options = TrainingOptions(epochs=3, batch_size=16)
    trained = train(build, inputs, labels, cohort, options, validation=held_out, chunk_size=3)
    assert {name: values.shape for name, values in trained.validation.items()} == {
        "validation_nll": (4, 3),
        "validation_accuracy": (4, 3),
    }
    for student in range(4):
        network = build()
        network.load_state_dict({name: values[student] for name, values in trained.parameters.items()})
        logits = network(held_out[0]).detach()
        nll = nn.functional.cross_entropy(logits, held_out[1])
        torch.testing.assert_close(trained.validation["validation_nll"][student, -1], nll)
        accuracy = (logits.argmax(-1) == held_out[1]).float().mean()
        torch.testing.assert_close(trained.validation["validation_accuracy"][student, -1], accuracy)
    _assert_equal(train(build, inputs, labels, cohort, options), trained)


def test_an_ensemble_is_a_cohort_without_a_teacher():
    inputs, labels, _ = world(2, 60, 8, 3)
    cohort = Cohort.of_ensemble(nn.functional.one_hot(labels, 3).float(), [1, 2], [3, 4])
    options = TrainingOptions(epochs=4, batch_size=16)
    trained = train(mlp(8, 3, 10), inputs, labels, cohort, options)
    soft = dataclasses.replace(cohort, mixing=torch.ones(2))
    torch.testing.assert_close(trained.losses, train(mlp(8, 3, 10), inputs, labels, soft, options).losses)


@pytest.mark.parametrize("backend", ["loop", "vmap"])
def test_divergence_names_the_student_and_the_mend(backend):
    inputs, labels, cohort = world(3, 60, 8, 3)
    inputs[7] = 1e30
    cohort = Cohort(
        cohort.targets, cohort.mixing, cohort.temperature, cohort.initialisation_seeds, cohort.order_seeds, (40, 41, 42)
    )
    options = TrainingOptions(epochs=9, optimiser="sgd", learning_rate=1e9)
    with pytest.raises(
        UserError, match=r"student 4[012]: the training loss became .* smaller students.training.learning_rate"
    ):
        train(mlp(8, 3, 10), inputs, labels, cohort, options, backend=backend)


@pytest.mark.parametrize("backend", ["loop", "vmap"])
def test_reports_every_student_epoch_and_leaves_torch_as_it_was(backend):
    inputs, labels, cohort = world(5, 40, 6, 3)
    threads, state, seen = torch.get_num_threads(), torch.get_rng_state(), []
    options = TrainingOptions(epochs=3)
    train(mlp(6, 3, 4), inputs, labels, cohort, options, backend=backend, chunk_size=2, on_epoch=seen.append)
    assert sum(seen) == 5 * 3
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("backend", ["loop", "vmap"])
def test_students_that_share_a_table_train_as_with_a_copy_each(backend):
    inputs, labels, cohort = world(5, 40, 6, 3)
    shared = dataclasses.replace(cohort, targets=cohort.targets[:2], tables=torch.tensor([1, 0, 1, 1, 0]))
    copied = dataclasses.replace(cohort, targets=cohort.targets[[1, 0, 1, 1, 0]])
    run = functools.partial(train, mlp(6, 3, 4), inputs, labels, options=TrainingOptions(epochs=2, batch_size=16))
    expected = run(cohort=copied, backend=backend)
    for chunk_size in (2, 32):
        _assert_equal(run(cohort=shared, backend=backend, chunk_size=chunk_size), expected)


@pytest.mark.parametrize("backend", ["loop", "vmap"])
def test_threads_change_no_bit(backend):
    inputs, labels, cohort = world(5, 40, 6, 3)
    run = functools.partial(train, mlp(6, 3, 4), inputs, labels, cohort, TrainingOptions(epochs=2), backend=backend)
    _assert_equal(run(threads=2), run(threads=1))


def test_a_backend_may_report_several_epochs_at_once_unless_each_is_looked_at(monkeypatch):
    """A backend that trains as vmap does, and says so two epochs at a time where it may."""
    vmap, seen = choice.BACKENDS["vmap"], []

    def train_cohort(build, initial, inputs, labels, cohort, options, monitor, threads=1):
        seen.append((monitor.every_epoch, threads))
        losses = []

        def after_epochs(students, epochs, state, loss):
            losses.append(loss)
            if len(losses) == 2 or monitor.every_epoch or epochs.stop == options.epochs:
                first = epochs.stop - len(losses)
                monitor.after_epochs(students, range(first, epochs.stop), state, torch.cat(losses, dim=1))
                losses.clear()

        return vmap.train_cohort(build, initial, inputs, labels, cohort, options, Monitor(after_epochs))

    monkeypatch.setitem(choice.BACKENDS, "pairs", dataclasses.replace(vmap, train_cohort=train_cohort))
    inputs, labels, cohort = world(3, 40, 6, 3)
    run = functools.partial(train, mlp(6, 3, 4), inputs, labels, cohort, TrainingOptions(epochs=5))
    counts = []
    _assert_equal(run(backend="pairs", on_epoch=counts.append, threads=2), run(backend="vmap"))
    assert counts == [6, 6, 3]
    held_out = inputs[:9], labels[:9]
    expected, found = run(backend="vmap", validation=held_out), run(backend="pairs", validation=held_out)
    assert torch.equal(found.validation["validation_nll"], expected.validation["validation_nll"])
    assert seen == [(False, 2), (True, 1)]


@pytest.mark.parametrize("outputs", [1, 2])
def test_regressions_have_curves_of_squared_errors(outputs):
    inputs, labels, cohort = regression_world(5, 40, 3, outputs)
    build, held_out = mlp(3, outputs, 6), (inputs[:25] + 1, labels[:25])
    run = functools.partial(train, build, inputs, labels, cohort, validation=held_out)
    trained = run(options=TrainingOptions(epochs=3, batch_size=16))
    assert list(trained.validation) == ["validation_mse"]
    for epochs in (1, 3):  # the curve's value after an epoch is that of a training that ends there
        shorter = run(options=TrainingOptions(epochs=epochs, batch_size=16), chunk_size=2)
        for student in range(5):
            network = build()
            network.load_state_dict({name: values[student] for name, values in shorter.parameters.items()})
            expected = nn.functional.mse_loss(network(held_out[0]), held_out[1]).detach()
            torch.testing.assert_close(trained.validation["validation_mse"][student, epochs - 1], expected)
        assert torch.equal(shorter.validation["validation_mse"], trained.validation["validation_mse"][:, :epochs])
    without = train(build, inputs, labels, cohort, TrainingOptions(epochs=3, batch_size=16))
    _assert_equal(without, trained)
    assert without.validation == {}


needs_kernel = pytest.mark.skipif(library.obstacle() is not None, reason="no compiler")
every_backend = pytest.mark.parametrize("backend", ["loop", "vmap", pytest.param("native", marks=needs_kernel)])


@every_backend
@pytest.mark.parametrize("batch_size", [8, 64])
@pytest.mark.parametrize("size", [1, 13, 30, 50])
@pytest.mark.parametrize("world_of", [world, regression_world])
def test_a_resample_trains_as_a_data_set_of_its_own(backend, batch_size, size, world_of):
    inputs, labels, cohort = world_of(4, 30, 7, 3)
    cohort = switching(resampled(cohort, size))
    options = TrainingOptions(epochs=3, batch_size=batch_size, schedule="cosine")
    run = functools.partial(train, mlp(7, 3, 9), options=options, backend=backend)
    trained = run(inputs, labels, cohort)
    for student in range(4):
        rows, targets = cohort.rows[student], cohort.targets[cohort.table_index[student]]
        own = dataclasses.replace(
            cohort[student : student + 1], targets=targets[rows].unsqueeze(0), tables=None, rows=None
        )
        _assert_equal(run(inputs[rows], labels[rows], own), trained, slice(student, student + 1))


@every_backend
@pytest.mark.parametrize("batch_size", [8, 30])
@pytest.mark.parametrize("optimiser", ["momentum", "adam"])
def test_all_rows_once_and_in_order_are_no_rows(backend, batch_size, optimiser):
    inputs, labels, cohort = world(5, 30, 7, 3)
    options = TrainingOptions(epochs=3, batch_size=batch_size, **OPTIMISERS[optimiser])
    run = functools.partial(train, mlp(7, 3, 9), inputs, labels, options=options, backend=backend)
    plain = run(cohort=cohort)
    _assert_equal(run(cohort=dataclasses.replace(cohort, rows=torch.arange(30).repeat(5, 1))), plain)
    resample = run(cohort=dataclasses.replace(cohort, rows=torch.arange(30).flip(0).repeat(5, 1)))
    if batch_size < 30:  # the order of rows counts; in a batch of everything it does no more than round otherwise
        assert not torch.equal(resample.losses, plain.losses)


@every_backend
@pytest.mark.parametrize("batch_size", [8, 45])
def test_rows_may_be_others_in_each_epoch(backend, batch_size):
    inputs, labels, cohort = world(4, 30, 7, 3)
    cohort = resampled(cohort, 45, epochs=3)
    run = functools.partial(train, mlp(7, 3, 9), inputs, labels, backend=backend)
    options = TrainingOptions(epochs=3, batch_size=batch_size, optimiser="sgd", learning_rate=0.1)
    found = run(cohort=cohort, options=options)
    same = dataclasses.replace(cohort, rows=cohort.rows[:, :1].expand(-1, 3, -1).contiguous())
    _assert_equal(
        run(cohort=same, options=options), run(cohort=dataclasses.replace(same, rows=same.rows[:, 0]), options=options)
    )
    _assert_equal(run(cohort=cohort[1:3], options=options, threads=2), found, slice(1, 3))
    assert not torch.equal(run(cohort=same, options=options).losses, found.losses)


@every_backend
def test_a_batch_of_everything_is_the_epochs_own_rows(backend):
    inputs, labels, cohort = regression_world(4, 30, 7, 1)
    cohort = resampled(cohort, 45, epochs=3)
    options = TrainingOptions(epochs=3, batch_size=45, optimiser="sgd", learning_rate=0.1)
    run = functools.partial(train, mlp(7, 1, 9), inputs, labels, backend=backend)
    found, state = run(cohort=cohort, options=options), None
    for epoch in range(3):  # one after another, since this optimiser remembers nothing
        one = dataclasses.replace(cohort, rows=cohort.rows[:, epoch])
        trained = run(cohort=one, options=options.model_copy(update={"epochs": 1}), initial=state)
        assert torch.equal(trained.losses[:, 0], found.losses[:, epoch])
        state = trained.parameters


@every_backend
def test_rows_of_epochs_are_those_of_the_training(backend):
    inputs, labels, cohort = world(4, 30, 7, 3)
    with pytest.raises(ValueError, match="rows are of 2 epochs and need to be of 3"):
        train(mlp(7, 3, 9), inputs, labels, resampled(cohort, 5, epochs=2), TrainingOptions(epochs=3), backend=backend)


@every_backend
@pytest.mark.parametrize("batch_size", [8, 64])
def test_a_resample_does_not_depend_on_neighbours_chunks_or_threads(backend, batch_size):
    inputs, labels, cohort = regression_world(7, 30, 7, 1)
    cohort, options = resampled(cohort, 45), TrainingOptions(epochs=3, batch_size=batch_size)
    run = functools.partial(train, mlp(7, 1, 9), inputs, labels, options=options, backend=backend)
    everybody = run(cohort=cohort)
    _assert_equal(run(cohort=cohort, chunk_size=3), everybody)
    _assert_equal(run(cohort=cohort, threads=3), everybody)
    _assert_equal(run(cohort=cohort[2:4]), everybody, slice(2, 4))
    others = dataclasses.replace(cohort, rows=cohort.rows.flip(0))
    others.rows[3] = cohort.rows[3]
    found = run(cohort=others)
    assert torch.equal(found.losses[3], everybody.losses[3])
    assert (found.losses != everybody.losses).any(dim=1).tolist() == [True, True, True, False, True, True, True]


def test_a_dry_run_meets_the_batches_of_the_rows(monkeypatch):
    """Of 13 rows the partial batch is of 5 examples, of 40 there is none, whatever the data have."""
    inputs, labels, cohort = world(3, 30, 7, 3)
    seen, choose = [], training.choose_backend

    def watched(build, backend, some, *arguments):
        seen.append(len(some))
        return choose(build, backend, some, *arguments)

    monkeypatch.setattr(training, "choose_backend", watched)
    for students in (cohort, resampled(cohort, 13), resampled(cohort, 40)):
        train(mlp(7, 3), inputs, labels, students, TrainingOptions(epochs=1, batch_size=8))
    assert seen == [30, 13, 40]


@every_backend
def test_parameters_to_start_from_replace_the_drawn_ones(backend):
    inputs, labels, cohort = world(5, 30, 7, 3)
    build, options = mlp(7, 3, 9), TrainingOptions(epochs=3, batch_size=8)
    run = functools.partial(train, build, inputs, labels, options=options, backend=backend)
    drawn = initial_states(build, cohort.initialisation_seeds, CPU)
    before = {name: values.clone() for name, values in drawn.items()}
    expected, others = run(cohort=cohort), dataclasses.replace(cohort, initialisation_seeds=(1, 2, 3, 4, 5))
    for chunk_size in (2, 32):
        _assert_equal(run(cohort=others, initial=drawn, chunk_size=chunk_size), expected)
    assert all(torch.equal(drawn[name], values) for name, values in before.items())  # left as found
    double = {name: values.double().mT.contiguous().mT for name, values in drawn.items() if values.dim() == 3}
    _assert_equal(run(cohort=others, initial=drawn | double), expected)
    reverse = {name: values.flip(0) for name, values in drawn.items()}
    assert not torch.equal(run(cohort=cohort, initial=reverse).losses, expected.losses)


@every_backend
def test_a_training_may_go_on_from_where_another_ended(backend):
    """Full batches and plain SGD know nothing of the epoch, so that two trainings of two are one of four."""
    inputs, labels, cohort = world(5, 30, 7, 3)
    run = functools.partial(train, mlp(7, 3, 9), inputs, labels, cohort, backend=backend)
    two, four = (TrainingOptions(epochs=epochs, batch_size=30, **OPTIMISERS["sgd"]) for epochs in (2, 4))
    first, whole = run(options=two), run(options=four)
    second = run(options=two, initial=first.parameters)
    assert torch.equal(torch.cat([first.losses, second.losses], dim=1), whole.losses)
    assert all(torch.equal(second.parameters[name], values) for name, values in whole.parameters.items())


def test_buffers_are_gone_on_from_too():
    inputs, labels, cohort = world(3, 30, 8, 3)
    run = functools.partial(train, functools.partial(normalised, 8, 3), inputs, labels, cohort)
    two, four = (TrainingOptions(epochs=epochs, batch_size=30, **OPTIMISERS["sgd"]) for epochs in (2, 4))
    second, whole = run(options=two, initial=run(options=two).parameters), run(options=four)
    assert second.parameters["1.num_batches_tracked"].tolist() == [4, 4, 4]
    assert all(torch.equal(second.parameters[name], values) for name, values in whole.parameters.items())


def test_parameters_to_start_from_are_those_of_the_network():
    inputs, labels, cohort = world(2, 20, 7, 3)
    drawn = initial_states(mlp(7, 3, 9), cohort.initialisation_seeds, CPU)
    with pytest.raises(ValueError, match=r"the initial 0.weight is of shape \(2, 9, 7\) and needs \(2, 8, 7\)"):
        train(mlp(7, 3, 8), inputs, labels, cohort, TrainingOptions(epochs=1), initial=drawn)


def test_linear_regressions_reach_the_least_squares_solution_of_their_mixture():
    """The optimum of the mixed loss is least squares to ``(1 - mixing) label + mixing target``."""
    inputs, labels, cohort = regression_world(4, 30, 3, 2)
    options = TrainingOptions(epochs=600, batch_size=30, optimiser="sgd", momentum=0.9, learning_rate=0.1)
    trained = train(mlp(3, 2), inputs, labels, cohort, options, backend="vmap")
    design = torch.cat([inputs, torch.ones(30, 1)], dim=1).double()
    for student in range(4):
        mixing, targets = cohort.mixing[student], cohort.targets[cohort.table_index[student]]
        solution = torch.linalg.lstsq(design, ((1 - mixing) * labels + mixing * targets).double()).solution
        found = torch.cat([trained.parameters["0.weight"][student].T, trained.parameters["0.bias"][student][None]])
        torch.testing.assert_close(found.double(), solution, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_vmap_is_several_times_faster_than_the_loop():
    """Coarse: 12 times faster when it was measured."""
    inputs, labels, cohort = world(32, 1078, 64, 10)
    build, options, seconds = mlp(64, 10, 32), TrainingOptions(epochs=4), {}
    for backend, students in (("vmap", 2), ("vmap", 32), ("loop", 8)):
        start = perf_counter()
        train(build, inputs, labels, cohort[:students], options, backend=backend)
        seconds[backend] = (perf_counter() - start) / students
    assert seconds["loop"] > 3 * seconds["vmap"]
