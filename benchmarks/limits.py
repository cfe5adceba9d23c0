"""What the machine could do at most, measured beside the contenders: multiply-adds and copies of memory."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

SOURCE = Path(__file__).with_name("limits.cpp")


class Limits:
    """The compiled program and all that it has measured so far.

    Args:
        folder: where to put the program.
        cores: the cores that contenders may use.
        seconds: length of one measurement; a sample takes six of them.

    Raises:
        subprocess.CalledProcessError: if the compiler fails.
        FileNotFoundError: if there is none.
    """

    def __init__(self, folder: Path, cores: Sequence[int], seconds: float = 0.1) -> None:
        self._program, self._cores, self._seconds = folder / "limits", list(cores), seconds
        compiler = os.environ.get("CXX", "c++")  # as torch's extension loader picks the one for our kernel
        command = [compiler, "-O3", "-std=c++17", "-pthread", str(SOURCE), "-o", str(self._program)]
        subprocess.run(command, check=True, capture_output=True, text=True)
        self.samples: list[dict[str, Any]] = []
        self.sample()

    @property
    def instructions(self) -> str:
        """The vector instructions that the program picked: avx512, avx2 or generic."""
        return str(self.samples[0]["instructions"])

    def sample(self) -> None:
        """Measure once, with one core and with all."""
        one, every = (self._measure(self._cores[:count]) for count in (1, len(self._cores)))
        sample = {"instructions": one["instructions"]}
        for rate in ("flops", "copy_large", "copy_l2"):
            sample |= {f"{rate}_one_core": one[rate], f"{rate}_all_cores": every[rate]}
        self.samples.append(sample)

    def peak(self, since: int = 0) -> float:
        """Return the median multiply-add rate of all cores, in flop/s, over the samples from ``since`` on."""
        return median(float(sample["flops_all_cores"]) for sample in self.samples[since:] or self.samples)

    def summary(self) -> dict[str, Any]:
        """Return medians and quartiles of every rate, per second."""
        rates = [name for name in self.samples[0] if name != "instructions"]
        summary: dict[str, Any] = {"instructions": self.instructions, "cores": len(self._cores)}
        for name in rates:
            low, middle, high = np.quantile([sample[name] for sample in self.samples], (0.25, 0.5, 0.75))
            summary[name] = {"median": float(middle), "quartiles": [float(low), float(high)]}
        return summary

    def _measure(self, cores: Sequence[int]) -> dict[str, Any]:
        command = [str(self._program), str(len(cores)), str(self._seconds)]
        reply = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        measured: dict[str, Any] = json.loads(reply)
        return measured
