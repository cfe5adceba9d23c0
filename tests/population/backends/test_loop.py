"""The reference itself against a training loop of torch's own losses, optimisers and schedulers."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.optim import lr_scheduler

from kd_uncertainty.population.backends import loop
from kd_uncertainty.population.contract import Monitor
from kd_uncertainty.population.initialisation import initial_states, reproducible
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.seeds import batch_orders
from kd_uncertainty.population.training import train

from ..worlds import CPU, Convolutional, mlp, regression_world, resampled, switching, world

OPTIMISERS = {
    "momentum": {"optimiser": "sgd", "momentum": 0.9, "weight_decay": 1e-3, "learning_rate": 0.05},
    "adam": {"optimiser": "adam", "weight_decay": 1e-2},
    "adamw": {"optimiser": "adamw", "weight_decay": 1e-2},
}
SCHEDULES = {
    "constant": {},
    "step": {"schedule": "step", "milestones": (1, 3), "decay": 0.3},
    "cosine": {"schedule": "cosine"},
}


@pytest.fixture(autouse=True)
def _one_thread():
    """Two threads are slower on networks this small."""
    with reproducible(CPU):
        yield


def _scheduler(optimiser, options, steps):
    """Torch's, and whether it is stepped after every step (or every epoch)."""
    if options.schedule == "step":
        return lr_scheduler.MultiStepLR(optimiser, options.milestones, gamma=options.decay), False
    if options.schedule == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimiser, options.epochs * steps), True
    return lr_scheduler.ConstantLR(optimiser, factor=1.0), False


def _loss(outputs, labels, targets, mixing, temperature, loss):
    if loss == "mse":
        return (1 - mixing) * mse_loss(outputs, labels) + mixing * mse_loss(outputs, targets)
    soft = temperature**2 * cross_entropy(outputs / temperature, targets)
    return (1 - mixing) * cross_entropy(outputs, labels) + mixing * soft


def _by_hand(build, inputs, labels, cohort, options, student):
    """What anybody would write for one student, and its mean loss in every epoch."""
    initial = initial_states(build, cohort.initialisation_seeds[student : student + 1], CPU)
    network = build()
    network.load_state_dict({name: values[0] for name, values in initial.items()})
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    more = {"momentum": options.momentum} if options.optimiser == "sgd" else {}
    optimiser = kinds[options.optimiser](
        network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay, **more
    )
    examples, step, means = cohort.num_rows, 0, []
    targets, temperature = cohort.targets[cohort.table_index[student]], cohort.temperature[student].item()
    scheduler, every_step = _scheduler(optimiser, options, -(-examples // options.batch_size))
    for epoch in range(options.epochs):
        order = torch.tensor(batch_orders([cohort.order_seeds[student]], epoch, examples)[0])
        if options.batch_size >= examples:
            order = torch.arange(examples)
        order = order if cohort.rows is None else cohort.rows_of(epoch)[student][order]
        total = 0.0
        for rows in order.split(options.batch_size):
            mixing = cohort.mixing[student].item()
            if cohort.switch_step is not None and step >= cohort.switch_step[student]:
                mixing = cohort.mixing_after[student].item()
            optimiser.zero_grad()
            loss = _loss(network(inputs[rows]), labels[rows], targets[rows], mixing, temperature, cohort.loss)
            loss.backward()
            optimiser.step()
            if every_step:
                scheduler.step()
            step, total = step + 1, total + loss.item() * len(rows)
        if not every_step:
            scheduler.step()
        means.append(total / examples)
    return network.state_dict(), torch.tensor(means)


@pytest.mark.parametrize("batch_size", [8, 21])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("world_of", [world, regression_world])
def test_trains_as_a_loop_of_torchs_own_parts_does(world_of, optimiser, schedule, batch_size):
    inputs, labels, cohort = world_of(4, 21, 7, 3)
    options = TrainingOptions(epochs=4, batch_size=batch_size, **OPTIMISERS[optimiser], **SCHEDULES[schedule])
    for students in (cohort, switching(cohort)):
        trained = train(mlp(7, 3, 9), inputs, labels, students, options, backend="loop")
        for student in range(4):
            parameters, losses = _by_hand(mlp(7, 3, 9), inputs, labels, students, options, student)
            torch.testing.assert_close(trained.losses[student], losses, rtol=1e-5, atol=1e-6)
            for name, values in parameters.items():
                torch.testing.assert_close(trained.parameters[name][student], values, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("batch_size", [8, 64])
@pytest.mark.parametrize("size", [1, 13, 21, 50])
@pytest.mark.parametrize(("world_of", "epochs"), [(world, None), (regression_world, None), (world, 4)])
def test_an_epoch_is_over_each_students_own_rows(world_of, epochs, size, batch_size):
    inputs, labels, cohort = world_of(4, 21, 7, 3)
    options = TrainingOptions(epochs=4, batch_size=batch_size, **OPTIMISERS["adamw"], schedule="cosine")
    students = switching(resampled(cohort, size, epochs))
    trained = train(mlp(7, 3, 9), inputs, labels, students, options, backend="loop")
    for student in range(4):
        parameters, losses = _by_hand(mlp(7, 3, 9), inputs, labels, students, options, student)
        torch.testing.assert_close(trained.losses[student], losses, rtol=1e-5, atol=1e-6)
        for name, values in parameters.items():
            torch.testing.assert_close(trained.parameters[name][student], values, rtol=1e-4, atol=2e-6)


def test_the_state_is_reported_after_every_epoch_of_every_student():
    inputs, labels, cohort = world(2, 21, 7, 3)
    seen = []

    def after_epochs(students, epochs, state, losses):
        assert losses.shape == (1, 1)
        seen.append((students, epochs, state["0.weight"].clone(), losses.item()))

    initial, options = initial_states(mlp(7, 3, 4), cohort.initialisation_seeds, CPU), TrainingOptions(epochs=3)
    before = {name: values.clone() for name, values in initial.items()}
    state = loop.train_cohort(mlp(7, 3, 4), initial, inputs, labels, cohort, options, Monitor(after_epochs))
    order = [(slice(student, student + 1), range(epoch, epoch + 1)) for student in range(2) for epoch in range(3)]
    assert [entry[:2] for entry in seen] == order
    for students, epochs, weight, loss in seen:
        shorter = options.model_copy(update={"epochs": epochs.stop})
        alone = train(mlp(7, 3, 4), inputs, labels, cohort[students], shorter, backend="loop")
        assert torch.equal(alone.parameters["0.weight"], weight)
        assert alone.losses[0, -1] == loss
    assert torch.equal(seen[-1][2][0], state["0.weight"][1])
    assert all(torch.equal(initial[name], values) for name, values in before.items())  # left as found


@pytest.mark.parametrize("flat", [True, False])
def test_convolutions_compute_with_channels_last_and_get_the_usual_result(flat):
    inputs, labels, cohort = world(2, 21, 64, 3)
    inputs = inputs if flat else inputs.view(21, 1, 8, 8)
    seen = []

    class Watched(Convolutional):
        def forward(self, values):
            second = self[-4]
            seen.append((values.shape, second.weight.is_contiguous(memory_format=torch.channels_last)))
            return super().forward(values)

    def build():
        return Watched(64, 3, flat)

    options = TrainingOptions(epochs=3, batch_size=8)
    trained = train(build, inputs, labels, cohort, options, backend="loop")
    assert seen
    assert all(last for _, last in seen)
    assert {len(shape) for shape, _ in seen} == {2 if flat else 4}
    for student in range(2):
        parameters, losses = _by_hand(lambda: Convolutional(64, 3, flat), inputs, labels, cohort, options, student)
        torch.testing.assert_close(trained.losses[student], losses, rtol=1e-5, atol=1e-6)
        for name, values in parameters.items():
            assert trained.parameters[name].is_contiguous()
            torch.testing.assert_close(trained.parameters[name][student], values, rtol=1e-3, atol=1e-5)


def test_images_keep_channels_last_in_every_batch():
    images = torch.randn(21, 3, 8, 8)
    data = loop._Data(images.clone(memory_format=torch.channels_last), torch.zeros(21), torch.zeros(21, 2))
    batch = data.take(torch.tensor([4, 2, 9]))
    assert batch.inputs.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(batch.inputs, images[[4, 2, 9]])


def test_networks_without_2d_convolutions_are_left_alone():
    assert loop._memory_format(mlp(7, 3, 4)()) == torch.contiguous_format
    assert loop._memory_format(nn.Conv1d(2, 3, 3)) == torch.contiguous_format
    assert loop._memory_format(Convolutional(64, 3)) == torch.channels_last
