"""Options of a network."""

from __future__ import annotations

from typing import Any, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from kd_uncertainty.networks.build import import_network, try_arguments
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

    @model_validator(mode="after")
    def _arguments_fit_a_network_of_ours(self) -> Self:
        """Networks of this package can be tried at once; a user's own may need the task's real sizes."""
        if self.class_path.startswith("kd_uncertainty."):
            try_arguments(self.class_path, self.arguments)
        return self
