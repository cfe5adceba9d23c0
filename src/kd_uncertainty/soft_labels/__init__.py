"""Soft labels: a teacher's posterior of every example, as a Parquet table, in memory and memory-mapped."""

from kd_uncertainty.soft_labels.mapped import SoftLabelFile
from kd_uncertainty.soft_labels.packed import pack_tables
from kd_uncertainty.soft_labels.reading import SoftLabels, Source, num_draws, read_soft_labels
from kd_uncertainty.soft_labels.sidecar import SoftLabelStore

__all__ = ["SoftLabelFile", "SoftLabelStore", "SoftLabels", "Source", "num_draws", "pack_tables", "read_soft_labels"]
