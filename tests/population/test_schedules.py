"""Learning rates against torch's own schedulers, stepped after every optimiser step or epoch."""

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.schedules import learning_rates, steps_per_epoch

EPOCHS, EXAMPLES, BATCH, STEPS = 6, 33, 8, 5


def _options(**changes):
    return TrainingOptions(**{"epochs": EPOCHS, "batch_size": BATCH, "learning_rate": 0.3} | changes)


def _torch_rates(make, per_epoch):
    """The rates that torch's scheduler gives to every step."""
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=0.3)
    scheduler, rates = make(optimiser), []
    for step in range(1, EPOCHS * STEPS + 1):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if not per_epoch or step % STEPS == 0:
            scheduler.step()
    return np.array(rates)


@pytest.mark.parametrize(("examples", "batch_size", "steps"), [(33, 8, 5), (32, 8, 4), (5, 8, 1), (8, 8, 1), (1, 1, 1)])
def test_a_partial_batch_is_a_step(examples, batch_size, steps):
    options = _options(batch_size=batch_size)
    assert steps_per_epoch(options, examples) == steps
    assert learning_rates(options, examples).shape == (EPOCHS * steps,)


def test_a_constant_rate_is_the_rate_itself_in_every_bit():
    rates = learning_rates(_options(), EXAMPLES)
    assert rates.dtype == np.float64
    assert (rates == 0.3).all()


@pytest.mark.parametrize("milestones", [(2,), (1, 4), (1, 2, 5)])
def test_steps_fall_as_torchs_multi_step_scheduler_lets_them(milestones):
    expected = _torch_rates(lambda sgd: lr_scheduler.MultiStepLR(sgd, milestones, gamma=0.2), per_epoch=True)
    found = learning_rates(_options(schedule="step", milestones=milestones, decay=0.2), EXAMPLES)
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    first = milestones[0] * STEPS
    assert found[first - 1] == 0.3
    assert found[first] == pytest.approx(0.06)


def test_a_cosine_is_torchs_stepped_every_step():
    expected = _torch_rates(lambda sgd: lr_scheduler.CosineAnnealingLR(sgd, EPOCHS * STEPS), per_epoch=False)
    found = learning_rates(_options(schedule="cosine"), EXAMPLES)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert found[0] == 0.3
    assert 0 < found[-1] < 0.3 * 0.01


def _warmed(sgd, then, warmup):
    """Torch's linear warm-up whose last step has the full rate, and then another schedule."""
    linear = lr_scheduler.LinearLR(sgd, start_factor=1 / warmup, total_iters=warmup - 1)
    return lr_scheduler.SequentialLR(sgd, [linear, then], milestones=[warmup])


@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step:UserWarning")
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_warm_up_comes_before_the_schedule(schedule):
    def make(sgd):
        constant = lr_scheduler.LambdaLR(sgd, lambda _: 1.0)
        cosine = lr_scheduler.CosineAnnealingLR(sgd, (EPOCHS - 2) * STEPS)
        return _warmed(sgd, constant if schedule == "constant" else cosine, 2 * STEPS)

    expected = _torch_rates(make, per_epoch=False)
    found = learning_rates(_options(schedule=schedule, warmup_epochs=2), EXAMPLES)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    np.testing.assert_allclose(found[: 2 * STEPS], 0.3 * np.arange(1, 11) / 10)


def test_milestones_count_epochs_from_the_start_of_the_warm_up():
    found = learning_rates(_options(schedule="step", milestones=(2, 4), warmup_epochs=1), EXAMPLES)
    expected = [*(0.3 * np.arange(1, 6) / 5), *[0.3] * STEPS, *[0.03] * (2 * STEPS), *[0.003] * (2 * STEPS)]
    np.testing.assert_allclose(found, expected, rtol=1e-14)
