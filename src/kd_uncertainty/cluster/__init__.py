"""Many machines by Ray: how to reach them, what they have, and shards computed on them."""

from kd_uncertainty.cluster.options import Resources
from kd_uncertainty.cluster.shards import SHARDS, ShardCluster

__all__ = ["SHARDS", "Resources", "ShardCluster"]
