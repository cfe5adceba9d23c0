"""Train a small population into a folder, with two workers: what the resumption test runs, kills and runs again."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from population.worlds import small_job

from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.shards import ShardStore
from kd_uncertainty.population.workers import run

EPOCHS = {"vmap": 12, "native": 5000}  # long enough to be killed in the middle


def train(folder: str | Path, backend: str, workers: int, chunk_size: int) -> None:
    """Train what is missing in the folder."""
    job = small_job(training=TrainingOptions(epochs=EPOCHS[backend], batch_size=8), shard_size=4, backend=backend)
    store = ShardStore(folder, job.identity(backend), job.num_shards)
    for index, tensors in run(job, store.missing(), workers=workers, chunk_size=chunk_size, progress=False):
        store.write(index, tensors)


if __name__ == "__main__":
    train(sys.argv[1], sys.argv[2], workers=2, chunk_size=4)
