import json
from decimal import Decimal

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from kd_uncertainty.datasets import ParquetStream
from kd_uncertainty.errors import UserError
from kd_uncertainty.soft_labels import num_draws, read_soft_labels
from kd_uncertainty.soft_labels.table import (
    METADATA_KEY,
    batches,
    describe,
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


@pytest.mark.parametrize(
    "convert",
    [
        lambda f: f.assign(example_id=f["example_id"].astype(float)),
        lambda f: f.assign(example_id=f["example_id"].astype("Int32")),
        lambda f: f.assign(example_id=[Decimal(int(i)) for i in f["example_id"]]),
        lambda f: f.assign(teacher=f["teacher"].astype("category")),
        lambda f: f.assign(logits=[[[Decimal(str(v)) for v in draw] for draw in cell] for cell in f["logits"]]),
    ],
)
def test_numbers_and_names_of_any_type_mean_the_same(convert):
    labels = read_soft_labels(convert(frame()), IDS, 3)
    np.testing.assert_allclose(labels.logits["t"], LOGITS.transpose(0, 1).numpy(), rtol=1e-6)
    assert num_draws(convert(frame())) == {"t": 2}


def test_decimals_of_duckdb_are_numbers():
    table = duckdb.sql(
        "select range::integer as example_id, [0.9, 0.1] as probabilities from range(3)"
    ).to_arrow_table()
    assert pa.types.is_decimal(table.schema.field("probabilities").type.value_type)
    labels = read_soft_labels(table, np.arange(3), 2)
    np.testing.assert_allclose(labels.mean_probabilities("teacher"), [[0.9, 0.1]] * 3, atol=1e-7)


def test_numbers_of_examples_agree_with_their_verb():
    hole = [[0.0, 1.0, np.nan], [0.0, 1.0, 2.0]]
    with pytest.raises(UserError, match=r": 1 example holds NaN .*example_id 5"):
        read_soft_labels(broken(1, hole), IDS, 3)
    with pytest.raises(UserError, match=r": 4 examples hold NaN .*example_id 3"):
        read_soft_labels(frame(logits=[hole] * 4), IDS, 3)
    with pytest.raises(UserError, match="1 example holds NaN or infinite"):
        read_soft_labels(broken(1, [[0.0, 1.0, 1e300], [0.0, 1.0, 2.0]]), IDS, 3)


def arrow(**columns):
    ids = {"example_id": pa.array(IDS)}
    return pa.table(ids | {"logits": pa.array(frame()["logits"].tolist())} | columns)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (frame(example_id=["a", "b", "c", "d"]), ["'example_id'", "of type string", "integers"]),
        (frame(example_id=[True, False, True, False]), ["'example_id'", "of type bool", "integers"]),
        (frame(example_id=[3.0, 5.5, 9.0, 11.0]), ["'example_id'", "whole"]),
        (arrow(example_id=pa.array([3.0, float("nan"), 9.0, 11.0])), ["'example_id'", "whole"]),
        (arrow(example_id=pa.array([3, 5, 9, 2**63], pa.uint64())), ["'example_id'", "64 bits"]),
        (frame(example_id=[3, None, 9, None]), ["'example_id'", "empty in 2 rows"]),
        (frame(teacher=["t", None, "t", "t"]), ["'teacher'", "empty in 1 row;"]),
        (frame(teacher=[None] * 4), ["'teacher'", "empty in 4 rows"]),
        (frame(teacher=["t", "", "t", "t"]), ["'teacher'", "empty name"]),
        (frame(teacher="none"), ["teacher 'none'", "something else", "without a teacher"]),
        (frame(teacher="a/b"), ["teacher 'a/b'", "without '/'"]),
        (frame(teacher=[["t"]] * 4), ["'teacher'", "needs text"]),
        (frame(logits=[[]] * 4), ["'t'"]),
        (arrow(logits=pa.array([[]] * 4, pa.list_(pa.list_(pa.float32())))), ["lists are empty"]),
        (arrow(logits=pa.array([[[]]] * 4, pa.list_(pa.list_(pa.float32())))), ["lists are empty"]),
        (frame(logits=[[[1.0, 2.0, 3.0]], "x", 3, None]), ["cannot be read as a table of lists"]),
        (pd.concat([frame(), frame()["example_id"]], axis=1), ["'example_id'"]),
        (pa.table([IDS, IDS, IDS], names=["example_id", "example_id", "logits"]), ["'example_id' is there twice"]),
    ],
)
def test_identifiers_and_names_that_cannot_be_used_are_refused_wherever_they_are_read(data, words):
    for read in (lambda: read_soft_labels(data, IDS, 3), lambda: num_draws(data)):
        with pytest.raises(UserError) as error:
            read()
        for word in words:
            assert word in str(error.value)
        assert "\n" not in str(error.value)
