"""Kedro datasets of this project: bundled and generated tables, verified artefacts, populations."""

from kd_uncertainty.datasets.artefact import Artefact
from kd_uncertainty.datasets.bundled import BundledTable
from kd_uncertainty.datasets.gaussian_mixture import GaussianMixture
from kd_uncertainty.datasets.images import ImageTable
from kd_uncertainty.datasets.population import Population
from kd_uncertainty.datasets.streams import ParquetStream, SoftLabelTable
from kd_uncertainty.datasets.tensors import NestedTensors

__all__ = [
    "Artefact",
    "BundledTable",
    "GaussianMixture",
    "ImageTable",
    "NestedTensors",
    "ParquetStream",
    "Population",
    "SoftLabelTable",
]
