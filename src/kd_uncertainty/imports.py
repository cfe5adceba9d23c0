"""Importing large libraries without Python's garbage collector walking through them again and again."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting_imports() -> Iterator[None]:
    """Import inside this block: modules stay as long as the process, so no collection looks at them, now or later.

    torch, pandas, SciPy and MLflow make half a million objects. The collector would walk through them a hundred times
    while they come, which is a quarter of their import time, and again whenever it looks at everything.
    """
    enabled, known = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > known:
            gc.freeze()
        if enabled:
            gc.enable()
