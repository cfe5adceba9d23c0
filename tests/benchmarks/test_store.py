import numpy as np
import pytest
import torch

from benchmarks import store

SHAPE = (2_300, 3, 7)  # the last batch and the last row group are not full


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return store.prepare(tmp_path_factory.mktemp("store"), *SHAPE)


@pytest.fixture(scope="module")
def truth():
    return np.concatenate([values for _, values in store.blocks(SHAPE, 0)])


def array(part):
    return part.numpy() if isinstance(part, torch.Tensor) else part


def test_every_stream_hands_over_the_same_posterior(files, truth):
    for name, read in store.batches(files).items():
        parts = [array(part).copy() for part in read()]  # a reader may use its memory again
        if "raw" in name:
            assert sum(part.nbytes for part in parts) == 2_300 * 3 * (4 + 2 * 7)
            continue
        assert {part.dtype for part in parts} == {np.dtype(np.float32)}, name
        found = np.concatenate(parts)
        shift = found.max(axis=-1, keepdims=True) - truth.max(axis=-1, keepdims=True)  # packed ones are not normalised
        np.testing.assert_allclose(found - shift, truth, atol=0.02 if "16" in name or name == "our store" else 2e-3)
    assert {read() for name, read in store.streams(files).items() if "raw" not in name} == {2_300}
    assert files.logical_bytes == truth.nbytes


def test_every_reader_of_random_rows_finds_the_same_ones(files, truth):
    generator = np.random.default_rng(4)
    choices = [generator.integers(0, 2_300, 50) for _ in range(64)]
    for name, read in store.random_rows(files, rows=50, seed=4).items():
        for index in choices[:2]:
            found = array(read()).astype(np.float32).reshape(50, *SHAPE[1:])
            exact = truth[index]
            shift = found.max(axis=-1, keepdims=True) - exact.max(axis=-1, keepdims=True)
            np.testing.assert_allclose(found - shift, exact, atol=0.02, err_msg=name)


def test_packed_files_and_the_store_are_half_the_size(files):
    sizes = files.sizes()
    whole = sizes["dense.npy"]
    small = [size for name, size in sizes.items() if name.endswith(("packed.parquet", "float16.npy"))]
    assert len(small) == 2
    assert all(size < 0.8 * whole for size in small)
    (exact,) = [size for name, size in sizes.items() if name.endswith("float32.npy")]
    assert exact == whole


def test_the_limit_copies_what_it_says():
    copy, num_bytes = store.memcpy(1 << 12)
    assert num_bytes == 1 << 12
    copy()
