"""Networks: built in ones, and anything importable as ``package.module.Class``."""

from kd_uncertainty.networks.build import build_network, import_network, network_builder
from kd_uncertainty.networks.mlp import MLP

__all__ = ["MLP", "build_network", "import_network", "network_builder"]
