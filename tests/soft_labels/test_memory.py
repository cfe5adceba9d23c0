"""Memory does not grow with the file: writing, building a sidecar and streaming hold a few rows at a time."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

from ..project import ROOT

EXAMPLES, DRAWS, CLASSES = 50_000, 8, 100
LOGICAL_MIB = EXAMPLES * DRAWS * CLASSES * 4 >> 20  # 152
ALLOWED_MIB = 50  # more than a file of a fifth of the examples takes; the rest would add 122

SCRIPT = textwrap.dedent(
    """
    import json, resource, sys
    from pathlib import Path
    import numpy as np, torch
    from kd_uncertainty.datasets import SoftLabelTable
    from kd_uncertainty.soft_labels import SoftLabelFile, SoftLabelStore, pack_tables, read_soft_labels
    from kd_uncertainty.soft_labels.table import response_schema, response_table

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

    def tables(examples, draws, classes):
        for start in range(0, examples, 1000):
            ids = np.arange(start, min(start + 1000, examples))
            yield response_table("t", ids, torch.randn(draws, len(ids), classes), response_schema({}))

    def everything(path, encoding, examples, draws, classes):
        found = tables(examples, draws, classes)
        SoftLabelTable(str(path)).save(found if encoding == "lists" else pack_tables(found, draws))
        yield "write", peak()
        store = SoftLabelStore.open(path)
        yield "build", peak()
        rows = sum(len(batch) for batch in store.stream(256))
        assert rows == examples
        yield "stream", peak()

    folder, encoding, *shape = sys.argv[1:]
    list(everything(Path(folder) / "small.parquet", encoding, 10_000, 8, 100))
    before = peak()
    peaks = {name: now - before for name, now in everything(Path(folder) / "x.parquet", encoding, *map(int, shape))}
    print(json.dumps(peaks))
    """
)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["lists", "packed"])
def test_memory_is_bounded_from_the_generator_to_the_stream(tmp_path, encoding):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), encoding, *map(str, (EXAMPLES, DRAWS, CLASSES))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    peaks = json.loads(done.stdout.splitlines()[-1])
    assert set(peaks) == {"write", "build", "stream"}
    assert max(peaks.values()) < ALLOWED_MIB < LOGICAL_MIB / 3, peaks
