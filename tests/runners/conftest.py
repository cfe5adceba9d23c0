"""A Ray cluster on this machine for the tests that need one; without Ray they are skipped."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def ray():
    """The library, connected to a small cluster without GPUs."""
    found = pytest.importorskip("ray", reason="Ray is not installed: make ray")
    found.init(
        "local", num_cpus=2, num_gpus=0, object_store_memory=int(200e6), include_dashboard=False, log_to_driver=False
    )
    yield found
    found.shutdown()
