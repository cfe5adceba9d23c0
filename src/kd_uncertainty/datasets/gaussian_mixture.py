"""A Gaussian mixture, as a catalog entry: a table whose class probabilities are known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NoReturn

import numpy as np
import pandas as pd
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview
from pydantic import ValidationError

from kd_uncertainty.errors import UserError
from kd_uncertainty.tasks.mixtures import MixtureOptions, class_probabilities, make_mixture, sample

PROBABILITY = "bayes_probability_"
"""What the names of the columns of class probabilities begin with; the class follows."""


class GaussianMixture(AbstractDataset[NoReturn, pd.DataFrame]):
    """Points of a Gaussian mixture whose classes share one covariance, drawn anew from the seed at every load.

    Columns ``x0``, ``x1``, ...; ``target``, whole numbers from 0; and P(class | inputs) in closed form,
    ``bayes_probability_0``, ..., which ingestion takes as such.

    Example:
        ``` yaml
        classification.source:
          type: kd_uncertainty.datasets.GaussianMixture
          num_classes: 5
          num_examples: 50000
        ```

    Args:
        num_classes: classes, numbered from 0.
        num_inputs: inputs.
        num_examples: points.
        mean_values: what the entries of the classes' means are drawn from.
        variance: of each input within a class; the mean of their variances where the covariance is drawn.
        covariance: isotropic, or shared: a full matrix that the seed draws, the same for all classes.
        means: means of your own, num_classes x num_inputs, in place of drawn ones.
        weights: of the classes, up to a factor; equal if left out.
        seed: of everything that is drawn.
        metadata: anything, for plugins such as Kedro-Viz.

    Raises:
        UserError: if a setting cannot be; it is named.
    """

    def __init__(  # noqa: PLR0913  (the keys of a catalog entry)
        self,
        *,
        num_classes: int = 5,
        num_inputs: int = 30,
        num_examples: int = 10_000,
        mean_values: Sequence[float] = (4.0, 5.0, 6.0),
        variance: float = 2.5,
        covariance: Literal["isotropic", "shared"] = "isotropic",
        means: Sequence[Sequence[float]] | None = None,
        weights: Sequence[float] | None = None,
        seed: int = 0,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        try:
            self._options = MixtureOptions.model_validate(
                {
                    "num_classes": num_classes,
                    "num_inputs": num_inputs,
                    "num_examples": num_examples,
                    "mean_values": mean_values,
                    "variance": variance,
                    "covariance": covariance,
                    "means": means,
                    "weights": weights,
                    "seed": seed,
                }
            )
        except ValidationError as error:
            raise UserError("GaussianMixture: " + "; ".join(map(_complaint, error.errors()))) from error
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """Draw the table.

        Raises:
            UserError: if it has too few points for a point of every class.
        """
        options = self._options
        mixture = make_mixture(options)
        inputs, labels = sample(mixture, options.num_examples, options.seed)
        counts = np.bincount(labels, minlength=options.num_classes)
        if not counts.all():
            raise UserError(
                f"GaussianMixture: none of the {options.num_examples} points is of class {int(counts.argmin())}; raise "
                "num_examples, or the class's entry in weights"
            )
        known = class_probabilities(mixture, inputs)
        columns = {f"x{number}": inputs[:, number] for number in range(options.num_inputs)}
        probabilities = {f"{PROBABILITY}{label}": known[:, label] for label in range(options.num_classes)}
        return pd.DataFrame({**columns, "target": labels, **probabilities})

    def save(self, data: NoReturn) -> None:
        """Refuse: there is nothing to write."""
        raise DatasetError("a Gaussian mixture is read-only")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return self._options.model_dump()

    def preview(self, nrows: int = 5) -> TablePreview:
        """First rows, for Kedro-Viz."""
        return TablePreview(self.load().head(nrows).to_dict(orient="split"))


def _complaint(problem: Any) -> str:
    where = ".".join(map(str, problem["loc"]))
    message = problem["msg"].removeprefix("Value error, ")
    return f"'{where}': {message[0].lower()}{message[1:]}" if where else message
