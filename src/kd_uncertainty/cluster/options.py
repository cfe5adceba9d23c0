"""What a piece of work occupies of a machine."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, PositiveInt, model_validator

from kd_uncertainty.typed import Options


class Resources(Options):
    """Processor cores and GPUs that a task occupies while it runs.

    A part of a GPU, such as 0.5, lets as many tasks share one as fit; their memory is theirs to divide, so give them an
    ``execution.chunk_size`` then. Above 1, whole GPUs.
    """

    cpus: PositiveInt = 1
    gpus: Annotated[float, Field(ge=0.0)] = 0.0

    @model_validator(mode="after")
    def _whole_above_one(self) -> Self:
        if self.gpus > 1 and not self.gpus.is_integer():
            raise ValueError(f"gpus above 1 must be whole, unlike {self.gpus:g}")
        return self

    def __str__(self) -> str:
        """For messages: "4 CPUs and 0.5 GPUs"."""
        return f"{self.cpus} CPU{'s' * (self.cpus != 1)} and {self.gpus:g} GPU{'s' * (self.gpus != 1)}"
