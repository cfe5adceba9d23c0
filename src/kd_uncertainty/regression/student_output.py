r"""Student output: how much of the teacher's own (intra-model) uncertainty students keep, by what they are trained on.

A classification teacher answers with probabilities. Students are trained on its most probable class ("argmax", the
paper's protocol), on the probabilities themselves ("soft"), or on one label sampled from them ("label"), and asked
for the uncertainty of their own predictive distribution: the entropy ``-sum_c p_c log p_c`` in nats, and the variance
``1 - sum_c p_c^2``, on all test points and on those that the model itself gets right or wrong (Cui & Pei, arXiv
2601.18909, section 6). Entropy and variance are over classes, within a student, and then averaged over points.

Differences to the paper: soft and sampled labels beside argmax; several students, with intervals; no MNIST or
covertype, which are not bundled; and beside the clean tables, on which a teacher ends as good as certain so that its
argmax and its probabilities are nearly the same labels, "ambiguous" ones: a fifth of the training labels flipped and
training stopped after 20 epochs, so that there is uncertainty to keep or to lose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, PositiveInt, field_validator

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.regression._cells import columns
from kd_uncertainty.regression._training import NumStudents, full_batch_fit, progress_bar
from kd_uncertainty.regression.classification import (
    VALIDATION_FRACTION,
    TargetKind,
    classification_data,
    student_probabilities,
    teacher_probabilities,
)
from kd_uncertainty.regression.data import Floats
from kd_uncertainty.regression.networks import NetworkFit
from kd_uncertainty.tasks.options import ColumnName
from kd_uncertainty.typed import Distinct, Options, Seed
from kd_uncertainty.uncertainty.budget import Interval
from kd_uncertainty.uncertainty.students import mean_ratio, student_mean

SUBSETS = ("all", "correct", "incorrect")
Model = Literal["network", "logistic"]
UNKNOWN = Interval(np.nan, np.nan, np.nan)


class SourceOptions(Options):
    """A table to classify, and how clear its classes are made to its teacher."""

    table: str | None = Field(None, description="name of the table in the catalog, where it is not that of the source")
    target: ColumnName = Field("target", description="name of the column with the classes")
    drop_columns: tuple[ColumnName, ...] = Field((), description="columns that are not inputs: identifiers, leaks")
    label_noise: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.0, description="fraction of the training labels to flip to another class; the paper flips none"
    )
    epochs: PositiveInt | None = Field(
        None, description="of teacher and students of this source; null: those of their own options"
    )


def _default_sources() -> dict[str, SourceOptions]:
    names = ("digits", "wine", "breast_cancer")
    clear = {name: SourceOptions() for name in names}
    return clear | {f"{name}_ambiguous": SourceOptions(table=name, label_noise=0.2, epochs=20) for name in names}


class StudentOutputOptions(Options):
    """The tables, the teacher, and the students of the section: each model on each target."""

    sources: dict[str, SourceOptions] = Field(
        default_factory=_default_sources,
        min_length=1,
        description="by name; null leaves one out. Those called ambiguous have a teacher that is not certain",
    )
    teacher: NetworkFit = full_batch_fit([128], epochs=100, learning_rate=0.01)
    network: NetworkFit = full_batch_fit([64], epochs=100, learning_rate=0.01)
    logistic: NetworkFit = Field(
        full_batch_fit([], epochs=100, learning_rate=0.01), description="a network without hidden layers"
    )
    models: Distinct[Model] = ("network", "logistic")
    targets: Distinct[TargetKind] = ("argmax", "soft", "label")
    num_students: NumStudents = Field(10, description="of each cell")
    test_fraction: Annotated[float, Field(gt=0.0, lt=1.0 - VALIDATION_FRACTION)] = 0.2
    seed: Seed = 8

    @field_validator("sources", mode="before")
    @classmethod
    def _drop_switched_off(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: options for name, options in value.items() if options is not None}


def student_output_table(
    tables: Mapping[str, pd.DataFrame],
    options: StudentOutputOptions,
    *,
    confidence: float = 0.95,
    threads: int = 1,
    progress: bool = False,
) -> pd.DataFrame:
    """Return predictive uncertainty of teachers and students, one row a cell and subset of test points.

    Student s starts from the same parameters whatever its target; sampled labels have a response seed of their own
    each. Bounds are over students, given the teacher and the test points; the teacher, being given, has none.

    Args:
        tables: by name, those that ``options.sources`` name at least.
        options: of the section.
        confidence: of the intervals.
        threads: threads over students; no result depends on them.
        progress: whether to show a bar.

    Returns:
        source, role, model, target, subset; num_students (those with a point in the subset), num_points (mean over
        all students); with bounds: entropy (nats), intra_variance, accuracy (on all test points, whatever the subset),
        entropy_ratio (the students' entropy over the teacher's on its own such subset) and soft_ratio (over that of
        the same students trained on soft labels, paired). An empty subset has NaN.

    Raises:
        UserError: if a table is missing or cannot be used, a network cannot be built, or one diverges.
    """
    chosen = {source: _table(tables, source, settings) for source, settings in options.sources.items()}
    rows: list[dict[str, Any]] = []
    cells = len(options.sources) * len(options.models) * len(options.targets)
    with progress_bar("student output", cells * options.num_students, progress) as advance:
        for source, settings in options.sources.items():
            data = classification_data(
                chosen[source], settings.target, settings.drop_columns,
                label_noise=settings.label_noise, test_fraction=options.test_fraction, seed=options.seed,
            )  # fmt: skip
            train, test = teacher_probabilities(data, _fit(options.teacher, settings), options.seed, threads)
            keys = {"source": source, "role": "teacher", "model": "network", "target": "ground_truth"}
            teacher = output_rows(test[None], data.test_labels, confidence)
            rows += [keys | row for row in teacher]
            for model in options.models:
                fit = _fit(options.network if model == "network" else options.logistic, settings)
                predicted: dict[TargetKind, Floats] = {}
                for target in options.targets:
                    predicted[target] = student_probabilities(
                        data, train, target, fit, options.num_students, options.seed, threads
                    )
                    advance(options.num_students)
                for name, values in predicted.items():
                    keys = {"source": source, "role": "student", "model": model, "target": name}
                    found = output_rows(values, data.test_labels, confidence, test, predicted.get("soft"))
                    rows += [keys | row for row in found]
    return pd.DataFrame(rows)


def _table(tables: Mapping[str, pd.DataFrame], source: str, settings: SourceOptions) -> pd.DataFrame:
    name = settings.table or source
    if name not in tables:
        raise UserError(
            f"student_output.sources: there is no table '{name}' (known: {', '.join(tables)}); take source '{source}' "
            "out by setting it to null, or name one of these in its table"
        )
    return tables[name]


def _fit(fit: NetworkFit, settings: SourceOptions) -> NetworkFit:
    """Return how a network of this source is trained."""
    if settings.epochs is None:
        return fit
    training = TrainingOptions.model_validate(fit.training.model_dump() | {"epochs": settings.epochs})
    return fit.model_copy(update={"training": training})


def predictive_entropy(probabilities: Floats) -> Floats:
    """Return ``-sum_c p_c log p_c`` in nats, (...), of probabilities (..., classes)."""
    # Written so that a probability of 0, which a softmax rounds to, counts as 0.
    logarithms = np.log(np.where(probabilities > 0.0, probabilities, 1.0))
    return np.asarray(-(probabilities * logarithms).sum(axis=-1)) + 0.0


def class_variance(probabilities: Floats) -> Floats:
    """Return ``1 - sum_c p_c^2``, (...), as ``sum_c p_c (1 - p_c)``, which keeps its digits where p is close to 1."""
    return np.asarray((probabilities * (1.0 - probabilities)).sum(axis=-1))


def output_rows(
    probabilities: Floats,
    labels: NDArray[np.int64],
    confidence: float,
    teacher: Floats | None = None,
    soft: Floats | None = None,
) -> list[dict[str, Any]]:
    """Return the figures of one population, a row for each subset of the points.

    Args:
        probabilities: (students, points, classes).
        labels: (points,) class indices.
        confidence: of the intervals.
        teacher: (points, classes), what ``entropy_ratio`` is relative to; NaN without.
        soft: (students, points, classes) of the same students trained on soft labels, for ``soft_ratio``.
    """
    subsets = _subsets(probabilities, labels)
    entropies = _subset_entropies(probabilities, labels)
    teachers = None if teacher is None else _subset_entropies(teacher[None], labels)
    softs = None if soft is None else _subset_entropies(soft, labels)
    variance = class_variance(probabilities)
    rows = []
    for subset, chosen in subsets.items():
        values = entropies[subset]
        reference = np.nan if teachers is None else float(teachers[subset][0])
        ratio = values / reference if reference > 0.0 else np.full_like(values, np.nan)
        rows.append(
            {
                "subset": subset,
                "num_students": int(np.isfinite(values).sum()),
                "num_points": float(chosen.sum(axis=1).mean()),
                **columns(
                    entropy=_mean_over_students(values, confidence),
                    intra_variance=_mean_over_students(subset_means(variance, chosen), confidence),
                    accuracy=_mean_over_students(subsets["correct"].mean(axis=1), confidence),
                    entropy_ratio=_mean_over_students(ratio, confidence),
                    soft_ratio=UNKNOWN if softs is None else _paired_ratio(values, softs[subset], confidence),
                ),
            }
        )
    return rows


def _subsets(probabilities: Floats, labels: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    """Return which points belong to each of ``SUBSETS``, (students, points)."""
    correct = probabilities.argmax(axis=-1) == labels
    return dict(zip(SUBSETS, (np.ones_like(correct), correct, ~correct), strict=True))


def _subset_entropies(probabilities: Floats, labels: NDArray[np.int64]) -> dict[str, Floats]:
    """Return each student's mean entropy over its own points of each of ``SUBSETS``, (students,)."""
    entropy = predictive_entropy(probabilities)
    return {subset: subset_means(entropy, chosen) for subset, chosen in _subsets(probabilities, labels).items()}


def subset_means(values: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """Return each student's mean over its chosen points, (students,); NaN where it has none.

    Args:
        values: (students, points).
        chosen: (students, points).
    """
    counts = chosen.sum(axis=1)
    sums = np.where(chosen, values, 0.0).sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _mean_over_students(values: Floats, confidence: float) -> Interval:
    """Return the mean of the values that there are, with its interval; NaN if there is none."""
    known = values[np.isfinite(values)]
    return student_mean(known, confidence) if len(known) else UNKNOWN


def _paired_ratio(values: Floats, reference: Floats, confidence: float) -> Interval:
    """Return the ratio of means over the students that have both values, with its interval."""
    known = np.isfinite(values) & np.isfinite(reference)
    return mean_ratio(values[known], reference[known], confidence) if known.any() else UNKNOWN
