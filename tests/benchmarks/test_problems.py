from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import yaml

from benchmarks import problems
from kd_uncertainty.tasks.bundled import LABEL_NOISE, load_bundled
from kd_uncertainty.tasks.options import IngestionOptions
from kd_uncertainty.tasks.tables import prepare_task

from ..project import ROOT
from .problems import small


def test_a_problem_survives_its_file(tmp_path):
    problem = small(mixing=0.9, temperature=4.0, hidden=(8, 4))
    problem.save(tmp_path / "problem.npz")
    again = problems.Problem.load(tmp_path / "problem.npz")
    for field in fields(problem):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(problem, field.name))
        assert type(getattr(again, field.name)) is type(getattr(problem, field.name))


@pytest.mark.parametrize("hidden", [(), (8,), (8, 4)])
def test_operations_are_those_of_the_matrix_products(hidden):
    """Count every product of forward and backward pass by the shapes of its factors: 2 m k n for (m, k) @ (k, n)."""
    problem = small(hidden=hidden)
    examples, widths = len(problem.inputs), (5, *hidden, 3)
    count = 0
    for layer in range(len(widths) - 1):
        fan_in, fan_out = widths[layer], widths[layer + 1]
        forward, of_weight, of_input = (
            (examples, fan_in, fan_out),
            (fan_out, examples, fan_in),
            (examples, fan_out, fan_in),
        )
        for m, k, n in (forward, of_weight, *([of_input] if layer else [])):
            count += 2 * m * k * n
    assert problem.flops_per_epoch == count


def test_students_take_the_tables_in_turn():
    problem = small()
    for student in range(4):
        np.testing.assert_array_equal(problem.table(student), problem.targets[student % 2])


def test_the_digits_are_those_of_the_default_study():
    study = yaml.safe_load((ROOT / "conf/base/parameters/classification.yml").read_text())["classification"]
    source = yaml.safe_load((ROOT / "conf/base/catalog/ingestion.yml").read_text())["classification.source"]
    table = load_bundled(source["name"])
    table.attrs[LABEL_NOISE] = source["label_noise"]
    examples = prepare_task(table, IngestionOptions(**study["ingestion"])).examples
    train = examples[examples["split"] == "train"]
    inputs, labels = problems.digits_split()
    assert inputs.shape == (len(train), 64)
    np.testing.assert_array_equal(labels, train.sort_values("example_id")["target"])


def test_soft_labels_are_probabilities_that_members_disagree_on():
    labels = problems.soft_labels(members=2)
    np.testing.assert_allclose(labels.sum(-1), 1.0, atol=1e-5)
    assert np.abs(labels[0] - labels[1]).mean() > 0.01
    softer = problems.soft_labels(members=2, temperature=4.0)
    np.testing.assert_allclose(  # softmax(logits / 4) is the fourth root of softmax(logits), normalised
        softer, labels**0.25 / (labels**0.25).sum(-1, keepdims=True), atol=1e-4
    )


def test_the_regression_has_the_papers_size():
    problem = problems.tabular(students=3)
    assert problem.widths == (13, 16, 1)
    assert len(problem.inputs) == 404
    assert problem.epochs == 200
    assert problem.full_batch
    noise = problem.targets - problem.labels
    assert noise.std() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(2 * noise.size))
    assert abs(np.corrcoef(noise[0, :, 0], noise[1, :, 0])[0, 1]) < 4 / np.sqrt(404)  # copies of their own
