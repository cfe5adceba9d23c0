"""Options of a task."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from kd_uncertainty.typed import Fraction, Options, Seed

SPLITS = ("train", "validation", "test")
Split = Literal["train", "validation", "test"]


def _as_text(name: Any) -> Any:
    """A number as YAML reads the name of a column such as 4; anything else is left to be refused or not."""
    return str(name) if isinstance(name, int | float) and not isinstance(name, bool) else name


ColumnName = Annotated[str, BeforeValidator(_as_text)]
"""A column's name; tables without a header have numbers, which stand for their text."""


class TableOptions(Options):
    """How a table becomes examples, whatever its target is."""

    target: ColumnName = Field(description="name of the column to predict")
    drop_columns: tuple[ColumnName, ...] = Field((), description="columns that are not inputs: identifiers, leaks")
    validation_fraction: Fraction = 0.2
    test_fraction: Fraction = 0.2
    standardise: bool = Field(True, description="scale numeric inputs to zero mean and unit variance")
    seed: Seed = 0

    @model_validator(mode="after")
    def _leaves_something_to_train_on(self) -> Self:
        if self.validation_fraction + self.test_fraction >= 1.0:
            raise ValueError("validation_fraction + test_fraction must stay below 1, or nothing is left to train on")
        return self


class IngestionOptions(TableOptions):
    """How a table of classes becomes examples."""

    label_noise: Annotated[float, Field(ge=0.0, lt=1.0)] | None = Field(
        None,
        description="fraction of the training labels that are flipped to another class; null: what a bundled table "
        "suggests, none for your own",
    )
