"""From nested values to the flat, limited names and values that MLflow takes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

from pydantic import BaseModel

from kd_uncertainty.loss_schedules import CONSTANT

MAX_KEY, MAX_PARAMETER = 250, 6000
_FORBIDDEN = re.compile(r"[^\w\-. /]", re.ASCII)


def metric_name(*parts: object) -> str:
    """Join the parts with slashes, the way MLflow groups charts, and replace characters that it refuses.

    >>> metric_name("train_loss", "label:ensemble", "k=4")
    'train_loss/label_ensemble/k_4'
    """
    return _FORBIDDEN.sub("_", "/".join(str(part) for part in parts))[:MAX_KEY]


def arm_name(arm: Mapping[str, Any], *, num_responses: bool = True) -> str:
    """Name an arm by what sets it apart: target, teacher and, where they are not the default, the other keys.

    >>> arm_name({"target": "label", "teacher": "ensemble", "num_responses": 4, "weighting": "average", "mixing": 0.5})
    'label.ensemble.k04.mixing0.5'
    >>> arm_name({"method": "averaging", "num_responses": 4})
    'averaging.k04'
    """
    if "method" in arm:
        return f"{arm['method']}.k{arm['num_responses']:02d}" if num_responses else str(arm["method"])
    parts = [str(arm[key]) for key in ("model", "target") if key in arm]
    if arm.get("noise", 0.0):
        parts.append(f"s{arm['noise']:g}")
    if arm["target"] not in ("one_hot", "ground_truth"):
        parts.append(str(arm["teacher"]))
        if num_responses and arm["target"] != "exact":
            parts.append(f"k{arm['num_responses']:02d}")  # padded: charts are sorted as text
    if arm.get("weighting", "average") not in ("average", ""):
        parts.append(str(arm["weighting"]))
    parts += [f"{key}{arm[key]:g}" for key in ("mixing", "temperature") if arm.get(key, 1.0) != 1.0]
    if arm.get("schedule", CONSTANT) != CONSTANT:
        parts.append(str(arm["schedule"]).replace("@", ""))
    return ".".join(parts)


def flatten_parameters(value: Any, prefix: str = "") -> dict[str, str]:
    """Flatten options to dotted names and text: ``{"training.epochs": "10", "arms.0.target": "label"}``."""
    plain = value.model_dump(mode="json", by_alias=True) if isinstance(value, BaseModel) else value
    return dict(_parameter_leaves(plain, prefix))


def _parameter_leaves(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", by_alias=True)
    if isinstance(value, Mapping) and value:
        children: Iterator[tuple[Any, Any]] = iter(value.items())
    elif _is_list(value) and any(isinstance(item, Mapping | BaseModel) for item in value):
        children = iter(enumerate(value))
    else:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        yield _FORBIDDEN.sub("_", name)[:MAX_KEY] or "value", text[:MAX_PARAMETER]
        return
    for key, child in children:
        yield from _parameter_leaves(child, f"{name}.{key}" if name else str(key))


def numeric_leaves(value: Any, name: str = "") -> dict[str, float]:
    """Collect the finite numbers of a nested JSON value under slash-separated names.

    An item of a list is named by its own texts (``{"teacher": "ensemble", "nll": .3}`` gives ``ensemble/nll``), or by
    its position if it has none.
    """
    leaves: dict[str, float] = {}
    if isinstance(value, Real) and math.isfinite(value):
        leaves[metric_name(name or "value")] = float(value)
    elif isinstance(value, Mapping):
        for key, child in value.items():
            leaves |= numeric_leaves(child, f"{name}/{key}" if name else str(key))
    elif _is_list(value):
        for position, item in enumerate(value):
            label = _texts(item) if isinstance(item, Mapping) else ""
            label = label or str(position)
            leaves |= numeric_leaves(item, f"{name}/{label}" if name else label)
    return leaves


def _texts(item: Mapping[Any, Any]) -> str:
    return ".".join(text for text in item.values() if isinstance(text, str) and 0 < len(text) <= 40)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def one_line(error: BaseException, limit: int = 5000) -> str:
    """``Type: message`` on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:limit]
