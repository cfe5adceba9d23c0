"""Files are whole and provably so, or recognised as broken, whatever moment a writer dies at."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kd_uncertainty import artefacts
from kd_uncertainty.artefacts import atomic_write, checksum_path, fault, remove_abandoned, sha256_of


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text)


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_digest_is_that_of_hashlib_across_block_boundaries(tmp_path):
    for size in (0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1):
        content = os.urandom(size)
        (tmp_path / "file").write_bytes(content)
        assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_writes_the_file_and_a_checksum_and_nothing_else(tmp_path):
    path = tmp_path / "new" / "table.csv"
    _write(path, "a,b\n")
    assert path.read_text() == "a,b\n"
    assert _names(path.parent) == {"table.csv", "table.csv.sha256"}
    assert fault(path) is None


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="coreutils are not here")
def test_checksum_is_understood_by_coreutils(tmp_path):
    path = tmp_path / "name with spaces.json"
    _write(path, "{}")
    command = ["sha256sum", "-c", checksum_path(path).name]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    path.write_text("{ }")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 1


def test_temporary_name_is_hidden_in_the_same_folder_and_keeps_all_suffixes(tmp_path):
    with atomic_write(tmp_path / "a.tar.gz") as temporary:
        temporary.touch()
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(f".{os.getpid()}-")
        assert temporary.suffixes[-2:] == [".tar", ".gz"]


def test_without_checksum_only_the_file_is_written(tmp_path):
    with atomic_write(tmp_path / "shard", checksum=False) as temporary:
        temporary.touch()
    assert _names(tmp_path) == {"shard"}


def test_a_failing_body_leaves_the_old_file_valid_and_no_debris(tmp_path):
    path = tmp_path / "file"
    _write(path, "old")

    def fail() -> None:
        with atomic_write(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert path.read_text() == "old"
    assert fault(path) is None
    assert _names(tmp_path) == {"file", "file.sha256"}


def test_a_body_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "file"):
        pass
    assert _names(tmp_path) == set()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: checksum_path(path).unlink(), "no checksum"),
        (lambda path: path.write_text("conten"), "truncated or was edited"),
        (lambda path: path.write_text("Content"), "truncated or was edited"),
        (lambda path: path.write_text(""), "truncated or was edited"),
        (lambda path: checksum_path(path).write_text(""), "unreadable checksum"),
        (lambda path: checksum_path(path).write_text("0" * 64 + "  file"), "truncated or was edited"),
    ],
)
def test_faults_are_named(tmp_path, damage, said):
    path = tmp_path / "file"
    _write(path, "content")
    damage(path)
    sentence = fault(path)
    assert sentence is not None
    assert said in sentence
    assert str(path) in sentence


@pytest.mark.parametrize("old", [None, "old"])
@pytest.mark.parametrize("crash_at", [0, 1])
def test_a_crash_at_any_rename_never_makes_a_bad_file_look_good(tmp_path, monkeypatch, old, crash_at):
    """After a crash the file is the old one and valid, or is recognised as broken; never new without proof."""
    path = tmp_path / "file"
    if old is not None:
        _write(path, old)
    calls = []
    replace = os.replace

    def crashing(source: Path, target: Path) -> None:
        if len(calls) == crash_at:
            raise OSError("power cut")
        calls.append(target)
        replace(source, target)

    monkeypatch.setattr(artefacts.os, "replace", crashing)
    with pytest.raises(OSError, match="power cut"):
        _write(path, "new")
    if path.exists():
        assert path.read_text() == old
    if fault(path) is None:
        assert (crash_at, old) == (0, "old")


def test_sigkill_in_the_body_leaves_only_a_temporary_that_can_be_removed(tmp_path):
    path = tmp_path / "file.bin"
    _write(path, "old")
    code = (
        "import os, signal, sys\n"
        "from kd_uncertainty.artefacts import atomic_write\n"
        "with atomic_write(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    assert fault(path) is None
    assert len(_names(tmp_path)) == 3
    assert len(remove_abandoned(tmp_path)) == 1
    assert _names(tmp_path) == {"file.bin", "file.bin.sha256"}


def test_temporaries_of_running_writers_and_other_hidden_files_are_kept(tmp_path):
    (tmp_path / ".git-something.txt").touch()
    with atomic_write(tmp_path / "file.bin") as temporary:
        temporary.touch()
        assert remove_abandoned(tmp_path) == []
    assert (tmp_path / "file.bin").exists()
