"""Compiled once, kept by content, never used torn; and what is said where it cannot be."""

import ctypes
import logging
import os
import re
import shutil
import threading
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from kd_uncertainty.population import choice
from kd_uncertainty.population.native import build, library
from kd_uncertainty.population.options import TrainingOptions

from ..worlds import CPU, mlp

needs_compiler = pytest.mark.skipif(shutil.which(os.environ.get("CXX", "c++")) is None, reason="no compiler")


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """A kernel that compiles in a moment, and an empty cache."""
    folder = tmp_path / "kernel"
    folder.mkdir()
    (folder / "train.cpp").write_text('extern "C" long answer() { return 42; }\n')
    monkeypatch.setattr(build, "KERNEL", folder)
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "cache"))
    return folder


def _answer(path):
    return ctypes.CDLL(str(path)).answer()


@needs_compiler
def test_is_compiled_once_and_again_when_the_source_changes(kernel, caplog):
    caplog.set_level(logging.INFO)
    path = build.ensure_library()
    assert _answer(path) == 42
    assert caplog.text.count("compiling the native kernel") == 1
    written = path.stat().st_mtime_ns
    assert build.ensure_library() == path
    assert path.stat().st_mtime_ns == written
    (kernel / "train.cpp").write_text('extern "C" long answer() { return 43; }\n')
    assert build.ensure_library() != path
    assert _answer(build.ensure_library()) == 43
    assert {entry.name.split("-")[0] for entry in path.parent.iterdir()} == {path.name, f"{path.name}.sha256"}


def test_flags_and_headers_are_part_of_the_digest(kernel, monkeypatch):
    paths = {build.library_path()}
    (kernel / "more.inl").write_text("// nothing\n")
    paths.add(build.library_path())
    (kernel / "train.cpp~").write_text("an editor's copy\n")
    paths.add(build.library_path())
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-O1"))
    paths.add(build.library_path())
    assert len(paths) == 3


@needs_compiler
def test_a_torn_library_is_compiled_again(kernel, caplog):
    path = build.ensure_library()
    path.write_bytes(path.read_bytes()[:1000])
    assert _answer(build.ensure_library()) == 42
    assert "is truncated or was edited" in caplog.text


@needs_compiler
def test_processes_that_compile_at_once_do_not_meet(kernel):
    paths = []
    threads = [threading.Thread(target=lambda: paths.append(build.ensure_library())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 2
    assert _answer(paths[0]) == 42


@needs_compiler
def test_what_killed_compilations_left_is_removed(kernel):
    folder = build.library_path().parent
    for name, age in (("build-old", 2 * build._ABANDONED_SECONDS), ("build-new", 0.0)):
        (folder / name).mkdir(parents=True)
        os.utime(folder / name, (time.time() - age,) * 2)
    build.ensure_library()
    assert [entry.name for entry in folder.glob("build-*")] == ["build-new"]


@needs_compiler
def test_a_library_of_something_else_is_named_with_the_mend(kernel):
    library._load.cache_clear()
    try:
        assert re.match(r"the compiled kernel cannot be loaded \(.*kd_best_isa.*\); delete ", library.obstacle())
    finally:
        library._load.cache_clear()


@needs_compiler
def test_a_source_that_does_not_compile_says_where(kernel):
    (kernel / "train.cpp").write_text("this is no C++\n")
    with pytest.raises(build.BuildError, match=r"the kernel cannot be compiled \(.*train.cpp:1.*error"):
        build.ensure_library()
    assert not build.library_path().exists()


def test_without_a_compiler_auto_takes_vmap_and_says_why(kernel, monkeypatch, caplog):
    monkeypatch.setenv("CXX", "no-such-compiler")
    library._load.cache_clear()
    try:
        arguments = (mlp(8, 3, 10), "auto", torch.randn(70, 8), 3, TrainingOptions(batch_size=32), CPU)
        name, reason = choice.choose_backend(*arguments)
        assert name == "vmap"
        assert "the kernel cannot be compiled" in reason
        assert re.search("no-such-compiler.*(not found|No such file)", reason)
        assert "WARNING" not in caplog.text
        with pytest.raises(choice.UserError, match="native cannot train these students: the kernel cannot be compiled"):
            choice.choose_backend(arguments[0], "native", *arguments[2:])
    finally:
        library._load.cache_clear()


def test_a_cache_that_cannot_be_written_to_is_named_with_the_mend(kernel, monkeypatch):
    (kernel.parent / "file").write_text("no folder")
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(kernel.parent / "file"))
    with pytest.raises(build.BuildError, match=r"cannot be kept .*; set TORCH_EXTENSIONS_DIR to your own folder"):
        build.ensure_library()


def test_the_default_cache_is_the_users(monkeypatch):
    for variable in ("TORCH_EXTENSIONS_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(Path, "home", lambda: Path("somebody"))
    assert build.library_path().is_relative_to(Path("somebody/.cache/torch_extensions/kd_uncertainty"))
    monkeypatch.setenv("XDG_CACHE_HOME", "elsewhere")
    assert build.library_path().is_relative_to(Path("elsewhere/torch_extensions/kd_uncertainty"))


def test_the_network_is_named_before_the_compiler(monkeypatch):
    monkeypatch.setattr(library, "obstacle", lambda: "the kernel cannot be compiled (no compiler)")
    network = nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 3))
    name, reason = choice.choose_backend(lambda: network, "auto", torch.randn(70, 8), 3, TrainingOptions(), CPU)
    assert name in ("vmap", "loop")
    assert "Linear and ReLU layers, one after another, only" in reason
    assert "compiled" not in reason
