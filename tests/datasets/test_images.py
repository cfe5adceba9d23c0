"""The catalog entry reads both kinds of files alike, and says what is missing."""

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError

from kd_uncertainty.datasets.images import ImageTable

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)


def test_parquet_and_npz_give_the_same_table(tmp_path):
    np.savez(tmp_path / "a.npz", image=IMAGES, label=[2, 0, 1])
    pd.DataFrame({"image": IMAGES.tolist(), "label": [2, 0, 1]}).to_parquet(tmp_path / "a.parquet")
    tables = [ImageTable(str(tmp_path / name)).load() for name in ("a.npz", "a.parquet")]
    pd.testing.assert_frame_equal(*tables, check_dtype=False)


def test_a_missing_column_or_file_is_named(tmp_path):
    pd.DataFrame({"image": IMAGES.tolist()}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DatasetError, match="'image' and 'label' cannot be read"):
        ImageTable(str(tmp_path / "a.parquet")).load()
    with pytest.raises(DatasetError, match="does not exist"):
        ImageTable(str(tmp_path / "b.parquet")).load()
