"""Processor, memory and GPU use while stages run, sampled by one thread and logged when a stage is done.

MLflow's own monitor asks the store for the run's status at every sample and takes its first after ten seconds; most
stages are shorter. Names are MLflow's, so its "System metrics" page shows them.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import psutil

_MEGABYTE = 1e6
_SAMPLES_BEFORE_SLOWING = 240


class Sample(NamedTuple):
    """Use at one time, in seconds since the epoch."""

    time: float
    use: dict[str, float]


class SystemSampler:
    """Sample the machine in a daemon thread until stopped.

    The interval doubles after every 240 samples, so that a day-long run neither costs nor logs much.
    """

    def __init__(self, interval: float = 0.5) -> None:
        self._interval = interval
        self._samples: list[Sample] = []
        self._stop = threading.Event()
        self._gpu = _gpu_reader()
        self._thread = threading.Thread(target=self._run, name="kd-uncertainty-system-metrics", daemon=True)

    def start(self) -> None:
        """Begin to sample."""
        psutil.cpu_percent()  # the first call only sets the reference
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def within(self, intervals: Sequence[tuple[float, float]]) -> list[Sample]:
        """Samples taken inside any of the intervals."""
        return [s for s in list(self._samples) if any(start <= s.time <= stop for start, stop in intervals)]

    def _run(self) -> None:
        interval = self._interval
        while not self._stop.wait(interval):
            self._samples.append(Sample(time.time(), self._read()))
            if len(self._samples) % _SAMPLES_BEFORE_SLOWING == 0:
                interval *= 2

    def _read(self) -> dict[str, float]:
        memory = psutil.virtual_memory()
        return {
            "system/cpu_utilization_percentage": psutil.cpu_percent(),
            "system/system_memory_usage_percentage": memory.percent,
            "system/system_memory_usage_megabytes": memory.used / _MEGABYTE,
            "system/process_memory_usage_megabytes": _process_memory() / _MEGABYTE,
            **self._gpu(),
        }


def _process_memory() -> float:
    """Resident bytes of this process and of its workers."""
    process = psutil.Process()
    total = 0.0
    for member in [process, *process.children(recursive=True)]:
        with suppress(psutil.Error):
            total += member.memory_info().rss
    return total


def _gpu_reader() -> Callable[[], dict[str, float]]:
    """A function that reads every NVIDIA GPU; it returns nothing where ``nvidia-ml-py`` or a GPU is missing."""
    try:
        pynvml = importlib.import_module("pynvml")  # optional, and without type stubs
        pynvml.nvmlInit()
        handles: list[Any] = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    except Exception:  # no package, no driver, no permission: all mean no GPU figures
        return dict

    def read() -> dict[str, float]:
        values = {}
        for i, handle in enumerate(handles):
            with suppress(pynvml.NVMLError):
                use = pynvml.nvmlDeviceGetUtilizationRates(handle)
                values[f"system/gpu_{i}_utilization_percentage"] = float(use.gpu)
                values[f"system/gpu_{i}_memory_usage_megabytes"] = (
                    pynvml.nvmlDeviceGetMemoryInfo(handle).used / _MEGABYTE
                )
        return values

    return read
