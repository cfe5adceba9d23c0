"""Contradictory options of a training are refused with the words that mend them."""

import pytest
from pydantic import ValidationError

from kd_uncertainty.population.options import TrainingOptions


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"momentum": 0.9}, "momentum is an option of optimiser: sgd, not of adam"),
        ({"schedule": "step"}, "schedule: step needs milestones"),
        ({"milestones": [3]}, "milestones are an option of schedule: step, not of constant"),
        ({"schedule": "cosine", "milestones": [3]}, "milestones are an option of schedule: step, not of cosine"),
        ({"schedule": "step", "milestones": [3, 3]}, r"milestones must increase, unlike \[3, 3\]"),
        ({"schedule": "step", "milestones": [5, 3]}, r"milestones must increase, unlike \[5, 3\]"),
        ({"schedule": "step", "milestones": [0, 3]}, "greater than 0"),
        ({"schedule": "step", "milestones": [3, 10], "epochs": 10}, "before the end of the 10 epochs"),
        ({"schedule": "step", "milestones": [3], "warmup_epochs": 4}, r"must lie after the 4 warmup_epochs"),
        ({"warmup_epochs": 10, "epochs": 10}, r"warmup_epochs \(10\) must be fewer than epochs \(10\)"),
        ({"schedule": "step", "milestones": [3], "decay": 0.0}, "greater than 0"),
        ({"decay": 1.5}, "less than or equal to 1"),
        ({"precision": "float16"}, "'float32', 'tf32' or 'bf16'"),
        ({"schedule": "linear"}, "'constant', 'step' or 'cosine'"),
    ],
)
def test_contradictions_are_refused(options, words):
    with pytest.raises(ValidationError, match=words):
        TrainingOptions(**options)


def test_what_fits_is_accepted():
    options = TrainingOptions(
        schedule="step", milestones=[2, 4], warmup_epochs=2, epochs=5, optimiser="sgd", momentum=0.9
    )
    assert options.milestones == (2, 4)
    assert TrainingOptions(schedule="cosine", warmup_epochs=9, epochs=10).warmup_epochs == 9
    assert TrainingOptions().schedule == "constant"
    assert TrainingOptions().precision == "float32"
