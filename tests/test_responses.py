import json

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from kd_uncertainty.datasets import ParquetStream
from kd_uncertainty.errors import UserError
from kd_uncertainty.responses import (
    METADATA_KEY,
    batches,
    describe,
    read_soft_labels,
    response_schema,
    response_table,
)

IDS = np.array([3, 5, 9, 11], dtype=np.int64)
LOGITS = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))  # draws, examples, classes


@pytest.fixture
def file(tmp_path):
    schema = response_schema(describe({"t": {"kind": "deep_ensemble", "draws": 2}}, 7, ["a", "b", "c"]))
    tables = (response_table("t", IDS[rows], LOGITS[:, rows], schema) for rows in batches(IDS, 3))
    path = tmp_path / "responses.parquet"
    ParquetStream(str(path)).save(tables)
    return path


def nested(values):
    return [[list(map(float, draw)) for draw in example] for example in values]


def test_pandas_reads_the_file_without_our_code(file):
    frame = pd.read_parquet(file)
    assert frame.columns.tolist() == ["teacher", "example_id", "logits"]
    assert frame["example_id"].tolist() == IDS.tolist()
    values = np.array([np.stack(cell) for cell in frame["logits"]])
    np.testing.assert_array_equal(values, LOGITS.transpose(0, 1).numpy())


def test_duckdb_reads_the_file_without_our_code(file):
    # DuckDB counts list elements from 1: example 5 is the second, draw 2, class 3.
    [(value,)] = duckdb.sql(f"select logits[2][3] from '{file}' where example_id = 5").fetchall()
    assert value == LOGITS[1, 1, 2].item()


def test_the_file_explains_itself(file):
    facts = json.loads(pa.parquet.read_schema(file).metadata[METADATA_KEY])
    assert facts["format_version"] == 1
    assert facts["seed"] == 7
    assert facts["classes"] == ["a", "b", "c"]
    assert facts["teachers"] == {"t": {"kind": "deep_ensemble", "draws": 2}}


def test_rows_come_in_the_order_that_is_asked_for(file):
    ids = np.array([9, 3, 11], dtype=np.int64)
    for data in (pa.parquet.read_table(file), pd.read_parquet(file)):
        labels = read_soft_labels(data, ids, 3)
        np.testing.assert_array_equal(labels.logits["t"], LOGITS.transpose(0, 1).numpy()[[2, 0, 3]])
        np.testing.assert_array_equal(labels.example_ids, ids)


def test_mean_probabilities_average_probabilities_not_logits(file):
    labels = read_soft_labels(pd.read_parquet(file), IDS, 3)
    expected = LOGITS.double().softmax(-1).mean(0).numpy()
    np.testing.assert_allclose(labels.mean_probabilities("t"), expected, rtol=1e-12)


def test_probabilities_and_a_single_nameless_teacher_are_welcome():
    probabilities = np.array([[0.5, 0.5, 0.0], [0.1, 0.2, 0.7]], dtype=np.float32)
    frame = pd.DataFrame({"example_id": [0, 1], "probabilities": probabilities.tolist()})
    labels = read_soft_labels(frame, np.array([0, 1]), 3)
    assert labels.teachers == ["teacher"]
    assert labels.logits["teacher"].shape == (2, 1, 3)
    np.testing.assert_allclose(labels.mean_probabilities("teacher"), probabilities, atol=1e-7)


def frame(**changes):
    values = LOGITS.transpose(0, 1).numpy()
    return pd.DataFrame({"teacher": "t", "example_id": IDS, "logits": nested(values), **changes})


def broken(row, cell):
    values = nested(LOGITS.transpose(0, 1).numpy())
    values[row] = cell
    return frame(logits=values)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (frame().iloc[1:], ["'t'", "1 of 4 examples are missing", "example_id 3"]),
        (pd.concat([frame(), frame().iloc[:1]]), ["example_id 3 is there twice"]),
        (broken(1, [[0.0, 1.0, 2.0], [0.0, np.nan, 1.0]]), ["NaN", "example_id 5"]),
        (broken(1, [[0.0, 1.0, 2.0], [0.0, np.inf, 1.0]]), ["infinite", "example_id 5"]),
        (broken(0, [[0.0, 1.0, 2.0]]), ["differ in length"]),
        (frame().drop(columns="logits"), ["'logits' is missing"]),
        (frame().drop(columns="example_id"), ["'example_id' is missing"]),
        (frame(logits=[1.0, 2.0, 3.0, 4.0]), ["list of numbers"]),
        (frame().iloc[:0], ["empty"]),
        (frame().drop(columns="logits").assign(probabilities=[[0.5, 0.6, 0.0]] * 4), ["sum to 1"]),
    ],
)
def test_unusable_soft_labels_are_refused_in_one_sentence(data, words):
    with pytest.raises(UserError) as error:
        read_soft_labels(data, IDS, 3)
    for word in words:
        assert word in str(error.value)


def test_a_wrong_number_of_classes_is_named():
    with pytest.raises(UserError, match="3 classes where the task has 4"):
        read_soft_labels(frame(), IDS, 4)
