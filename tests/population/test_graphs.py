"""The seam: a captured step does what the step does, and capturing it does nothing."""

import pytest
import torch

from kd_uncertainty.population import graphs

from .tape import FakeCuda, HostError, Tape

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def cuda(monkeypatch):
    return FakeCuda(monkeypatch)


class Fibonacci:
    """A step on fixed tensors, and the streams that Python ran it on."""

    def __init__(self, cuda=None):
        self.cuda = cuda
        self.pair, self.count, self.calls = torch.tensor([0, 1]), torch.zeros((), dtype=torch.int64), []

    def __call__(self):
        self.calls.append(self.cuda and self.cuda.current)
        self.pair.copy_(torch.stack([self.pair[1], self.pair.sum()]))
        self.count.add_(1)

    @property
    def changed(self):
        return [self.pair, self.count]


def test_a_cpu_calls_the_step_itself():
    step = Fibonacci()
    assert graphs.capture(step, step.changed, CPU) is step
    assert graphs.run_eagerly(step, step.changed, GPU) is step
    graphs.wait_for(CPU)


def test_a_gpu_warms_up_on_a_side_stream_and_captures_once(cuda):
    step = Fibonacci(cuda)
    graphs.capture(step, step.changed, GPU)
    *warm_ups, last = step.calls
    assert len(warm_ups) >= 3
    assert set(warm_ups) == {"side"}
    assert last == "capture"
    # The warm-up sees all that came before it, and all that comes after sees it done.
    assert cuda.waits == [("side", "main"), ("main", "side")]


def test_capturing_changes_no_tensor(cuda):
    step = Fibonacci(cuda)
    graphs.capture(step, step.changed, GPU)
    assert step.pair.tolist() == [0, 1]
    assert step.count.item() == 0


def test_what_is_not_among_the_changed_tensors_is_not_put_back(cuda):
    """So the list has to be complete; the trainings below would show it if it were not."""
    step = Fibonacci(cuda)
    graphs.capture(step, [step.pair], GPU)
    assert step.pair.tolist() == [0, 1]
    assert step.count.item() >= 3


def test_replays_do_what_calls_do_without_calling_python(cuda):
    step, other = Fibonacci(cuda), Fibonacci()
    replay = graphs.capture(step, step.changed, GPU)
    calls = len(step.calls)
    for _ in range(10):
        replay()
        other()
    assert len(step.calls) == calls
    assert step.pair.tolist() == other.pair.tolist() == [55, 89]
    assert step.count.item() == 10


def test_the_tape_repeats_numbers_as_they_were():
    """The fake is as blind as a graph: a number that Python counts is frozen."""
    values, python = torch.zeros(3), [1.0]
    with Tape() as tape:
        values.add_(python[0])
    assert values.tolist() == [0.0, 0.0, 0.0]
    python[0] = 5.0
    tape.replay()
    tape.replay()
    assert values.tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    "ask", [torch.Tensor.item, torch.Tensor.nonzero, bool, lambda values: values + torch.tensor(2.0)]
)
def test_the_tape_refuses_what_needs_the_host(ask):
    with pytest.raises(HostError), Tape():
        ask(torch.ones(()))


def test_uploads_fill_the_fixed_tensor():
    fixed = torch.zeros(2, 3)
    place = fixed.data_ptr()
    graphs.upload(fixed, torch.arange(6.0).view(2, 3))
    assert fixed.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert fixed.data_ptr() == place
