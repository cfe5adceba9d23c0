import logging

import numpy as np
import pytest
from kedro.io import DataCatalog, DatasetError

from kd_uncertainty.cli import user_error
from kd_uncertainty.datasets import GaussianMixture
from kd_uncertainty.errors import UserError
from kd_uncertainty.fingerprints import entry_token
from kd_uncertainty.tasks.examples import bayes_probabilities
from kd_uncertainty.tasks.mixtures import MixtureOptions, class_probabilities, make_mixture
from kd_uncertainty.tasks.options import IngestionOptions
from kd_uncertainty.tasks.tables import prepare_task

TYPE = "kd_uncertainty.datasets.GaussianMixture"
SETTINGS = {"num_classes": 12, "num_inputs": 3, "num_examples": 600, "variance": 1.5, "seed": 2}


def test_a_table_holds_inputs_targets_and_their_probabilities():
    table = GaussianMixture(**SETTINGS).load()
    probabilities = [f"bayes_probability_{label}" for label in range(12)]
    assert table.columns.tolist() == ["x0", "x1", "x2", "target", *probabilities]
    assert len(table) == 600
    expected = class_probabilities(make_mixture(MixtureOptions(**SETTINGS)), table[["x0", "x1", "x2"]].to_numpy())
    np.testing.assert_array_equal(table[probabilities], expected)


def test_every_load_is_the_same_and_another_seed_is_another_table():
    dataset = GaussianMixture(**SETTINGS)
    assert dataset.load().equals(dataset.load())
    assert not dataset.load().equals(GaussianMixture(**SETTINGS | {"seed": 3}).load())


def test_ingestion_takes_the_probabilities_with_the_classes_in_order_of_number():
    table = GaussianMixture(**SETTINGS).load()
    examples, task = prepare_task(table, IngestionOptions(target="target"))
    assert task["classes"] == [str(label) for label in range(12)]
    assert task["bayes_probabilities"] == "exact"
    assert task["features"] == ["x0", "x1", "x2"]
    np.testing.assert_allclose(bayes_probabilities(examples), table.iloc[:, 4:], atol=1e-15)
    assert examples["target"].tolist() == table["target"].tolist()


def test_means_and_weights_may_be_given():
    means = [[0.0, 0.0], [3.0, 0.0]]
    table = GaussianMixture(num_classes=2, num_inputs=2, num_examples=4000, means=means, weights=[3, 1]).load()
    centres = table.groupby("target")[["x0", "x1"]].mean().to_numpy()
    np.testing.assert_allclose(centres, means, atol=4.5 * np.sqrt(2.5 / 900))
    assert table["target"].mean() == pytest.approx(0.25, abs=4.5 * np.sqrt(0.1875 / 4000))


def test_a_catalog_makes_it_and_plugins_can_look_at_it():
    entry = {"type": TYPE, **SETTINGS, "metadata": {"kedro-viz": {"layer": "primary"}}}
    catalog = DataCatalog.from_config({"source": entry})
    assert catalog.exists("source")
    assert len(catalog.load("source")) == 600
    assert len(catalog["source"].preview(nrows=3)["data"]) == 3
    with pytest.raises(DatasetError, match="read-only"):
        catalog["source"].save(catalog.load("source"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"variance": -1.0}, "GaussianMixture: 'variance': input should be greater than 0"),
        ({"means": [[0.0]]}, "GaussianMixture: means has 1 rows of length 1; it needs"),
        ({"num_classes": 1}, "'num_classes'"),
        ({"covariance": "diagonal"}, "'covariance'"),
    ],
)
def test_settings_that_cannot_be_are_told_in_a_sentence(settings, words):
    with pytest.raises(UserError, match=words):
        GaussianMixture(**SETTINGS | settings)
    with pytest.raises(DatasetError) as error:
        DataCatalog.from_config({"source": {"type": TYPE, **SETTINGS, **settings}}).load("source")
    assert user_error(error.value) is not None


def test_a_class_without_a_point_is_named():
    with pytest.raises(DatasetError, match=r"none of the 5 points is of class \d+; raise num_examples"):
        GaussianMixture(**SETTINGS | {"num_examples": 5}).load()


def test_its_settings_are_its_identity(tmp_path):
    entry = {"type": TYPE, **SETTINGS}
    token = entry_token(entry, tmp_path)
    assert entry_token({**entry, "metadata": {"a": 1}}, tmp_path) == token
    assert entry_token({**entry, "seed": 9}, tmp_path) != token


def test_its_probabilities_reach_the_examples_of_a_study(project):
    project.configure("test", "catalog", {"classification.source": {"type": TYPE, **SETTINGS}})
    project.run(namespaces=["classification.ingestion"])
    examples, task = project.load("classification.examples"), project.load("classification.task")
    assert (task["bayes_probabilities"], task["label_transition"], task["num_flipped"]) == ("exact", None, 0)
    expected = GaussianMixture(**SETTINGS).load().filter(like="bayes_probability_")
    np.testing.assert_allclose(bayes_probabilities(examples), expected, atol=1e-15)


def test_no_file_is_missed(project, caplog):
    """A table without a file is warned of, as its changes cannot be seen; this one cannot change."""

    def warnings(entry):
        caplog.clear()
        project.configure("test", "catalog", {"classification.source": entry})
        with caplog.at_level(logging.WARNING, logger="kd_uncertainty.fingerprints"):
            path = project.path("classification.examples")
        return path, [record for record in caplog.records if "has no filepath" in record.getMessage()]

    first, told = warnings({"type": TYPE, **SETTINGS})
    assert not told
    second, _ = warnings({"type": TYPE, **SETTINGS, "seed": 9})
    assert first != second
    assert warnings({"type": "pandas.SQLQueryDataset", "sql": "select 1", "credentials": {"con": "sqlite://"}})[1]
