"""Images of every stored form come back pixel by pixel, and bad ones are named."""

import io

import numpy as np
import pandas as pd
import pytest

from kd_uncertainty.errors import UserError
from kd_uncertainty.tasks.images import decode_images, image_table, read_npz, synthetic_images
from kd_uncertainty.tasks.options import IngestionOptions
from kd_uncertainty.tasks.tables import prepare_task

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)  # n, height, width, channels


def png(image):
    image_module = pytest.importorskip("PIL.Image", reason="pillow is not installed")
    file = io.BytesIO()
    image_module.fromarray(image).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("form", ["bytes", "dicts", "arrays", "lists"])
def test_parquet_cells_of_every_form_give_the_pixels(form, tmp_path):
    cells = {
        "bytes": lambda: [png(image) for image in IMAGES],
        "dicts": lambda: [{"bytes": png(image), "path": None} for image in IMAGES],
        "arrays": lambda: [image.tolist() for image in IMAGES],
        "lists": lambda: [image[..., 0].tolist() for image in IMAGES],
    }[form]()
    pd.DataFrame({"image": cells}).to_parquet(tmp_path / "images.parquet")
    read = decode_images(pd.read_parquet(tmp_path / "images.parquet")["image"].tolist())
    expected = IMAGES.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(read, expected[:, :1] if form == "lists" else expected)


def test_npz_gives_rows_channel_by_channel(tmp_path):
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=[0, 1, 0])
    table = read_npz(tmp_path / "a.npz")
    assert table.attrs["image_shape"] == (3, 4, 5)
    assert table["c1_y2_x3"].tolist() == IMAGES[:, 2, 3, 1].tolist()
    np.testing.assert_array_equal(table.drop(columns="target"), IMAGES.transpose(0, 3, 1, 2).reshape(3, -1))


def test_pickled_npz_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.array([{}, {}], dtype=object), labels=[0, 1])
    with pytest.raises(UserError, match="without pickle"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([IMAGES[0], IMAGES[1][:2]], "row 1 has shape"),
        ([IMAGES[0], "text"], "row 1 holds neither"),
        ([IMAGES[0], None], "row 1"),
        ([], "0 rows"),
    ],
)
def test_bad_images_are_named(cells, message):
    with pytest.raises(UserError, match=message):
        decode_images(cells)


def test_undecodable_bytes_are_named():
    with pytest.raises(UserError, match="row 1 cannot be decoded"):
        decode_images([png(IMAGES[0]), b"no image"])


def test_labels_must_be_as_many():
    with pytest.raises(UserError, match="2 labels"):
        image_table(IMAGES, [0, 1])


def test_synthetic_images_pass_through_ingestion():
    table = synthetic_images(60, 3, (3, 8, 8))
    task = prepare_task(table, IngestionOptions(target="target", standardise=False))
    assert task.description["num_inputs"] == 3 * 8 * 8
    inputs = np.stack(task.examples["inputs"])
    np.testing.assert_array_equal(inputs, table.drop(columns="target").to_numpy(dtype=np.float32))
