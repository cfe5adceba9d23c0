"""Tables of experiments as metrics."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from kd_uncertainty import schemas
from kd_uncertainty.hooks.tracking.measures import MEASURES, measures
from kd_uncertainty.hooks.tracking.records import RECORDERS, record_outputs
from kd_uncertainty.pipelines import STAGES, study_pipeline

FIGURES = "_figure"
NO_RECORD = {"examples", "responses", "teachers", "students", "predictions", "linear_students", "best_student"} | {
    "teacher_reliability", "student_reliability", "compared_teachers", "compared_teacher_curves", "stability_engine",
    "prompts", "response_shards", "response_embeddings", "pilot", "targets", "student_answers", "answer_embeddings",
}  # fmt: skip


@pytest.mark.parametrize("study", sorted(STAGES))
def test_every_table_of_every_study_is_logged_or_known_not_to_be(study):
    names = {name.partition(".")[2] for name in study_pipeline(study).all_outputs()}
    assert {name for name in names if not name.endswith(FIGURES)} <= set(RECORDERS) | NO_RECORD


def test_measures_are_of_tables_that_have_a_contract():
    assert all(hasattr(schemas, name) for name in MEASURES)


def test_rows_are_named_by_what_sets_them_apart():
    table = pd.DataFrame(
        {
            "arm": ["one_hot", "dirichlet"],
            "level": [math.nan, 0.5],
            "mixing": [1.0, 0.6],
            "monte_carlo": [2.0, 3.0],
            "ratio": [math.nan, 1.0],
        }
    )
    assert list(measures("gradient_noise", table)) == [
        ("gradient_noise/monte_carlo/one_hot.1", 2.0, 0),
        ("gradient_noise/monte_carlo/dirichlet.0.5.0.6", 3.0, 0),
        ("gradient_noise/ratio/dirichlet.0.5.0.6", 1.0, 0),
    ]


def test_curves_have_steps_and_other_rows_are_left_out():
    curves = pd.DataFrame({"metric": "nll", "arm": "exact", "step": [10, 20], "estimate": [0.5, 0.25]})
    assert [point[1:] for point in measures("stability_curves", curves)] == [(0.5, 10), (0.25, 20)]
    switching = pd.DataFrame(
        {"metric": "nll", "teacher": "early_stopped", "schedule": "one_hot", "split": ["train", "test"]}
    ).assign(estimate=[1.0, 2.0])
    assert [point[1] for point in measures("switching", switching)] == [2.0]
    record = record_outputs(["switching"], lambda name: switching)
    assert [point.value for point in record.metrics] == [2.0]
    assert "tables/switching.csv" in record.files
