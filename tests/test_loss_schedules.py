"""Schedules of a loss that switches: their texts, their weights, and the step of the switch."""

import math

import pytest
from pydantic import ValidationError

from kd_uncertainty.deviations._switching_training import Arm
from kd_uncertainty.loss_schedules import CONSTANT, Switch, canonical, nearest_step, parse_switch
from kd_uncertainty.options import ArmOptions


def test_texts_are_read_and_have_one_spelling():
    assert parse_switch("constant") is None
    assert parse_switch("to_teacher@0.5") == Switch("to_teacher", 0.5)
    assert parse_switch("to_labels@.250") == Switch("to_labels", 0.25)
    assert canonical("to_labels@.250") == "to_labels@0.25"
    assert canonical(CONSTANT) == CONSTANT
    for share in (1e-3, 1 / 3, 0.1 + 0.2):
        assert parse_switch(str(Switch("to_teacher", share))) == Switch("to_teacher", share)


@pytest.mark.parametrize(
    "text",
    [
        *("", "Constant", "to_teacher", "to_teacher@", "to_teacher@half", "to_teacher@0", "to_labels@1"),
        *("to_labels@-0.5", "to_labels@nan", "to_labels@inf", "to_teacher@0.5@0.7", "teacher@0.5", "0.5"),
        "constant@0.5",
    ],
)
def test_other_texts_are_refused_with_what_to_write(text):
    with pytest.raises(ValueError, match=r"is no schedule; write constant, to_teacher@0\.5 .* or to_labels@0\.5"):
        parse_switch(text)


def test_the_teacher_has_the_arms_own_weight_on_one_side_and_none_on_the_other():
    assert Switch("to_teacher", 0.5).mixings(0.7) == (0.0, 0.7)
    assert Switch("to_labels", 0.5).mixings(0.7) == (0.7, 0.0)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.74, 0.9])
@pytest.mark.parametrize("steps", [1, 7, 42, 340])
def test_the_step_is_that_of_the_deviations_study(share, steps):
    assert nearest_step(share, steps) == Arm(0, "to_one_hot", share).switch_step(steps)
    assert math.isclose(nearest_step(share, steps), share * steps, abs_tol=0.5)


def test_an_arm_takes_one_schedule_or_several():
    assert ArmOptions(target="exact").schedule == ("constant",)
    assert ArmOptions.model_validate({"target": "exact", "schedule": "to_teacher@.5"}).schedule == ("to_teacher@0.5",)
    several = ["constant", "to_teacher@0.25", "to_labels@0.5"]
    assert ArmOptions.model_validate({"target": "label", "schedule": several}).schedule == tuple(several)


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        ({"target": "one_hot", "schedule": "to_teacher@0.5"}, "one_hot has no teacher to switch to or from"),
        ({"target": "exact", "mixing": 0.0, "schedule": "to_labels@0.5"}, "mixing: 0 never learns from the teacher"),
        ({"target": "exact", "schedule": 0.5}, "valid string"),
        ({"target": "exact", "schedule": []}, "at least 1"),
        ({"target": "exact", "schedule": ["constant", "halfway"]}, "'halfway' is no schedule"),
    ],
)
def test_arms_that_cannot_switch_are_refused(arm, words):
    with pytest.raises(ValidationError, match=words):
        ArmOptions.model_validate(arm)
