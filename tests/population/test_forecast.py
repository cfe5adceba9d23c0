"""The forecast of a population's training."""

import math
from dataclasses import replace

import pytest

from kd_uncertainty.errors import UserError
from kd_uncertainty.population import forecast as forecasts
from kd_uncertainty.population.forecast import forecast
from kd_uncertainty.population.options import TrainingOptions

from .worlds import CPU, small_job


def test_the_estimate_is_that_of_a_linear_cost(monkeypatch):
    """A student that takes 3 ms and 2 ms an epoch; 28 of them, 30 epochs, two workers."""
    monkeypatch.setattr(
        forecasts, "_seconds", lambda job, backend, device, count, epochs: count * (3 + 2 * epochs) / 1e3
    )
    job = replace(small_job(backend="vmap"), training=TrainingOptions(epochs=30))
    found = forecast(job, CPU, workers=2)
    assert found.seconds == pytest.approx(28 * (3 + 2 * 30) / 1e3 / 2)
    assert (found.students, found.shards, found.workers, found.backend) == (28, job.num_shards, 2, "vmap")


def test_a_trial_trains_few_students_where_they_are_slow(monkeypatch):
    monkeypatch.setattr(forecasts, "_seconds", lambda job, backend, device, count, epochs: 1.0 * count * epochs)
    assert forecast(small_job(backend="loop"), CPU).trial_students == 1


def test_a_real_trial_changes_nothing_and_without_one_no_time_is_claimed():
    job = small_job(backend="loop")
    plan = job.plan.copy()
    assert 0.0 < forecast(job, CPU).seconds < 600.0
    assert job.plan.equals(plan)
    assert math.isnan(forecast(job, CPU, trial=False).seconds)


def test_a_job_that_cannot_run_is_refused():
    with pytest.raises(UserError, match="hiden"):
        forecast(small_job(network_arguments={"hiden": 1}), CPU)
