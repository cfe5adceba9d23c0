"""Networks have a floor: Var(k) = a/k + b with b from initialisation and order, identified by the crossed seeds."""

import pytest

from ..project import Project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """The default chain on diabetes, without the paper's sections."""
    project = Project(tmp_path_factory.mktemp("floor"))
    stages = ("ingestion", "teachers", "responses", "students", "propagation")
    project.run("regression", env="base", namespaces=[f"regression.{stage}" for stage in stages])
    return project


def test_the_fitted_floor_is_the_variance_of_initialisation_and_order(chain):
    """Two estimates of the same b: from the fall with k, and from students of the exact mean, which see no noise."""
    budget = chain.load("regression.response_budget", env="base")
    components = chain.load("regression.variance_components", env="base")
    fitted = budget.query("model == 'network' and target == 'noise'").iloc[0]
    assert fitted["response_variance_lower"] > 0.0
    assert fitted["floor"] > 0.0
    exact = components.query("model == 'network' and teacher == 'ensemble' and target == 'exact'")
    exact = exact[exact["split"] == fitted["split"]].set_index("component")
    direct = exact.loc["inter_unbiased"]
    assert direct["lower"] > 0.0
    assert fitted["floor_lower"] <= direct["upper"]
    assert direct["lower"] <= fitted["floor_upper"]
    parts = exact.loc[["initialisation", "order", "residual"], "estimate"].sum()
    assert parts == pytest.approx(direct["estimate"], rel=1e-6)
    assert exact.loc["initialisation", "estimate"] > 0.5 * direct["estimate"]


def test_linear_students_have_none(chain):
    """In closed form there is nothing but the responses: the slope is -1 and a accounts for everything at k = 1."""
    budget = chain.load("regression.response_budget", env="base")
    fitted = budget.query("model == 'linear' and target == 'noise'").iloc[0]
    assert fitted["slope_lower"] <= -1.0 <= fitted["slope_upper"]
    assert fitted["floor_lower"] == 0.0
    assert fitted["floor"] < 0.02 * fitted["response_variance"]
