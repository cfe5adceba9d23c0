import subprocess

import pandas as pd
import plotly.graph_objects as go
import pyarrow as pa
import pytest
from kedro.io import DatasetError

from kd_uncertainty.cli import user_error
from kd_uncertainty.datasets import Artefact, NestedTensors, ParquetStream

TABLE = pd.DataFrame({"a": [1, 2], "b": [[0.5, 1.5], [2.5, 3.5]]})


def test_what_is_saved_comes_back_and_coreutils_can_verify_it(tmp_path):
    path = tmp_path / "deep" / "table.parquet"
    dataset = Artefact("pandas.ParquetDataset", str(path))
    assert not dataset.exists()
    dataset.save(TABLE)
    assert dataset.exists()
    assert dataset.load()["a"].tolist() == [1, 2]
    done = subprocess.run(["sha256sum", "-c", "table.parquet.sha256"], cwd=path.parent, check=False)
    assert done.returncode == 0


def test_a_failing_save_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.parquet"
    dataset = Artefact("kd_uncertainty.datasets.ParquetStream", str(path))
    dataset.save([pa.table({"a": [1]})])
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def torn():
        yield pa.table({"a": [2]})
        raise RuntimeError("power cut")

    with pytest.raises(DatasetError, match="power cut"):
        dataset.save(torn())
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert dataset.load()["a"].tolist() == [1]


@pytest.mark.parametrize("damage", ["gone", "short", "flipped", "no checksum"])
def test_a_damaged_file_is_not_loaded(tmp_path, damage):
    path = tmp_path / "table.parquet"
    dataset = Artefact("pandas.ParquetDataset", str(path))
    dataset.save(TABLE)
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "no checksum":
        (tmp_path / "table.parquet.sha256").unlink()
    else:
        path.write_bytes(content[:-3] if damage == "short" else bytes([content[0] ^ 1]) + content[1:])
    assert not dataset.exists()
    with pytest.raises(DatasetError) as error:
        dataset.load()
    assert "table.parquet" in str(user_error(error.value))


def test_what_is_optional_and_not_there_is_none_but_a_damaged_file_is_still_refused(tmp_path):
    path = tmp_path / "table.parquet"
    dataset = Artefact("pandas.ParquetDataset", str(path), optional=True)
    assert dataset.load() is None
    assert not dataset.exists()
    dataset.save(pd.DataFrame({"a": [1, 2]}))
    assert dataset.load()["a"].tolist() == [1, 2]
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(Exception, match=r"table\.parquet"):
        dataset.load()


def test_what_is_kept_is_read_once_until_it_is_released(tmp_path, monkeypatch):
    reads = []
    read = ParquetStream.load
    monkeypatch.setattr(ParquetStream, "load", lambda self: reads.append(self) or read(self))
    path = str(tmp_path / "table.parquet")
    dataset = Artefact("kd_uncertainty.datasets.ParquetStream", path, keep=True)
    dataset.save([pa.table({"a": [1]})])
    assert dataset.load() is dataset.load()
    assert len(reads) == 1
    dataset.release()
    assert dataset.load()["a"].tolist() == [1]
    assert len(reads) == 2
    dataset.save([pa.table({"a": [2]})])  # what is kept is never stale
    assert dataset.load()["a"].tolist() == [2]
    plain = Artefact("kd_uncertainty.datasets.ParquetStream", path)
    assert plain.load() is not plain.load()


def test_previews_are_what_kedro_viz_can_show(tmp_path):
    table = Artefact("pandas.ParquetDataset", str(tmp_path / "table.parquet"))
    table.save(TABLE)
    assert table.preview() == {"index": [0, 1], "columns": ["a", "b"], "data": [[1, "[0.5 1.5]"], [2, "[2.5 3.5]"]]}
    figure = Artefact("plotly.JSONDataset", str(tmp_path / "figure.json"))
    figure.save(go.Figure(go.Scatter(y=[1, 2])))
    assert figure.preview()["data"][0]["type"] == "scatter"
    assert not hasattr(Artefact("text.TextDataset", str(tmp_path / "page.html")), "preview")


def test_streams_are_written_batch_by_batch_and_loaded_as_arrow_columns(tmp_path):
    dataset = ParquetStream(str(tmp_path / "stream.parquet"))
    dataset.save(pa.table({"x": [[float(i)]], "name": ["n"]}) for i in range(3))
    frame = dataset.load()
    assert [list(cell) for cell in frame["x"]] == [[0.0], [1.0], [2.0]]
    assert isinstance(frame["x"].dtype, pd.ArrowDtype)
    assert pa.parquet.ParquetFile(tmp_path / "stream.parquet").num_row_groups == 3


def test_nested_tensors_are_a_dataset(tmp_path):
    dataset = NestedTensors(str(tmp_path / "x.safetensors"))
    assert not dataset.exists()
    dataset.save({"a": {"b": 1}})
    assert dataset.exists()
    assert dataset.load() == {"a": {"b": 1}}
