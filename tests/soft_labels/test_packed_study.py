"""A whole study whose responses are packed, and one that starts from packed soft labels of one's own."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from kd_uncertainty.datasets import SoftLabelTable
from kd_uncertainty.soft_labels import SoftLabelStore, pack_tables, read_soft_labels

from ..project import Project

pytestmark = pytest.mark.slow
PACKED = {"classification": {"responses": {"encoding": "packed"}}}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Two teachers of different numbers of draws and three arms, run with both encodings."""
    project = Project(tmp_path_factory.mktemp("packed"))
    path = project.conf / "test/parameters/classification.yml"
    study = yaml.safe_load(path.read_text())
    study["classification"]["teachers"]["posteriors"]["dropout"] = None
    study["classification"]["students"] |= {
        "arms": [{"target": "exact"}, {"target": "posterior", "num_responses": [1]}, {"target": "one_hot"}],
        "response_seeds": 2,
    }
    path.write_text(yaml.safe_dump(study))
    project.run()
    project.run(params=PACKED)
    return project


def test_packed_responses_are_those_of_lists_in_fewer_bytes(project):
    lists, packed = (project.path("classification.responses", params=params) for params in ({}, PACKED))
    assert lists != packed
    width = pq.read_schema(packed).field("log_probabilities").type.byte_width
    assert width == 8 * (4 + 2 * 10)  # eight members, the most draws of any teacher, of ten classes
    ids = project.load("classification.examples")["example_id"].to_numpy()
    exact, found = (read_soft_labels(SoftLabelTable(str(path)).load(), ids, 10) for path in (lists, packed))
    for teacher in ("deterministic", "ensemble"):
        assert found.logits[teacher].shape == exact.logits[teacher].shape
        p, q = exact.mean_probabilities(teacher), found.mean_probabilities(teacher)
        assert (p * np.log(p / q)).sum(axis=-1).mean() < 1e-9
        assert SoftLabelStore.open(packed, teacher).shape == exact.logits[teacher].shape


def test_the_studies_agree(project):
    lists, packed = (project.load("classification.arm_metrics", params=params) for params in ({}, PACKED))
    keys = ["teacher", "target", "num_responses", "split", "metric"]
    both = lists.merge(packed, on=keys, suffixes=("", "_packed"), validate="one_to_one")
    assert len(both) == len(lists) == len(packed)
    assert (both["estimate"] - both["estimate_packed"]).abs().max() < 0.01
    certain = both[both["target"] == "one_hot"]  # students without a teacher are the very same
    own = certain[~certain["metric"].isin(["agreement", "kl_to_teacher"])]
    assert len(own)
    np.testing.assert_array_equal(own["estimate"], own["estimate_packed"])


def test_a_study_starts_from_packed_soft_labels_of_ones_own_in_memory_or_mapped(project, tmp_path):
    responses = project.load("classification.responses")
    own = tmp_path / "own.parquet"
    tables = (pa.Table.from_batches([batch]) for batch in responses.to_batches(max_chunksize=500))
    SoftLabelTable(str(own)).save(pack_tables(tables, 8))
    found = []
    for memory_map in (False, True):
        entry = {"type": "kd_uncertainty.datasets.SoftLabelTable", "filepath": str(own), "memory_map": memory_map}
        project.configure("test", "catalog", {"classification.responses": entry})
        project.run("classification_from_responses", params={"execution": {"workers": 2}})
        found.append(project.load("classification.arm_metrics"))
        assert (tmp_path / "own.parquet.rows").exists() == memory_map
    loaded, mapped = found
    assert set(loaded["teacher"]) == {"deterministic", "ensemble", "none"}
    assert loaded.drop(columns=["estimate", "lower", "upper"]).equals(
        mapped.drop(columns=["estimate", "lower", "upper"])
    )
    with_teacher = loaded["teacher"] != "none"
    assert loaded.loc[with_teacher, "estimate"].notna().all()
    np.testing.assert_allclose(loaded["estimate"], mapped["estimate"], atol=0.01)
