"""Options: what is refused, and what null and a single value mean."""

import pytest
from pydantic import ValidationError

from kd_uncertainty.comparison.options import TeacherComparisonOptions

from .worlds import options


def test_null_switches_a_teacher_off():
    posteriors = {"a": {"kind": "deterministic"}, "b": None, "c": {"kind": "deep_ensemble", "members": 3}}
    chosen = options(posteriors=posteriors)
    assert list(chosen.posteriors) == ["a", "c"]
    assert chosen.posteriors["c"].distinct_draws == 3
    assert chosen.model_dump()["posteriors"]["c"]["members"] == 3  # or a fingerprint would not see it


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"posteriors": {"none": {"kind": "deterministic"}}}, "cannot be called 'none'"),
        ({"posteriors": {"a/b": {"kind": "deterministic"}}}, "without '/'"),
        ({"posteriors": {"a": None}}, "at least one teacher"),
        ({"posteriors": {"a": {"kind": "oracle"}}}, "unknown kind"),
        ({"fractions": [0.0, 1.0]}, "greater than 0"),
        ({"fractions": [0.5, 0.5]}, "twice"),
        ({"mixing": [0.0]}, "greater than 0"),
        ({"num_seeds": 2}, "greater than or equal to 3"),
        ({"evaluations": 1.0}, "less than 1"),
        ({"draws": [1]}, "Extra inputs"),
    ],
)
def test_what_cannot_be_is_refused(changed, what):
    with pytest.raises(ValidationError, match=what):
        options(**changed)


def test_a_single_value_is_a_list():
    chosen = TeacherComparisonOptions.model_validate({"posteriors": {"a": {"kind": "deterministic"}}, "mixing": 1.0})
    assert chosen.mixing == (1.0,)
