import logging
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from kd_uncertainty.artefacts import fault
from kd_uncertainty.errors import UserError
from kd_uncertainty.soft_labels import SoftLabelStore, building, sidecar

from ..project import ROOT
from ..test_docs import code_of
from .worlds import divergences, posterior, truth, write

TEACHERS = {"point": posterior(1, 300, 11), "bayes": posterior(4, 300, 11, seed=1)}


@pytest.fixture(params=["lists", "packed"])
def file(tmp_path, request):
    return write(tmp_path / "responses.parquet", TEACHERS, request.param)


def arrays(file):
    return sorted(file.parent.glob("responses.parquet.rows/*/*.npy"))


@pytest.mark.parametrize(("precision", "error"), [("float16", 1e-6), ("float32", 2e-9)])
def test_rows_are_the_log_probabilities_of_the_file(file, precision, error):
    for teacher, logits in TEACHERS.items():
        store = SoftLabelStore.open(file, teacher, precision=precision)
        assert (len(store), store.shape) == (300, (300, len(logits), 11))
        np.testing.assert_array_equal(store.example_ids, 2 * np.arange(300)[::-1] + 1)
        indices = np.random.default_rng(0).integers(0, 300, 64)
        rows = store.rows(indices)
        assert rows.dtype == torch.float32
        exact = truth(logits)[indices]
        assert np.abs(divergences(exact, rows.numpy())).max() < error
        np.testing.assert_allclose(rows.exp().sum(-1), 1.0, atol=5e-3 if precision == "float16" else 3e-4)
        for same in (torch.from_numpy(indices), indices.tolist(), indices.astype(np.int32)):
            assert torch.equal(store.rows(same), rows)


def test_lists_in_float32_are_exact(tmp_path):
    file = write(tmp_path / "responses.parquet", TEACHERS)
    store = SoftLabelStore.open(file, "bayes", precision="float32")
    np.testing.assert_allclose(store.log_probabilities, truth(TEACHERS["bayes"]), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 7, 300, 1000])
def test_the_stream_is_all_rows_in_order_and_its_batches_stay(file, batch):
    store = SoftLabelStore.open(file, "bayes")
    batches = list(store.stream(batch))
    assert {len(one) for one in batches[:-1]} <= {batch}
    assert torch.equal(torch.cat(batches), store.rows(np.arange(300)))


def test_rows_that_are_not_there_are_refused(file):
    store = SoftLabelStore.open(file, "bayes")
    for index in (300, -301):
        with pytest.raises(IndexError):
            store.rows([index])
    np.testing.assert_array_equal(store.example_ids[store.positions(np.array([9, 3, 9]))], [9, 3, 9])
    with pytest.raises(UserError, match=r"1 of 2 examples are missing \(example_id 4, …\)"):
        store.positions(np.array([3, 4]))


def test_the_arrays_are_numpys_own_and_coreutils_verify_them(file):
    SoftLabelStore.open(file, "bayes")
    assert [path.name for path in arrays(file)] == [
        f"{teacher}.{what}.npy" for teacher in ("bayes", "point") for what in ("example_id", "float16")
    ]
    values = np.load(arrays(file)[1], mmap_mode="r", allow_pickle=False)
    assert (values.shape, values.dtype) == ((300, 4, 11), np.float16)
    for path in arrays(file):
        done = subprocess.run(["sha256sum", "-c", f"{path.name}.sha256"], cwd=path.parent, check=False)
        assert done.returncode == 0


def opening(file, caplog, **options):
    """The store, and what was said while it was opened."""
    caplog.clear()
    with caplog.at_level(logging.INFO):
        store = SoftLabelStore.open(file, "bayes", **options)
    return store, caplog.text


def test_a_sidecar_is_built_once(file, caplog):
    first, said = opening(file, caplog)
    assert "building the sidecar" in said
    written = [path.stat().st_mtime_ns for path in arrays(file)]
    second, said = opening(file, caplog)
    assert said == ""
    assert [path.stat().st_mtime_ns for path in arrays(file)] == written
    assert torch.equal(first.rows([5]), second.rows([5]))


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("damage", ["truncated", "flipped", "gone", "no checksum"])
def test_a_damaged_sidecar_is_named_and_built_again(tmp_path, caplog, which, damage):
    file = write(tmp_path / "responses.parquet", TEACHERS)
    SoftLabelStore.open(file, "bayes")
    whole = [path.read_bytes() for path in arrays(file)]
    path = arrays(file)[which]
    content = whole[which]
    if damage in ("gone", "no checksum"):
        (path if damage == "gone" else path.with_name(path.name + ".sha256")).unlink()
    else:
        path.write_bytes(content[:-1] if damage == "truncated" else content[:-1] + bytes([content[-1] ^ 1]))
    store, said = opening(file, caplog)
    if which < 2:  # files of the teacher that is opened
        assert path.name in said
        assert [path.read_bytes() for path in arrays(file)] == whole
        np.testing.assert_allclose(store.rows([3])[0], truth(TEACHERS["bayes"])[3], atol=0.02)
    else:
        assert said == ""


def test_another_content_has_another_sidecar_even_at_the_same_date(tmp_path, caplog):
    file = write(tmp_path / "responses.parquet", TEACHERS)
    SoftLabelStore.open(file, "bayes")
    before, times = arrays(file), file.stat()
    other = {**TEACHERS, "bayes": posterior(4, 300, 11, seed=2)}
    write(file, other)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    store, said = opening(file, caplog)
    assert "building the sidecar" in said
    assert "earlier soft labels" in said
    np.testing.assert_allclose(store.rows([3])[0], truth(other["bayes"])[3], atol=0.02)
    assert not [path for path in before if path.exists()]


def test_a_file_that_changes_while_it_is_read_gives_no_sidecar(tmp_path, monkeypatch):
    file = write(tmp_path / "responses.parquet", TEACHERS)
    stream = building.stream_rows

    def overwritten(path):
        yield from stream(path)
        write(file, {**TEACHERS, "bayes": posterior(4, 300, 11, seed=2)})

    monkeypatch.setattr(building, "stream_rows", overwritten)
    with pytest.raises(UserError, match="was changed while its sidecar was built"):
        SoftLabelStore.open(file, "bayes")
    assert arrays(file) == []


def test_a_folder_of_ones_own_keeps_the_sidecars_of_many_files(tmp_path, caplog):
    for name, seed in (("a", 1), ("b", 2)):
        file = write(tmp_path / f"{name}.parquet", {"bayes": posterior(4, 50, 3, seed=seed)})
        opening(file, caplog, folder=tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 2
    _, said = opening(tmp_path / "a.parquet", caplog, folder=tmp_path / "cache")
    assert said == ""
    assert not list(tmp_path.glob("*.rows"))


def test_a_raised_version_builds_anew(tmp_path, caplog, monkeypatch):
    file = write(tmp_path / "responses.parquet", TEACHERS)
    opening(file, caplog)
    monkeypatch.setattr(sidecar, "VERSION", 1001)
    assert "building" in opening(file, caplog)[1]


def check_all(file, sums):
    assert len(set(sums)) == 1
    assert sums[0] == pytest.approx(truth(TEACHERS["bayes"]).sum(), rel=1e-3)
    assert [fault(path) for path in arrays(file)] == [None] * 4
    assert not list(file.parent.glob("responses.parquet.rows/*/.*"))


def test_threads_that_build_at_once_all_get_the_whole(tmp_path):
    file = write(tmp_path / "responses.parquet", TEACHERS)
    barrier = threading.Barrier(4)

    def total(_):
        barrier.wait()
        return SoftLabelStore.open(file, "bayes").rows(torch.arange(300)).double().sum().item()

    with ThreadPoolExecutor(4) as pool:
        check_all(file, list(pool.map(total, range(4))))


OPEN = """
import sys, torch
from kd_uncertainty.soft_labels import SoftLabelStore
sys.stdin.readline()
print(SoftLabelStore.open(sys.argv[1], "bayes").rows(torch.arange(300)).double().sum().item())
"""


@pytest.mark.slow
def test_processes_that_build_at_once_all_get_the_whole(tmp_path):
    file = write(tmp_path / "responses.parquet", TEACHERS)
    command = [sys.executable, "-c", OPEN, str(file)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for worker in workers:  # all have imported everything before any opens
        worker.stdin.write("go\n")
        worker.stdin.flush()
    check_all(file, [float(worker.communicate(timeout=120)[0]) for worker in workers])


def test_a_store_is_pickled_as_its_place(tmp_path):
    file = write(tmp_path / "responses.parquet", {"t": posterior(4, 3000, 11)})
    store = SoftLabelStore.open(file)
    content = pickle.dumps(store)
    assert len(content) < 1000
    assert torch.equal(pickle.loads(content).rows([7, 2999]), store.rows([7, 2999]))


def test_teachers_may_have_any_name_that_a_table_takes(tmp_path):
    name = "Käse & co: 50 %, ..\\x"
    file = write(tmp_path / "responses.parquet", {name: posterior(2, 5, 3)})
    assert SoftLabelStore.open(file).teacher == name
    assert {path.parent.parent for path in tmp_path.rglob("*.npy")} == {tmp_path / "responses.parquet.rows"}


@pytest.mark.parametrize("encoding", ["lists", "packed"])
def test_which_teacher_must_be_clear(tmp_path, encoding):
    file = write(tmp_path / "responses.parquet", TEACHERS, encoding)
    with pytest.raises(UserError, match=r"a teacher is needed in .*; known: point, bayes"):
        SoftLabelStore.open(file)
    with pytest.raises(UserError, match="no teacher 'owl' in"):
        SoftLabelStore.open(file, "owl")


def test_files_that_cannot_be_used_are_named_and_leave_nothing(tmp_path):
    path = tmp_path / "own.parquet"
    with pytest.raises(UserError, match=r"own\.parquet does not exist"):
        SoftLabelStore.open(path)
    path.write_text("no Parquet")
    with pytest.raises(UserError, match=r"own\.parquet is no Parquet file"):
        SoftLabelStore.open(path)
    frame = pd.DataFrame({"example_id": [0, 1, 1], "logits": [[[0.0, 1.0]]] * 3})
    for column, values, words in (
        ("example_id", [0, 1, 1], "example_id 1 is there twice"),
        ("logits", [[[0.0, 1.0]], [[0.0, np.nan]], [[0.0, 1.0]]], "1 example holds NaN"),
        ("logits", [[[0.0, 1.0]], [[0.0, 1.0]] * 2, [[0.0, 1.0]]], "differ in length"),
    ):
        frame.assign(example_id=[0, 1, 2]).assign(**{column: values}).to_parquet(path)
        with pytest.raises(UserError, match=words):
            SoftLabelStore.open(path)
        assert not [left for left in tmp_path.rglob("*") if left.is_file() and left != path]
    frame[:0].to_parquet(path)
    with pytest.raises(UserError, match="no rows"):
        SoftLabelStore.open(path)


def test_own_files_without_a_teacher_column_and_extreme_logits_stay_finite(tmp_path):
    path = tmp_path / "own.parquet"
    pd.DataFrame({"example_id": [4, 2], "logits": [[0.0, -1e6], [3.0, 3.0]]}).to_parquet(path)
    rows = SoftLabelStore.open(path).rows([0, 1])
    np.testing.assert_allclose(rows[:, 0].exp(), [[1.0, 0.0], [0.5, 0.5]], atol=1e-3)
    assert torch.isfinite(rows).all()


def test_the_documented_lines_read_rows(tmp_path, monkeypatch):
    write(tmp_path / "soft_labels.parquet", {"forest": posterior(3, 20, 4)})
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(code_of("own-soft-labels.md", "read_rows.py"), found)
    assert found["batch"].shape == (20, 3, 4)
    assert "`soft_labels.parquet.rows/`" in (ROOT / "docs/own-soft-labels.md").read_text()


@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize("kinds", [("float16.npy",), ("example_id.npy",), ("float16.npy", "example_id.npy")])
def test_another_teachers_whole_array_is_refused_and_built_again(tmp_path, caplog, kinds, renamed):
    teachers = {"bayes": posterior(4, 300, 11), "other": posterior(4, 300, 11, seed=9)}
    tables = []
    for name, logits in teachers.items():  # in two files, so that identifiers differ too
        table = pq.read_table(write(tmp_path / f"{name}.parquet", {name: logits}))
        tables.append(table if name == "bayes" else table.take(np.arange(300)[::-1]))
    file = tmp_path / "responses.parquet"
    pq.write_table(pa.concat_tables(tables), file)
    SoftLabelStore.open(file, "bayes")
    (folder,) = {path.parent for path in arrays(file)}
    whole = [path.read_bytes() for path in arrays(file)]
    for kind in kinds:
        for suffix in ("", ".sha256"):
            content = (folder / f"other.{kind}{suffix}").read_bytes()
            (folder / f"bayes.{kind}{suffix}").write_bytes(content.replace(b"other", b"bayes") if renamed else content)
    store, said = opening(file, caplog)
    assert "is not what bayes.float16.json describes for teacher 'bayes'" in said
    assert [path.read_bytes() for path in arrays(file)] == whole
    np.testing.assert_allclose(store.rows([3])[0], truth(teachers["bayes"])[3], atol=0.02)
    assert opening(file, caplog)[1] == ""


@pytest.mark.parametrize("content", [None, "{", "[]", "\udcff"])
def test_a_description_that_is_gone_or_damaged_is_named_and_built_again(tmp_path, caplog, content):
    file = write(tmp_path / "responses.parquet", TEACHERS)
    SoftLabelStore.open(file, "bayes")
    (place,) = tmp_path.glob("*.rows/*/bayes.float16.json")
    whole = place.read_bytes()
    place.unlink() if content is None else place.write_bytes(content.encode(errors="surrogateescape"))
    assert "bayes.float16.json" in opening(file, caplog)[1]
    assert place.read_bytes() == whole


def test_an_open_store_outlives_the_file_that_it_was_made_from(tmp_path):
    file = write(tmp_path / "responses.parquet", TEACHERS)
    store = SoftLabelStore.open(file, "bayes")
    expected, content = store.rows(np.arange(300)), pickle.dumps(store)
    write(file, {"bayes": posterior(4, 300, 11, seed=2)})
    new = SoftLabelStore.open(file)
    assert torch.equal(store.rows(np.arange(300)), expected)
    batches = list(store.stream(70))
    assert torch.equal(torch.cat(batches), expected)
    assert batches[0].untyped_storage().data_ptr() != batches[1].untyped_storage().data_ptr()
    assert not torch.equal(new.rows(np.arange(300)), expected)
    with pytest.raises(UserError, match=r"is gone, because its soft-label file was rewritten.*open the store again"):
        pickle.loads(content)


def test_float16_costs_what_the_documentation_says():
    """The spacing of float16 doubles at log-probabilities of -8, where nearly flat ones of 3,000 classes lie."""
    for classes, most in ((1000, 1e-6), (3000, 2.1e-6), (10_000, 2.6e-6)):
        found = []
        for spread in (0.01, 0.3, 1.0, 3.0):
            logits = torch.randn(100, classes, generator=torch.Generator().manual_seed(0)) * spread
            half = torch.log_softmax(logits, -1).half().float()
            found.append(divergences(torch.log_softmax(logits.double(), -1).numpy(), half.numpy()).mean())
        assert 0.7 * most < max(found) < most
