"""Run as a program: what tasks see on a machine with one core that is pretended to have a GPU. Prints JSON."""

from __future__ import annotations

import json
import sys


def main() -> None:
    import ray
    from kedro.framework.hooks.manager import _create_hook_manager
    from kedro.io import DataCatalog, MemoryDataset
    from kedro.pipeline import Pipeline, node

    from kd_uncertainty.runners import RayRunner
    from tests.runners import work

    ray.init("local", num_cpus=int(sys.argv[2]), num_gpus=1, object_store_memory=int(200e6), include_dashboard=False)
    nodes = {
        "halves": [
            node(work.seen, "folder", "left", name="left", tags="gpus-0.5"),
            node(work.seen, "folder", "right", name="right", tags="gpus-0.5"),
        ],
        "shards": [
            node(work.unshared, "folder", "none", name="none"),
            node(work.dispatch, "none", "shards", name="shards"),
        ],
    }[sys.argv[3]]
    catalog = DataCatalog({"folder": MemoryDataset(sys.argv[1])})
    results = RayRunner().run(Pipeline(nodes), catalog, _create_hook_manager())
    found = {name: dataset.load() for name, dataset in results.items()}
    sys.stdout.write(f"\nfound {json.dumps(found)}\n")


if __name__ == "__main__":
    main()
