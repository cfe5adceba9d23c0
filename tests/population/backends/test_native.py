"""The compiled backend against the loop, and against the same arithmetic in double precision."""

import dataclasses
import functools
import re

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.backends import loop, native
from kd_uncertainty.population.choice import choose_backend
from kd_uncertainty.population.contract import Cohort, Facts, Monitor
from kd_uncertainty.population.initialisation import initial_states, reproducible
from kd_uncertainty.population.native import library
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.prediction import predict
from kd_uncertainty.population.schedules import learning_rates
from kd_uncertainty.population.seeds import batch_orders
from kd_uncertainty.population.training import train

from ..worlds import CPU, Convolutional, mlp, regression_world, resampled, switching, world

pytestmark = pytest.mark.skipif(library.obstacle() is not None, reason="no compiler")

OPTIMISERS = {
    "sgd": {"optimiser": "sgd", "learning_rate": 0.05},
    "momentum": {"optimiser": "sgd", "momentum": 0.9, "weight_decay": 1e-3, "learning_rate": 0.05},
    "adam": {"optimiser": "adam"},
    "adam with decay": {"optimiser": "adam", "weight_decay": 1e-2},
    "adamw": {"optimiser": "adamw", "weight_decay": 1e-2},
}
SHAPES = {  # features, hidden, outputs, examples, batch size
    "one of everything": (1, (), 1, 7, 3),
    "logistic": (7, (), 3, 50, 16),
    "wide classes": (5, (20,), 101, 60, 25),
    "odd widths": (3, (70, 130), 17, 90, 40),
    "one example a step": (20, (70, 130), 17, 60, 1),
    "one batch": (13, (16,), 1, 104, 104),
    "one output, in blocks": (9, (20, 30), 1, 390, 300),
    "a batch in blocks": (20, (30,), 4, 390, 300),
}


def _double(build, inputs, labels, cohort, options, student):
    """The parameters by name after training in double precision, by torch's own losses and optimisers."""
    initial = initial_states(build, cohort.initialisation_seeds[student : student + 1], CPU)
    network = build().double()
    network.load_state_dict({name: values[0].double() for name, values in initial.items()})
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    more = {"momentum": options.momentum} if options.optimiser == "sgd" else {}
    optimiser = kinds[options.optimiser](network.parameters(), weight_decay=options.weight_decay, **more)
    inputs, targets = inputs.double(), cohort.targets[cohort.table_index[student]].double()
    labels, temperature = labels.double() if cohort.loss == "mse" else labels, cohort.temperature[student].double()
    size, step = cohort.num_rows, 0
    rates = learning_rates(options, size)
    for epoch in range(options.epochs):
        order = torch.arange(size)
        if options.batch_size < size:
            order = torch.from_numpy(batch_orders(cohort.order_seeds[student : student + 1], epoch, size)[0])
        order = order if cohort.rows is None else cohort.rows_of(epoch)[student][order]
        for batch in torch.split(order, options.batch_size):
            mixing, outputs = cohort.mixing_at(step)[student].double(), network(inputs[batch])
            if cohort.loss == "mse":
                hard, soft = mse_loss(outputs, labels[batch]), mse_loss(outputs, targets[batch])
            else:
                hard = cross_entropy(outputs, labels[batch])
                soft = temperature**2 * cross_entropy(outputs / temperature, targets[batch])
            optimiser.zero_grad()
            ((1 - mixing) * hard + mixing * soft).backward()
            optimiser.param_groups[0]["lr"] = rates[step]
            optimiser.step()
            step += 1
    return {name: values.detach() for name, values in network.named_parameters()}


def _largest(found, expected):
    return max(float((found[name].double() - expected[name].double()).abs().max()) for name in expected)


@pytest.mark.parametrize("loss", ["distillation", "mse", "switching"])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_is_as_close_to_exact_arithmetic_as_the_loop(shape, optimiser, loss):
    """Rounding differs; its size must not. Adam magnifies rounding where gradients vanish, for both alike."""
    features, hidden, outputs, examples, batch_size = SHAPES[shape]
    outputs = outputs if loss == "mse" else max(outputs, 2)
    inputs, labels, cohort = (regression_world if loss == "mse" else world)(5, examples, features, outputs)
    cohort = switching(cohort) if loss == "switching" else cohort
    build = mlp(features, outputs, *hidden)
    settings = {"learning_rate": 1e-3} | OPTIMISERS[optimiser]
    if batch_size == 1:  # where larger steps diverge, and rounding with them
        settings["learning_rate"] /= 10
    options = TrainingOptions(epochs=2, batch_size=batch_size, schedule="cosine", **settings)
    _assert_as_close_as_the_loop(build, inputs, labels, cohort, options)


@pytest.mark.parametrize(("size", "batch_size"), [(1, 16), (40, 16), (300, 190), (300, 1000)])
@pytest.mark.parametrize("loss", ["mse", "switching"])
@pytest.mark.parametrize(("optimiser", "epochs"), [("momentum", None), ("adamw", None), ("momentum", 2)])
def test_resamples_are_as_close_to_exact_arithmetic_as_in_the_loop(optimiser, epochs, loss, size, batch_size):
    inputs, labels, cohort = (regression_world if loss == "mse" else world)(5, 90, 9, 3)
    cohort = resampled(switching(cohort) if loss == "switching" else cohort, size, epochs)
    options = TrainingOptions(epochs=2, batch_size=batch_size, schedule="cosine", **OPTIMISERS[optimiser])
    _assert_as_close_as_the_loop(mlp(9, 3, 20), inputs, labels, cohort, options)


def _assert_as_close_as_the_loop(build, inputs, labels, cohort, options):
    run = functools.partial(train, build, inputs, labels, cohort, options)
    found, reference = run(backend="native"), run(backend="loop")
    torch.testing.assert_close(found.losses, reference.losses, rtol=2e-6, atol=2e-6)
    ours, torchs = [], []
    for student in range(5):
        exact = _double(build, inputs, labels, cohort, options, student)
        ours.append(_largest({name: values[student] for name, values in found.parameters.items()}, exact))
        torchs.append(_largest({name: values[student] for name, values in reference.parameters.items()}, exact))
    assert max(ours) < 3 * max(torchs) + 2e-6


@pytest.mark.parametrize("mixing", [0.0, 0.9, 1.0])
def test_equals_the_loop_within_two_millionths_after_an_epoch(digits, mixing):
    inputs, labels = digits
    targets = torch.softmax(3 * torch.randn(4, len(inputs), 10, generator=torch.Generator().manual_seed(0)), -1)
    cohort = Cohort(targets, torch.full((4,), mixing), torch.tensor([1.0, 1.0, 4.0, 2.0]), (1, 2, 3, 4), (5, 6, 7, 8))
    options = TrainingOptions(epochs=1, learning_rate=5e-3)
    found, expected = (train(mlp(64, 10, 32), inputs, labels, cohort, options, backend=b) for b in ("native", "loop"))
    assert _largest(found.parameters, expected.parameters) < 2e-6
    torch.testing.assert_close(found.losses, expected.losses, rtol=1e-6, atol=2e-6)


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    data = load_digits()
    return torch.tensor(data.data[:1078] / 16, dtype=torch.float32), torch.tensor(data.target[:1078])


def _bits(trained):
    return {**trained.parameters, "losses": trained.losses}


def _assert_same_bits(found, expected, students=slice(None)):
    for name, values in _bits(expected).items():
        assert torch.equal(_bits(found)[name], values[students]), name


@pytest.mark.parametrize("changes", [{"threads": 2}, {"threads": 5}, {"chunk_size": 1}, {"chunk_size": 3}])
@pytest.mark.parametrize("optimiser", ["momentum", "adamw"])
def test_bits_do_not_depend_on_threads_or_chunks(optimiser, changes):
    inputs, labels, cohort = world(7, 130, 12, 4)
    options = TrainingOptions(epochs=3, batch_size=32, **OPTIMISERS[optimiser])
    run = functools.partial(train, mlp(12, 4, 40, 9), inputs, labels, switching(cohort), options, backend="native")
    _assert_same_bits(run(**changes), run())


def test_bits_do_not_depend_on_neighbours():
    inputs, labels, cohort = world(6, 130, 12, 4)
    run = functools.partial(
        train, mlp(12, 4, 40), inputs, labels, options=TrainingOptions(epochs=2), backend="native", threads=2
    )
    everybody = run(cohort=cohort)
    _assert_same_bits(run(cohort=cohort[2:4]), everybody, slice(2, 4))
    shared = dataclasses.replace(cohort, targets=cohort.targets[[3, 0]], tables=torch.tensor([1, 1, 0, 0, 1, 0]))
    _assert_same_bits(run(cohort=shared[3:4]), everybody, slice(3, 4))


def test_bits_do_not_depend_on_how_often_progress_is_reported(monkeypatch):
    inputs, labels, cohort = world(3, 130, 12, 4)
    options = TrainingOptions(epochs=5, schedule="cosine", weight_decay=0.01, optimiser="adamw")
    run = functools.partial(train, mlp(12, 4, 40), inputs, labels, cohort, options, backend="native")
    at_once, seen = run(), []
    _assert_same_bits(run(validation=(inputs, labels)), at_once)
    monkeypatch.setattr(native, "_OPERATIONS_PER_CALL", 2 * 3.0 * 130 * 3 * (13 * 48 + 41 * 16))
    _assert_same_bits(run(on_epoch=seen.append), at_once)
    assert seen == [6, 6, 3]  # epochs of three students, two at a time


@pytest.mark.parametrize("batch_size", [64, 1])
@pytest.mark.parametrize("isa", library.INSTRUCTION_SETS)
def test_every_instruction_set_computes_the_same(isa, batch_size, monkeypatch):
    inputs, labels, cohort = world(4, 130, 30, 11)
    options = TrainingOptions(
        epochs=1, batch_size=batch_size, optimiser="sgd", momentum=0.9, learning_rate=0.05 / (64 // batch_size)
    )
    build = mlp(30, 11, 70, 20)
    expected = train(build, inputs, labels, cohort, options, backend="loop")
    monkeypatch.setattr(native.library, "train", functools.partial(_train_with, isa, library.train))
    try:
        found = train(build, inputs, labels, cohort, options, backend="native", threads=2)
    except ValueError as error:
        pytest.skip(str(error))
    assert _largest(found.parameters, expected.parameters) < 2e-6


def _train_with(isa, train_task, task):
    task.isa = isa
    train_task(task)


def test_populations_are_statistically_those_of_the_loop():
    """After many epochs rounding has grown; inter-student variances and mean losses must still agree.

    Independent seeds in both, so that the ratio of variances has the spread of 96 students in each: its logarithm is
    compared with its standard error by jackknife over students. A control: another learning rate is told apart.
    """
    inputs, labels, cohort = world(96, 120, 8, 3)
    cohort = dataclasses.replace(cohort, mixing=torch.ones(96), temperature=torch.ones(96), targets=cohort.targets[:1],
                                 tables=torch.zeros(96, dtype=torch.int64))  # fmt: skip

    def logits(backend, offset, rate):
        seeds = {"initialisation_seeds": range(offset, offset + 96), "order_seeds": range(offset + 500, offset + 596)}
        students = dataclasses.replace(cohort, **{name: tuple(values) for name, values in seeds.items()})
        options = TrainingOptions(epochs=25, batch_size=30, learning_rate=rate)
        trained = train(mlp(8, 3, 12), inputs, labels, students, options, backend=backend)
        return torch.softmax(predict(mlp(8, 3, 12), trained.parameters, inputs).double(), -1)

    def log_variance(probabilities):
        """The log of the mean inter-student variance, and its squared standard error."""
        total, squares, count = probabilities.sum(0), probabilities.square().sum(0), len(probabilities)
        rest = [(squares - p**2) / (count - 1) - ((total - p) / (count - 1)) ** 2 for p in probabilities]
        left_out = torch.stack([values.mean() for values in rest]).log()
        variance = (squares / count - (total / count) ** 2).mean().log()
        return variance, (count - 1) * left_out.var(correction=0)

    (a, a_error), (b, b_error) = log_variance(logits("native", 0, 5e-3)), log_variance(logits("vmap", 2000, 5e-3))
    assert abs(a - b) < 3.5 * (a_error + b_error).sqrt()
    slow, slow_error = log_variance(logits("vmap", 2000, 1e-3))
    assert abs(a - slow) > 5 * (a_error + slow_error).sqrt()


def test_layers_without_bias_and_without_relu():
    inputs, labels, cohort = world(3, 60, 9, 4)
    layers = ((9, 20, False), (20, 7, True), (7, 4, False))

    def build():
        first, second, last = (nn.Linear(i, o, bias=bias) for i, o, bias in layers)
        return nn.Sequential(nn.Sequential(first, second), nn.Identity(), nn.ReLU(), last)

    options = TrainingOptions(epochs=2, optimiser="sgd", learning_rate=0.1)
    found, expected = (train(build, inputs, labels, cohort, options, backend=b) for b in ("native", "loop"))
    assert found.parameters.keys() == expected.parameters.keys()
    assert _largest(found.parameters, expected.parameters) < 1e-6


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "momentum"])
def test_a_learning_rate_of_zero_stops_the_training(optimiser):
    inputs, labels, cohort = world(2, 40, 5, 3)
    schedule = {"schedule": "step", "milestones": (1,), "decay": 1e-300}
    options = {name: value for name, value in OPTIMISERS[optimiser].items() if name != "weight_decay"}
    run = functools.partial(train, mlp(5, 3, 6), inputs, labels, cohort, backend="native")
    short, long = (run(options=TrainingOptions(epochs=epochs, **schedule, **options)) for epochs in (2, 4))
    assert _largest(long.parameters, short.parameters) < 1e-25


def test_what_is_not_a_number_stays_so():
    """A ReLU that turned NaN into 0 would hide a training that has failed."""
    inputs, labels, cohort = world(2, 20, 5, 3)
    inputs[3, 2] = float("nan")
    losses = []
    initial = initial_states(mlp(5, 3, 6), cohort.initialisation_seeds, CPU)
    monitor = Monitor(lambda *report: losses.append(report[-1]))
    native.train_cohort(mlp(5, 3, 6), initial, inputs, labels, cohort, TrainingOptions(epochs=1), monitor)
    assert torch.isnan(losses[0]).all()


def test_results_do_not_share_memory_with_the_initial_state():
    inputs, labels, cohort = world(2, 20, 5, 3)
    initial = initial_states(mlp(5, 3, 6), cohort.initialisation_seeds, CPU)
    before = {name: values.clone() for name, values in initial.items()}
    monitor, options = Monitor(lambda *_: None), TrainingOptions(epochs=1)
    with reproducible(CPU):
        found, expected = (
            backend.train_cohort(mlp(5, 3, 6), initial, inputs, labels, cohort, options, monitor)
            for backend in (native, loop)
        )
    assert all(torch.equal(initial[name], before[name]) for name in before)
    assert _largest(found, expected) < 2e-6


def test_a_network_of_another_size_is_refused_before_it_does_harm():
    inputs, labels, cohort = world(2, 20, 5, 3)
    initial = initial_states(mlp(5, 3), cohort.initialisation_seeds, CPU)
    arguments = (labels, cohort, TrainingOptions(epochs=1), Monitor(lambda *_: None))
    with pytest.raises(ValueError, match=r"inputs and targets have \(4, 3\) columns where the network has \(5, 3\)"):
        native.train_cohort(mlp(5, 3), initial, inputs[:, :4], *arguments)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.float32])
def test_switch_steps_of_any_number_type(dtype):
    inputs, labels, cohort = world(4, 40, 5, 3)
    cohort = switching(cohort)
    run = functools.partial(train, mlp(5, 3, 6), inputs, labels, options=TrainingOptions(epochs=3, batch_size=16))
    steps = cohort.switch_step.clamp(max=10**6).to(dtype)
    found = run(cohort=dataclasses.replace(cohort, switch_step=steps), backend="native")
    _assert_same_bits(found, run(cohort=cohort, backend="native"))


@pytest.mark.parametrize("optimiser", ["adam", "adamw"])
def test_squares_that_overflow_are_no_reason_to_fail(optimiser):
    """The loop divides by infinity there and goes on."""
    inputs, labels, cohort = world(2, 40, 5, 3)
    inputs[:, 2] *= 1e22
    options = TrainingOptions(epochs=2, batch_size=16, optimiser=optimiser)
    trained = train(mlp(5, 3), inputs, labels, cohort, options, backend="native")
    assert torch.isfinite(trained.parameters["0.weight"]).all()


class ByHand(nn.Module):
    """What the tracer takes for Linear, ReLU, Linear."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(8, 6), nn.Linear(6, 3)

    def forward(self, inputs):
        return self.last(torch.relu(self.first(inputs)))


class Frozen(ByHand):
    def forward(self, inputs):
        with torch.no_grad():
            hidden = torch.relu(self.first(inputs))
        return self.last(hidden)


class Clamped(ByHand):
    def forward(self, inputs):
        with torch.no_grad():
            for values in self.parameters():
                values.clamp_(-0.1, 0.1)
        return super().forward(inputs)


class Doubled(ByHand):
    def __call__(self, inputs):
        return 2 * super().__call__(inputs)


class Hooked(ByHand):
    def __init__(self):
        super().__init__()
        self.first.weight.register_hook(lambda gradient: 0 * gradient)


class Patched(ByHand):
    def __init__(self):
        super().__init__()
        self.first.forward = lambda inputs: torch.tanh(inputs[:, :6])


class OnlyInTraining(ByHand):
    def __init__(self):
        super().__init__()
        self.eval()

    def forward(self, inputs):
        return self.last(torch.tanh(self.first(inputs))) if self.training else super().forward(inputs)


@pytest.mark.parametrize("build", [Frozen, Clamped, Doubled, Hooked, Patched, OnlyInTraining])
def test_networks_that_only_look_like_layers_are_not_taken(build):
    arguments = (torch.randn(70, 8), 3, TrainingOptions(batch_size=32), CPU)
    name, reason = choose_backend(build, "auto", *arguments)
    assert name != "native"
    assert "native takes" in reason or "native computes something else than the network does" in reason
    with pytest.raises(UserError, match="native cannot train these students: native"):
        choose_backend(build, "native", *arguments)


def test_networks_by_hand_are_taken():
    assert choose_backend(ByHand, "auto", torch.randn(70, 8), 3, TrainingOptions(), CPU)[0] == "native"


def _tied():
    shared = nn.Linear(4, 4)
    return nn.Sequential(shared, nn.ReLU(), shared)


def _frozen():
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    network[0].requires_grad_(False)
    return network


def _hooked():
    network = nn.Sequential(nn.Linear(4, 2))
    network[0].register_forward_hook(lambda *_: None)
    return network


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (
            lambda: nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)),
            "Linear and ReLU layers, one after another",
        ),
        (lambda: Convolutional(64, 2), "Linear and ReLU layers, one after another"),
        (lambda: nn.Sequential(nn.ReLU(), nn.Linear(4, 2)), "begin with a Linear layer"),
        (lambda: nn.Sequential(nn.Linear(4, 2), nn.ReLU()), "end with a Linear layer"),
        (lambda: nn.Sequential(nn.Linear(4, 2)).double(), "float32 parameters"),
        (_tied, "no layers that share parameters"),
        (_frozen, "no frozen parameters"),
        (_hooked, "Linear and ReLU layers, one after another"),
    ],
)
def test_other_networks_are_left_to_other_backends(build, reason):
    facts = Facts("distillation", TrainingOptions(), CPU)
    assert reason in native.obstacle(build(), facts)


@pytest.mark.parametrize("loss", ["distillation", "mse"])
def test_perceptrons_are_compiled_and_the_record_says_so(loss):
    name, reason = choose_backend(mlp(8, 3, 10), "auto", torch.randn(70, 8), 3, TrainingOptions(), CPU, loss)
    assert name == "native"
    assert re.fullmatch("compiled for Linear and ReLU layers, (AVX-512|AVX2|no vector instructions)", reason)


def test_perceptrons_with_dropout_are_vectorised_and_the_record_says_why():
    name, reason = choose_backend(mlp(8, 3, 10, dropout=0.2), "auto", torch.randn(70, 8), 3, TrainingOptions(), CPU)
    assert name == "vmap"
    assert reason.endswith("bit for bit; native takes Linear and ReLU layers, one after another, only")


def test_other_devices_are_left_to_other_backends():
    facts = Facts("distillation", TrainingOptions(), torch.device("cuda"))
    assert native.obstacle(mlp(4, 2)(), facts) == "native trains on the CPU only"


@pytest.mark.slow
def test_native_is_many_times_faster_than_the_loop(digits):
    """Coarse, on whatever machine: `make bench` measures it well."""
    from time import perf_counter

    inputs, labels = digits
    cohort = world(32, len(inputs), 64, 10)[2]
    seconds = {}
    for backend, students in (("native", 2), ("native", 32), ("loop", 4)):
        start = perf_counter()
        train(mlp(64, 10, 32), inputs, labels, cohort[:students], TrainingOptions(epochs=5), backend=backend)
        seconds[backend] = (perf_counter() - start) / students
    assert seconds["loop"] > 20 * seconds["native"]
