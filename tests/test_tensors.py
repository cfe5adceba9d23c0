import numpy as np
import pytest
import torch

from kd_uncertainty.tensors import load_nested, save_nested


def test_nested_values_come_back_as_they_were(tmp_path):
    nested = {
        "a": {"weights": {"0.bias": torch.arange(3.0), "n": torch.tensor([1, 2])}, "name": "x", "empty": {}},
        "example": np.arange(6, dtype=np.float32).reshape(2, 3),
        "count": 3,
        "none": None,
        "list": [1, "two", 0.1 + 0.2],
    }
    save_nested(nested, tmp_path / "file.safetensors")
    loaded = load_nested(tmp_path / "file.safetensors")
    assert torch.equal(loaded["a"]["weights"].pop("0.bias"), torch.arange(3.0))
    assert torch.equal(loaded["a"]["weights"].pop("n"), torch.tensor([1, 2]))
    np.testing.assert_array_equal(loaded.pop("example"), nested["example"])
    assert loaded == {"a": {"weights": {}, "name": "x", "empty": {}}, "count": 3, "none": None, "list": nested["list"]}


def test_a_key_that_looks_like_a_path_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a/b"):
        save_nested({"a/b": 1}, tmp_path / "file.safetensors")
