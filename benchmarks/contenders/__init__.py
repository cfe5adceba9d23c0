"""Who takes part in the races.

Every contender is a function ``train(problem, students, seed, threads, **setting)`` that trains the students with
these numbers from scratch, draws their initial parameters and orders itself, and returns the mean training loss of
each student's last epoch, (students,) float64. Different seeds give different students.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Train = Callable[..., NDArray[np.float64]]


@dataclass(frozen=True)
class Contender:
    """One way to train a population, with what may be tuned about it.

    Attributes:
        name: in the results.
        label: in the tables.
        function: "module:function" below this package.
        sequential: whether it trains one student after another, so that a few students tell the time of many.
        settings: keyword arguments to try; the fastest are raced.
        layouts: (processes, threads of each) to try; students are dealt out to the processes.
        warm_up: whether its first call compiles for the shapes of that call.
        yardstick: whether its loss is that of the others; if not it is there for orientation.
    """

    name: str
    label: str
    function: str
    sequential: bool = False
    settings: tuple[dict[str, Any], ...] = ({},)
    layouts: tuple[tuple[int, int], ...] = ((1, 1),)
    warm_up: bool = False
    yardstick: bool = True

    @property
    def module(self) -> str:
        """The module of its function; contenders of one module share their random numbers."""
        return self.function.partition(":")[0]


def load(function: str) -> Train:
    """Import "module:function" of this package."""
    module, _, name = function.partition(":")
    train: Train = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    return train


ONE_PROCESS = ((1, 1), (1, 2))
ALL_LAYOUTS = ((1, 1), (1, 2), (2, 1))
ADAMS = tuple({"adam": kind} for kind in ("default", "foreach", "fused"))

CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("dataloader", "DataLoader loop", "torch_loops:dataloader_loop", sequential=True, layouts=ONE_PROCESS),
        Contender(
            "dataloader_pair",
            "DataLoader loop, two processes",
            "torch_loops:dataloader_loop",
            sequential=True,
            layouts=((2, 1),),
        ),
        Contender(
            "indexing",
            "tensor-indexing loop",
            "torch_loops:indexing_loop",
            sequential=True,
            settings=ADAMS,
            layouts=ALL_LAYOUTS,
        ),
        Contender(
            "sklearn", "scikit-learn MLP", "sklearn_models:train", sequential=True, layouts=ALL_LAYOUTS, yardstick=False
        ),
        Contender(
            "jax",
            "JAX vmap + jit + scan",
            "jax_population:train",
            settings=tuple({"chunk_size": size} for size in (1, 8, 32, 128)),
            layouts=ALL_LAYOUTS,
            warm_up=True,
        ),
        Contender(
            "loop",
            "ours: loop",
            "ours:train",
            sequential=True,
            settings=({"backend": "loop"},),
            layouts=((1, 1), (2, 1)),
        ),
        Contender(
            "vmap",
            "ours: vmap",
            "ours:train",
            settings=tuple({"backend": "vmap", "chunk_size": size} for size in (8, 32, 64, 128)),
            layouts=ALL_LAYOUTS,
        ),
        Contender(
            "native",
            "ours: native",
            "ours:train",
            settings=tuple({"backend": "native", "chunk_size": size} for size in (32, 1024)),
            layouts=ONE_PROCESS,
            warm_up=True,
        ),
    )
}
