"""Options of a task."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from kd_uncertainty.typed import Fraction, Options, Seed, Share

SPLITS = ("train", "validation", "test")
Split = Literal["train", "validation", "test"]
_SUM_TOLERANCE = 1e-6


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
        "suggests (where there is no label_transition), none for your own",
    )
    label_transition: tuple[tuple[Share, ...], ...] | None = Field(
        None,
        description="K x K matrix, classes in sorted order: each training label of the row's class becomes the "
        "column's with this probability; rows sum to 1",
    )
    bayes_prefix: Annotated[str, Field(min_length=1)] = Field(
        "bayes_probability_",
        description="columns of this prefix, one a class, are no inputs but the known P(class | inputs)",
    )

    @model_validator(mode="after")
    def _is_a_transition(self) -> Self:
        rows = self.label_transition
        if rows is None:
            return self
        if any(len(row) != len(rows) for row in rows):
            raise ValueError(
                f"label_transition must be square, one row and one column a class; it has {len(rows)} rows"
            )
        for number, row in enumerate(rows):
            if abs(sum(row) - 1.0) > _SUM_TOLERANCE:
                raise ValueError(f"label_transition: row {number} sums to {sum(row):.6g}, not 1")
        if self.label_noise:
            raise ValueError("label_noise and label_transition both change training labels; set one of them")
        return self
