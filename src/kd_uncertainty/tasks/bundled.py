"""Tables that come with scikit-learn, for a first run without any data of one's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd
from sklearn import datasets

from kd_uncertainty.errors import UserError

LABEL_NOISE = "label_noise"
"""Attribute of a table: the label noise that it suggests."""

_LOADERS: dict[str, Callable[..., object]] = {
    "digits": datasets.load_digits,
    "wine": datasets.load_wine,
    "breast_cancer": datasets.load_breast_cancer,
    "diabetes": partial(datasets.load_diabetes, scaled=False),
}


def load_bundled(name: str) -> pd.DataFrame:
    """Load a bundled table by name: one column an input and ``target``, the class names or the numbers to predict.

    Raises:
        UserError: if there is no table of that name.
    """
    if name not in _LOADERS:
        raise UserError(f"bundled table '{name}' does not exist; choose one of {', '.join(sorted(_LOADERS))}")
    bunch = _LOADERS[name](as_frame=True)
    frame: pd.DataFrame = bunch.frame.copy()  # type: ignore[attr-defined]
    if "target_names" in bunch:  # type: ignore[operator]
        frame["target"] = [str(bunch.target_names[code]) for code in frame["target"]]  # type: ignore[attr-defined]
    return frame
