"""All teachers of a study: fitted by name, brought to and from tensors, asked for posterior logits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.soft_labels.table import batches, describe, response_schema, response_table
from kd_uncertainty.teachers.contract import Problem, Teacher, TeacherOptions, kinds, teacher_options
from kd_uncertainty.teachers.folds import answer_folds, fit_folds, flatten_folds, nest_folds


def fit_teachers(
    problem: Problem, posteriors: Mapping[str, TeacherOptions], seed: int, *, progress: bool = False
) -> tuple[dict[str, Teacher], pd.DataFrame]:
    """Fit every named posterior; returns the teachers and their training curves, one table.

    Each teacher's seed is derived from its name, so adding one changes no other. Column ``fold`` of the curves is 0
    for a teacher that is fitted once.
    """
    teachers, curves = {}, []
    for name, options in (bar := tqdm(posteriors.items(), desc="teachers", unit="teacher", disable=not progress)):
        bar.set_postfix_str(name)
        fit, own_seed = kinds()[options.kind].fit, derive_seed(seed, "teacher", name)
        if options.folds > 1:
            fitted = fit_folds(fit, problem, options, own_seed, name)
        else:
            fitted = fit(problem, options, own_seed)
        teachers[name] = Teacher(
            name, options, problem.network, problem.inputs.shape[1], problem.num_classes, fitted.parameters
        )
        curves.append(fitted.curves.assign(teacher=name, fold=fitted.curves.get("fold", 0)))
    table = pd.concat(curves, ignore_index=True)
    keys = ["teacher", "fold"]
    return teachers, table[[*keys, *table.columns.drop(keys)]]


def to_nested(teachers: Mapping[str, Teacher]) -> dict[str, Any]:
    """Teachers as nested tensors and JSON values, for one safetensors file."""
    return {
        name: {
            "options": teacher.options.model_dump_json(),
            "network": teacher.network.model_dump_json(by_alias=True),
            "num_inputs": teacher.num_inputs,
            "num_classes": teacher.num_classes,
            "parameters": nest_folds(teacher.parameters),
        }
        for name, teacher in teachers.items()
    }


def from_nested(nested: Mapping[str, Any]) -> dict[str, Teacher]:
    """The inverse of ``to_nested``."""
    return {
        name: Teacher(
            name,
            teacher_options(json.loads(value["options"])),
            NetworkOptions.model_validate_json(value["network"]),
            value["num_inputs"],
            value["num_classes"],
            flatten_folds(value["parameters"]),
        )
        for name, value in nested.items()
    }


def posterior_logits(
    teacher: Teacher, inputs: Tensor, draws: Sequence[int], seed: int, example_ids: NDArray[np.int64] | None = None
) -> Tensor:
    """Draw posterior logits for any inputs: ``(draws, examples, classes)``, a pure function of seed and draw numbers.

    Args:
        teacher: a fitted teacher of any kind.
        inputs: ``(examples, num_inputs)`` float32.
        draws: numbers of the draws, any integers from 0.
        seed: the stream that the draws are taken from.
        example_ids: ``(examples,)``, by which a cross-fitted teacher knows its training examples again; without them
            all inputs are new to it.
    """
    if len(inputs) == 1:  # asked twice: a product with a vector rounds otherwise than one with a matrix
        ids = None if example_ids is None else example_ids.repeat(2)
        return posterior_logits(teacher, inputs.repeat(2, 1), draws, seed, ids)[:, :1]
    kind = kinds()[teacher.options.kind]
    if teacher.options.folds == 1:
        return kind.posterior_logits(teacher, inputs, draws, seed)

    def answer(of_fold: Teacher, fold: int) -> Tensor:
        return kind.posterior_logits(of_fold, inputs, draws, derive_seed(seed, "fold", fold))

    return answer_folds(teacher, answer, example_ids, len(inputs))


def posterior_mean(teacher: Teacher, inputs: Tensor, example_ids: NDArray[np.int64] | None = None) -> Tensor | None:
    """Return the posterior mean of a predicted number, ``(examples, 1)``, where the kind knows it, else None."""
    known = getattr(kinds()[teacher.options.kind], "posterior_mean", None)
    if known is None:
        return None
    if teacher.options.folds == 1:
        mean: Tensor = known(teacher, inputs)
        return mean
    return answer_folds(teacher, lambda of_fold, _: known(of_fold, inputs)[None], example_ids, len(inputs))[0]


def teacher_facts(teacher: Teacher, draws: int) -> dict[str, Any]:
    """What a file of responses says about the teacher that gave them."""
    folds = {"folds": teacher.options.folds} if teacher.options.folds > 1 else {}
    return {"kind": teacher.options.kind, "draws": draws, **folds}


def stream_responses(
    teachers: Mapping[str, Teacher],
    example_ids: NDArray[np.int64],
    inputs: Tensor,
    *,
    num_draws: int,
    batch_size: int,
    seed: int,
    classes: Sequence[str],
    device: torch.device,
) -> Iterator[pa.Table]:
    """Posterior logits of every teacher and example, a table for each batch of examples; bounded memory.

    No draw is cached twice: a point posterior gives one, an ensemble at most one for each member.
    """
    draws = {name: teacher.options.cached_draws(num_draws) for name, teacher in teachers.items()}
    facts = {name: teacher_facts(teacher, draws[name]) for name, teacher in teachers.items()}
    schema = response_schema(describe(facts, seed, classes))
    for name, teacher in teachers.items():
        there = replace(teacher, parameters={key: value.to(device) for key, value in teacher.parameters.items()})
        stream = derive_seed(seed, "responses", name)
        for batch in batches(example_ids, batch_size):
            logits = posterior_logits(there, inputs[batch].to(device), range(draws[name]), stream, example_ids[batch])
            yield response_table(name, example_ids[batch], logits, schema)
