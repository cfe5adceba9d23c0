import json

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kd_uncertainty.datasets import SoftLabelTable
from kd_uncertainty.errors import UserError
from kd_uncertainty.soft_labels import num_draws, pack_tables, read_soft_labels
from kd_uncertainty.soft_labels.table import METADATA_KEY, with_metadata

from ..project import ROOT
from ..test_docs import code_of, prose
from .worlds import divergences, posterior, tables, truth, write

TEACHERS = {"point": posterior(1, 100, 7), "bayes": posterior(5, 100, 7, seed=1)}
IDS = 2 * np.arange(100) + 1


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "responses.parquet", TEACHERS, "packed")


def packed_table():
    return pa.concat_tables(pack_tables(tables(TEACHERS), 5))


def repacked(table, **facts):
    """The table with other facts in the description of its cells."""
    described = json.loads(table.schema.metadata[METADATA_KEY])["packing"]
    return with_metadata(table, packing=described | facts)


def test_packed_soft_labels_are_read_as_those_of_lists(file):
    table = SoftLabelTable(str(file)).load()
    assert table.schema.field("log_probabilities").type == pa.binary(5 * (4 + 2 * 7))
    labels = read_soft_labels(table, IDS, 7)
    assert num_draws(table) == {"point": 1, "bayes": 5}
    for name, logits in TEACHERS.items():
        assert labels.logits[name].shape == (100, len(logits), 7)
        exact = truth(logits)[::-1]
        assert np.abs(divergences(exact, labels.logits[name])).max() < 5e-9
        np.testing.assert_allclose(labels.mean_probabilities(name), np.exp(exact).mean(axis=1), atol=1e-4)


def test_a_slice_of_a_table_is_read_right():
    whole = read_soft_labels(packed_table(), IDS, 7)
    part = packed_table().slice(100, 50)  # reversed: the last fifty examples come first
    assert num_draws(part) == {"bayes": 5}
    found = read_soft_labels(part, IDS[50:], 7)
    np.testing.assert_array_equal(found.logits["bayes"], whole.logits["bayes"][50:])


def test_the_documented_lines_decode_a_file(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    found = {}
    exec(code_of("own-soft-labels.md", "decode_packed.py"), found)
    ours = read_soft_labels(SoftLabelTable(str(file)).load(), IDS, 7)
    np.testing.assert_array_equal(found["logits"][:, 0], ours.logits["point"][::-1][:64, 0])  # the first row group
    assert np.isnan(found["logits"][:, 1:]).all()  # draws that a point posterior has not


def test_the_file_says_how_it_is_packed_beside_what_it_said_before(file):
    facts = json.loads(pq.read_schema(file).metadata[METADATA_KEY])
    assert facts["packing"] | {"version": 1, "draws": 5, "classes": 7} == facts["packing"]
    assert set(facts["teachers"]) == {"point", "bayes"}


def test_packed_cells_are_half_the_bytes_and_not_compressed(file):
    (column,) = [
        pq.ParquetFile(file).metadata.row_group(0).column(i)
        for i in range(3)
        if pq.ParquetFile(file).schema_arrow.names[i] == "log_probabilities"
    ]
    assert column.compression == "UNCOMPRESSED"
    assert 64 * 5 * 18 <= column.total_compressed_size <= 64 * 5 * 18 + 200


def test_probabilities_of_zero_can_be_packed():
    probabilities = np.array([[[1.0, 0.0, 0.0]], [[0.5, 0.5, 0.0]]], np.float32)
    frame = pa.table({"example_id": [0, 1], "probabilities": probabilities.tolist()})
    labels = read_soft_labels(next(pack_tables([frame], 1)), np.array([0, 1]), 3)
    np.testing.assert_allclose(labels.mean_probabilities("teacher"), probabilities[:, 0], atol=1e-15)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.replace_schema_metadata(None), ["'log_probabilities' is packed", "pack_tables", "SoftLabelTable"]),
        (lambda t: t.to_pandas(), ["'log_probabilities' is packed", "pandas drops them"]),
        (lambda t: duckdb.sql("from t").to_arrow_table(), ["'log_probabilities' is packed"]),
        (lambda t: with_metadata(t, packing={"version": 2}), ["version 2", "only version 1 is known"]),
        (lambda t: with_metadata(t, packing={"version": 1, "draws": 5, "classes": 8}), ["100 bytes", "binary[90]"]),
        (lambda t: with_metadata(t, packing={"version": 1}), ["metadata", "draws"]),
        (lambda t: t.replace_schema_metadata({METADATA_KEY: b"{"}), ["'kd_uncertainty'", "no JSON object"]),
        (lambda t: t.replace_schema_metadata({METADATA_KEY: b"\xff"}), ["'kd_uncertainty'", "no JSON object"]),
        (lambda t: t.replace_schema_metadata({METADATA_KEY: b"[]"}), ["'kd_uncertainty'", "no JSON object"]),
        (lambda t: t.replace_schema_metadata({METADATA_KEY: b'{"packing": []}'}), ["'packing' is no JSON object"]),
        (lambda t: repacked(t, classes=-2), ["whole numbers of draws and classes, each 1 or more"]),
        (lambda t: repacked(t, draws=0), ["whole numbers of draws and classes, each 1 or more"]),
        (lambda t: repacked(t, draws=True), ["whole numbers of draws and classes, each 1 or more"]),
        (lambda t: repacked(t, classes=10**30), ["binary[90]"]),
        (lambda t: repacked(t, floor=None), ["lack its floor, a number of -80 or less"]),
        (lambda t: repacked(t, floor=1.0), ["lack its floor"]),
        (lambda t: repacked(t, floor=float("nan")), ["lack its floor"]),
    ],
)
def test_cells_without_metadata_that_fit_are_refused_in_one_sentence(change, words):
    for read in (lambda table: read_soft_labels(table, IDS, 7), num_draws):
        with pytest.raises(UserError) as error:
            read(change(packed_table()))
        for word in words:
            assert word in str(error.value)
        assert "\n" not in str(error.value)


def test_the_sentence_of_the_documentation_is_the_real_one():
    with pytest.raises(UserError) as error:
        read_soft_labels(packed_table().to_pandas(), IDS, 7)
    assert f"| {error.value} |" in prose(ROOT / "docs/own-soft-labels.md")


def test_too_many_draws_and_empty_cells_are_named():
    with pytest.raises(UserError, match="'bayes': 5 draws do not fit into packed cells of 4"):
        list(pack_tables(tables(TEACHERS), 4))
    table = packed_table()
    cells = table.column("log_probabilities").to_pylist()
    holed = table.set_column(2, table.schema.field(2), pa.array([None, *cells[1:]], table.schema.field(2).type))
    with pytest.raises(UserError, match="'point': 1 cell of column 'log_probabilities' without a value"):
        read_soft_labels(holed, IDS, 7)
    mixed = table.set_column(0, "teacher", pa.array(["one"] * len(table)))
    mixed = mixed.set_column(1, "example_id", pa.array(np.arange(200)))
    with pytest.raises(UserError, match="'one': packed rows differ in their number of draws"):
        read_soft_labels(mixed, np.arange(200), 7)


def test_pandas_reads_the_other_columns(file):
    frame = pd.read_parquet(file)
    assert frame["teacher"].value_counts().to_dict() == {"point": 100, "bayes": 100}
    assert len(frame["log_probabilities"][0]) == 90


def test_the_documented_lines_and_the_decoder_take_the_floor_of_the_file(tmp_path, monkeypatch):
    logits = np.array([[[0.0, -300.0]], [[-2.0, 0.0]]], np.float32)
    table = next(pack_tables([pa.table({"example_id": [0, 1], "logits": logits.tolist()})], 1))
    pq.write_table(repacked(table, floor=-150.0), tmp_path / "responses.parquet")
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(code_of("own-soft-labels.md", "decode_packed.py"), found)
    ours = read_soft_labels(pq.read_table("responses.parquet"), np.array([0, 1]), 2).logits["teacher"]
    np.testing.assert_array_equal(ours, found["logits"])
    assert ours[0, 0].tolist() == [0.0, -150.0]


def test_damaged_metadata_are_not_written_over():
    with pytest.raises(UserError, match="no JSON object"):
        with_metadata(packed_table().replace_schema_metadata({METADATA_KEY: b"{"}), fingerprint="f")
