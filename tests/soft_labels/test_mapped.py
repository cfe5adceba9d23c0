import pickle

import numpy as np
import pytest

from kd_uncertainty.datasets import SoftLabelTable
from kd_uncertainty.errors import UserError
from kd_uncertainty.soft_labels import SoftLabelFile, SoftLabelStore, num_draws, read_soft_labels
from kd_uncertainty.soft_labels.mapped import MappedRows

from .worlds import posterior, write

TEACHERS = {"point": posterior(1, 90, 5), "bayes": posterior(4, 90, 5, seed=1)}
IDS = 2 * np.arange(90) + 1
POSITIONS = np.random.default_rng(0).permutation(90)[:60]


@pytest.fixture(scope="module", params=["lists", "packed"])
def file(tmp_path_factory, request):
    return write(tmp_path_factory.mktemp("mapped") / "responses.parquet", TEACHERS, request.param)


KEYS = [
    0,
    -1,
    slice(None),
    slice(3, 17),
    slice(50, None, -2),
    np.array([5, 3, 5, -1]),
    np.arange(60) % 3 == 0,
    (slice(None), 2),
    (slice(2, 9), np.array([3, 0])),
    (4, slice(1, 3)),
    (7, 2, 1),
    (slice(None), slice(None), -1),
    (np.array([1, 2]), slice(1, 3), 0),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_indexing_is_that_of_the_array(file, key, precision):
    store = SoftLabelStore.open(file, "bayes", precision=precision)
    array, rows = np.asarray(store.log_probabilities)[POSITIONS].astype(np.float32), MappedRows(store, POSITIONS)
    assert (rows.shape, rows.dtype, rows.ndim, len(rows)) == (array.shape, array.dtype, array.ndim, len(array))
    np.testing.assert_array_equal(rows[key], array[key])
    assert rows[key].dtype == np.float32


def test_rows_become_an_array_where_one_is_needed(file):
    store = SoftLabelStore.open(file, "bayes", precision="float32")
    rows = MappedRows(store, POSITIONS)
    np.testing.assert_array_equal(np.asarray(rows), store.log_probabilities[POSITIONS])
    assert np.ascontiguousarray(rows).tobytes() == np.asarray(rows).tobytes()
    some = np.array([9, 4])
    np.testing.assert_array_equal(rows.select(some)[:], store.log_probabilities[POSITIONS[some]])


def test_a_file_reads_as_its_table_does(file):
    table, mapped = SoftLabelTable(str(file)).load(), SoftLabelTable(str(file), memory_map=True).load()
    assert isinstance(mapped, SoftLabelFile)
    assert num_draws(mapped) == num_draws(table) == {"point": 1, "bayes": 4}
    there, here = read_soft_labels(mapped, IDS, 5), read_soft_labels(table, IDS, 5)
    chosen = IDS[::-7]
    for teacher in TEACHERS:
        assert isinstance(there.logits[teacher], MappedRows)
        np.testing.assert_allclose(
            there.mean_probabilities(teacher), here.mean_probabilities(teacher), rtol=2e-6, atol=1e-9
        )
        some = there.rows(chosen)
        assert isinstance(some.logits[teacher], MappedRows)
        np.testing.assert_array_equal(
            some.mean_probabilities(teacher), there.mean_probabilities(teacher)[(chosen - 1) // 2]
        )


def test_means_of_many_blocks_are_those_of_one(file, monkeypatch):
    labels = read_soft_labels(SoftLabelFile(file), IDS, 5)
    whole = labels.mean_probabilities("bayes")
    monkeypatch.setattr("kd_uncertainty.soft_labels.reading._BLOCK", 3 * 4 * 5)
    np.testing.assert_array_equal(labels.mean_probabilities("bayes"), whole)


def test_workers_get_the_place_and_not_the_rows(file):
    rows = read_soft_labels(SoftLabelFile(file), IDS, 5).logits["bayes"]
    assert len(pickle.dumps(rows)) < 90 * 8 + 1000 < rows[:].nbytes
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(rows))[:], rows[:])


def test_the_sentences_are_those_of_tables(file):
    for read in (SoftLabelFile(file), SoftLabelTable(str(file)).load()):
        with pytest.raises(UserError, match=r"'point': 2 of 3 examples are missing \(example_id 2, 4, …\)"):
            read_soft_labels(read, np.array([1, 2, 4]), 5)
        with pytest.raises(UserError, match="'point': 5 classes where the task has 6"):
            read_soft_labels(read, IDS, 6)
    with pytest.raises(UserError, match=r"absent\.parquet does not exist"):
        num_draws(SoftLabelFile(file.with_name("absent.parquet")))
