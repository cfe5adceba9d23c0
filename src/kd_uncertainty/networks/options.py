"""Options of a network."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, field_validator

from kd_uncertainty.networks.build import import_network
from kd_uncertainty.typed import Options


class NetworkOptions(Options):
    """Any ``torch.nn.Module`` by import path, built as ``Class(num_inputs, num_classes, **arguments)``."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    class_path: str = Field("kd_uncertainty.networks.MLP", alias="class")
    arguments: dict[str, Any] = Field(default_factory=dict)

    @field_validator("class_path")
    @classmethod
    def _is_importable(cls, value: str) -> str:
        import_network(value)
        return value
