"""Tables that come with scikit-learn or this package, for a first run without any data of one's own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from importlib.resources import files

import pandas as pd
import sklearn
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

FACTS = "facts"
"""The bundled table of questions."""


def load_bundled(name: str) -> pd.DataFrame:
    """Load a bundled table by name.

    Returns:
        Of ``facts``: columns relation, question, answer and aliases (separated by ``|``), all text. Of the others: one
        column an input and ``target``, the class names or the numbers to predict.

    Raises:
        UserError: if there is no table of that name.
    """
    if name == FACTS:
        return _facts()
    if name not in _LOADERS:
        names = ", ".join([*sorted(_LOADERS), FACTS])
        raise UserError(f"bundled table '{name}' does not exist; choose one of {names}")
    bunch = _LOADERS[name](as_frame=True)
    frame: pd.DataFrame = bunch.frame.copy()  # type: ignore[attr-defined]
    if "target_names" in bunch:  # type: ignore[operator]
        frame["target"] = [str(bunch.target_names[code]) for code in frame["target"]]  # type: ignore[attr-defined]
    return frame


def bundled_version(name: str) -> str:
    """Return what a bundled table's content depends on: the version of scikit-learn, or the digest of our own file."""
    if name != FACTS:
        return str(sklearn.__version__)
    return hashlib.sha256(files("kd_uncertainty.tasks").joinpath("facts.csv").read_bytes()).hexdigest()


def _facts() -> pd.DataFrame:
    # An empty cell is an empty text here, and "Na" or "None" would be an answer like any other.
    with files("kd_uncertainty.tasks").joinpath("facts.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, dtype=str, na_filter=False)
