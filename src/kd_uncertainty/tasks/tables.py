"""From a table to examples: checks, split, label noise, preprocessing fitted on the training split only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from kd_uncertainty.errors import UserError
from kd_uncertainty.tasks.bayes import probability_columns, read_probabilities
from kd_uncertainty.tasks.bundled import LABEL_NOISE
from kd_uncertainty.tasks.noise import flip_labels, flip_transition, transition_labels
from kd_uncertainty.tasks.options import SPLITS, IngestionOptions
from kd_uncertainty.tasks.preprocessing import preprocess
from kd_uncertainty.tasks.sources import Task, checked_table, random_state, table_digest

Floats = NDArray[np.float64]

# train_test_split needs a member of every class on both sides of both cuts.
_SMALLEST_CLASS = 3


def prepare_task(source: pd.DataFrame, options: IngestionOptions) -> Task:
    """Turn a table into examples with a seeded stratified split.

    Numeric columns are imputed by the median and, if asked, standardised; all others are imputed by their most frequent
    value and one-hot encoded. Both are fitted on the training split only. ``example_id`` is the row's position in the
    source. Column names that are not text stand for their text; dropped columns may hold anything.

    Returns:
        ``examples`` with columns example_id, split, inputs (list of float32), target (class index, after label noise),
        source_target (before), label_flipped and, unless unknown, bayes_probabilities: what a training label at these
        inputs is, with which probability, noise included; in every split, though noise spares the labels of validation
        and test. And the task's description: sizes, class and input names, and whether those probabilities are
        "exact" (from the source's columns), "assumed" (injected noise on source labels that are taken as certain) or
        "unknown".

    Raises:
        UserError: if the table cannot be used; the message names the column and the mend.
    """
    frame = checked_table(source, options, needs="classification needs classes")
    classes, labels = _encode_target(frame[options.target], options.target)
    known, features = _known_probabilities(frame.drop(columns=[options.target]), classes, options)
    split = _split(labels, classes, options)
    train = np.flatnonzero(split == "train")
    inputs, names = preprocess(features, train, options)
    noise = _label_noise(source, options)
    noisy, transition = _noisy_labels(labels, train, len(classes), noise, options)
    probabilities = _bayes_probabilities(known, labels, transition)
    examples = pd.DataFrame(
        {
            "example_id": np.arange(len(frame), dtype=np.int64),
            "split": split,
            "inputs": list(inputs),
            "target": noisy,
            "source_target": labels,
            "label_flipped": noisy != labels,
        }
    )
    if probabilities is not None:
        examples["bayes_probabilities"] = list(probabilities)
    description = _describe(examples, classes, names, options) | {
        "label_noise": noise,
        "label_transition": options.label_transition,
        "bayes_probabilities": "unknown" if probabilities is None else "assumed" if known is None else "exact",
        "source_digest": table_digest(frame),
    }
    return Task(examples, description)


def _known_probabilities(
    frame: pd.DataFrame, classes: list[str], options: IngestionOptions
) -> tuple[Floats | None, pd.DataFrame]:
    """The source's class probabilities (rows, classes), if it has them, and the table of inputs without them."""
    columns = probability_columns(frame, options.bayes_prefix)
    features = frame.drop(columns=columns)
    if features.shape[1] == 0:
        raise UserError("source table: has no input column beside the target and the class probabilities")
    return read_probabilities(frame[columns], classes, options.bayes_prefix), features


def _label_noise(source: pd.DataFrame, options: IngestionOptions) -> float:
    """The fraction of flipped labels: as set, else as the table suggests it, unless a transition takes its place."""
    if options.label_noise is not None:
        return options.label_noise
    suggested: float = 0.0 if options.label_transition is not None else source.attrs.get(LABEL_NOISE, 0.0)
    return suggested


def _noisy_labels(
    labels: NDArray[np.int64], train: NDArray[np.int64], num_classes: int, noise: float, options: IngestionOptions
) -> tuple[NDArray[np.int64], Floats | None]:
    """Labels with noise on the training rows, and the noise as a transition (classes, classes); None without noise."""
    if options.label_transition is not None:
        transition = np.asarray(options.label_transition, dtype=np.float64)
        if len(transition) != num_classes:
            raise UserError(
                f"ingestion.label_transition: has {len(transition)} rows and columns, and column "
                f"'{options.target}' has {num_classes} classes; give it one of each for every class, in sorted order"
            )
        transition /= transition.sum(axis=1, keepdims=True)
        return transition_labels(labels, train, transition, options.seed), transition
    noisy = flip_labels(labels, train, num_classes, noise, options.seed)
    return noisy, flip_transition(num_classes, len(train), noise) if noise > 0.0 else None


def _bayes_probabilities(known: Floats | None, labels: NDArray[np.int64], transition: Floats | None) -> Floats | None:
    """P(training label | inputs), (rows, classes): known probabilities, or certain labels, sent through the noise."""
    if transition is None:
        return known
    return transition[labels] if known is None else known @ transition


def _encode_target(values: pd.Series[Any], column: str) -> tuple[list[str], NDArray[np.int64]]:
    """Class names in sorted order and each row's class index."""
    missing = int(values.isna().sum())
    if missing:
        rows = "1 row" if missing == 1 else f"{missing} rows"
        # Fewer would be too few for a class of that name, and a column of numbers had no such text.
        text = missing >= _SMALLEST_CLASS and not pd.api.types.is_numeric_dtype(values)
        hint = " (pandas reads texts such as NA as empty: load_args: {keep_default_na: false} keeps them)"
        raise UserError(
            f"source table: target column '{column}' is empty in {rows}; fill or remove them{hint if text else ''}"
        )
    found = pd.unique(values)
    if len(found) < 2:
        raise UserError(f"source table: target column '{column}' has a single class ({found[0]}); nothing to learn")
    try:
        ordered = sorted(found)
    except TypeError:
        ordered = sorted(found, key=str)
    if pd.api.types.is_float_dtype(values) and not np.equal(np.mod(values, 1), 0).all():
        raise UserError(
            f"source table: target column '{column}' holds real numbers, and classification needs classes; "
            "name another column in ingestion.target"
        )
    if len(values) < _SMALLEST_CLASS * len(ordered):
        raise UserError(
            f"source table: {len(values)} examples for {len(ordered)} classes of column '{column}'; each class needs "
            f"at least {_SMALLEST_CLASS}, one for each split (is '{column}' an identifier?)"
        )
    index = {value: code for code, value in enumerate(ordered)}
    return [str(value) for value in ordered], np.array([index[value] for value in values], dtype=np.int64)


def _split(labels: NDArray[np.int64], classes: list[str], options: IngestionOptions) -> NDArray[np.object_]:
    """Assign every row to train, validation or test with the classes' shares kept."""
    counts = np.bincount(labels, minlength=len(classes))
    if counts.min() < _SMALLEST_CLASS:
        raise UserError(
            f"source table: class '{classes[int(counts.argmin())]}' has {counts.min()} examples; each class needs "
            f"at least {_SMALLEST_CLASS}, one for each split: add examples or merge the class"
        )
    rows = np.arange(len(labels))
    try:
        rest, test = train_test_split(
            rows, test_size=options.test_fraction, stratify=labels, random_state=random_state(options.seed, 2)
        )
        share = options.validation_fraction / (1.0 - options.test_fraction)
        _, validation = train_test_split(
            rest, test_size=share, stratify=labels[rest], random_state=random_state(options.seed, 3)
        )
    except ValueError as error:
        raise UserError(
            f"source table: {len(labels)} examples cannot be split with all {len(classes)} classes in every split "
            f"({error}); raise ingestion.validation_fraction and test_fraction, or add examples"
        ) from error
    split = np.full(len(labels), "train", dtype=object)
    split[validation], split[test] = "validation", "test"
    return split


def _describe(
    examples: pd.DataFrame, classes: list[str], names: list[str], options: IngestionOptions
) -> dict[str, Any]:
    counts = examples["split"].value_counts()
    return {
        "target": options.target,
        "num_inputs": len(names),
        "num_classes": len(classes),
        "classes": classes,
        "features": names,
        "num_examples": {split: int(counts[split]) for split in SPLITS},
        "num_flipped": int(examples["label_flipped"].sum()),
        "seed": options.seed,
    }
