"""The base of every options section and the number types that they share."""

from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

Item = TypeVar("Item")

Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def _one_is_a_list(value: Any) -> Any:
    return (value,) if isinstance(value, int | float | str) else value


def _each_once(values: tuple[Item, ...]) -> tuple[Item, ...]:
    if len(set(values)) < len(values):
        raise ValueError(f"{list(values)} names a value twice; name each once")
    return values


NonEmpty = Annotated[tuple[Item, ...], Field(min_length=1)]
Distinct = Annotated[tuple[Item, ...], Field(min_length=1), BeforeValidator(_one_is_a_list), AfterValidator(_each_once)]
"""Values of one dial, at least one, each once; a single value stands for a list of it."""


class Options(BaseModel):
    """Base of every section: frozen, and a key that is not known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[info.field_name or ""]
        if isinstance(value, bool) and field.annotation in (int, float):
            raise ValueError(f"needs a number, not {str(value).lower()}")
        return value
