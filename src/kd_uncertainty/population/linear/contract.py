"""What the linear students share: the shape of a student and of what trains many."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Seeds = NDArray[np.uint64]

Train = Callable[[Seeds], Floats]
"""From seeds (students,) to parameters (students, parameters): the coefficients in order of features, then the
intercept if there is one. A student's parameters are a pure function of its own seed, bit for bit."""
