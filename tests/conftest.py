"""Fixtures that run pipelines."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

from .project import Project

# The same examples in every run: a failure is then due to a change. HYPOTHESIS_PROFILE=default explores others.
settings.register_profile("same", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh project, nothing run yet."""
    return Project(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose small default study has been run once; read only."""
    project = Project(tmp_path_factory.mktemp("finished"))
    project.run()
    return project


@pytest.fixture
def own_table() -> pd.DataFrame:
    """A small table with everything that real tables have: numbers, categories, holes, text labels."""
    generator = np.random.default_rng(7)
    label = generator.choice(["lark", "owl", "wren"], 240)
    weight = generator.normal(0, 1, 240) + (label == "owl") * 3.0
    colour = np.where(generator.random(240) < 0.7, np.where(label == "lark", "brown", "grey"), "white").astype(object)
    table = pd.DataFrame(
        {"weight": weight, "colour": colour, "ringed": generator.random(240) < 0.5, "species": label, "id": range(240)}
    )
    table.loc[::17, "weight"] = np.nan
    table.loc[::23, "colour"] = None
    return table
