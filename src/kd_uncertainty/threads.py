"""Independent pieces of NumPy work on all cores, results in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cores() -> int:
    """Cores that this process may use; all of the machine's where the system cannot tell."""
    allowed = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def in_order(function: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None) -> Iterator[Result]:
    """Apply a function to every item in threads, as ``map`` does one after another.

    NumPy leaves the interpreter to others while it computes. BLAS gets one thread a call meanwhile: on matrices as
    small as those of an arm its own threads wait for one another longer than they work.

    Args:
        function: called from several threads at once.
        items: read from the caller's thread; at most ``threads`` + 1 are in use at a time, which bounds memory.
        threads: how many; one for each core if left out.

    Yields:
        The results in the order of the items; an error comes where its result would have.
    """
    threads = threads or available_cores()
    waiting: deque[Future[Result]] = deque()
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
