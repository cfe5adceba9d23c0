"""A shard counts only if the manifest vouches for every byte of it."""

import json
import logging

import pytest
import torch

from kd_uncertainty.artefacts import sha256_of
from kd_uncertainty.errors import UserError
from kd_uncertainty.population.shards import MANIFEST, ShardStore


def _shard(index):
    generator = torch.Generator().manual_seed(index)
    return {"students": torch.arange(2 * index, 2 * index + 2), "losses": torch.rand(2, 3, generator=generator)}


@pytest.fixture
def store(tmp_path):
    store = ShardStore(tmp_path / "population", "identity", 3)
    for index in (2, 0, 1):
        store.write(index, _shard(index))
    return store


def test_shards_come_back_in_order_and_whole(store):
    assert store.complete()
    assert store.missing() == []
    for index, tensors in enumerate(store):
        for name, values in _shard(index).items():
            assert torch.equal(tensors[name], values)


def test_manifest_lists_digests_and_students_and_knows_nothing_of_the_order_of_writing(store, tmp_path):
    manifest = json.loads((store.folder / MANIFEST).read_text())
    assert manifest["identity"] == "identity"
    assert list(manifest["shards"]) == ["0", "1", "2"]
    assert manifest["shards"]["1"]["sha256"] == sha256_of(store.path(1))
    assert (manifest["shards"]["1"]["first_student"], manifest["shards"]["1"]["last_student"]) == (2, 3)
    other = ShardStore(tmp_path / "other", "identity", 3)
    for index in range(3):
        other.write(index, _shard(index))
    for name in (MANIFEST, *(store.path(index).name for index in range(3))):
        assert (other.folder / name).read_bytes() == (store.folder / name).read_bytes()


def test_everything_is_missing_at_first_and_nothing_is_created(tmp_path):
    store = ShardStore(tmp_path / "new", "identity", 2)
    assert store.missing() == [0, 1]
    assert not store.complete()
    assert not store.folder.exists()


def test_unfinished_work_is_missing_without_a_warning(tmp_path, caplog):
    store = ShardStore(tmp_path, "identity", 3)
    store.write(1, _shard(1))
    with caplog.at_level(logging.WARNING):
        assert store.missing() == [0, 2]
    assert not caplog.records
    assert "does not list it" in store.fault()


@pytest.mark.parametrize("damage", ["truncate", "edit", "delete"])
def test_a_damaged_shard_is_named_and_computed_again(store, caplog, damage):
    path = store.path(1)
    content = path.read_bytes()
    if damage == "delete":
        path.unlink()
    else:
        path.write_bytes(content[:-1] if damage == "truncate" else content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match=r"shard-00001.safetensors (is missing|is truncated or was edited)"):
        store.read(1)
    with caplog.at_level(logging.WARNING):
        assert store.missing() == [1]
    assert "shard-00001.safetensors" in caplog.text
    assert "shard-00001.safetensors" in store.fault()
    store.write(1, _shard(1))
    assert store.complete()


def test_shards_of_another_identity_do_not_count_and_are_replaced(store):
    other = ShardStore(store.folder, "another", 3)
    assert other.missing() == [0, 1, 2]
    other.write(0, _shard(0))
    assert other.missing() == [1, 2]
    assert store.missing() == [0, 1, 2]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not a manifest"),
        ("[]", "is not a manifest"),
        ('{"identity": "identity"}', "is not a manifest"),
        (None, "does not match its own digest"),
    ],
)
def test_a_damaged_manifest_vouches_for_nothing(store, caplog, content, said):
    path = store.folder / MANIFEST
    path.write_text(path.read_text().replace('"last_student": 3', '"last_student": 4') if content is None else content)
    with caplog.at_level(logging.WARNING):
        assert store.missing() == [0, 1, 2]
    assert said in caplog.text
    with pytest.raises(UserError, match=said):
        ShardStore.open(store.folder)


def test_a_manifest_of_another_format_vouches_for_nothing(store, monkeypatch):
    monkeypatch.setattr("kd_uncertainty.population.shards.FORMAT_VERSION", 2)
    assert store.missing() == [0, 1, 2]


def test_open_finds_out_what_there_is(store, tmp_path):
    opened = ShardStore.open(store.folder)
    assert (opened.identity, opened.num_shards, opened.complete()) == ("identity", 3, True)
    with pytest.raises(UserError, match=r"manifest.json is missing; run the students stage again"):
        ShardStore.open(tmp_path)


def test_what_a_killed_writer_left_is_removed(store):
    debris = store.folder / ".999999999-0a1b2c3d.shard-00001.safetensors"
    debris.write_bytes(b"half")
    store.missing()
    assert not debris.exists()
