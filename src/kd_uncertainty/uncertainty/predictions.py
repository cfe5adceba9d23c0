"""The predictions table, arm by arm, as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from kd_uncertainty.errors import UserError
from kd_uncertainty.schemas import ARM_KEYS, SEED_COLUMNS

Number = TypeVar("Number", np.int64, np.float64)
_KEY_COLUMNS = ("student", "example_id", "split")
_EMPTY = "the predictions table is empty"


class SplitLogits(NamedTuple):
    """Logits of one arm's students on one split.

    Attributes:
        example_ids: ``(examples,)`` in increasing order.
        logits: ``(students, examples, classes)`` float32.
    """

    example_ids: NDArray[np.int64]
    logits: NDArray[np.float32]


class ArmLogits(NamedTuple):
    """What the students of one arm predict.

    Attributes:
        keys: "arm" and each of the arm keys.
        plan: the arm's rows of the plan; its order is that of the students in ``splits``.
        splits: logits by split.
    """

    keys: Mapping[str, Any]
    plan: pd.DataFrame
    splits: Mapping[str, SplitLogits]


class SplitRows(NamedTuple):
    """Where the predictions table holds one arm's students on one split.

    Attributes:
        example_ids: ``(examples,)`` in increasing order.
        rows: ``(students, examples)`` positions in the table.
    """

    example_ids: NDArray[np.int64]
    rows: NDArray[np.intp]


class ArmRows(NamedTuple):
    """Where the predictions table holds one arm, whatever is predicted.

    Attributes:
        keys: "arm" and each of the arm keys.
        plan: the arm's rows of the plan; its order is that of the students in ``splits``.
        splits: rows by split.
    """

    keys: Mapping[str, Any]
    plan: pd.DataFrame
    splits: Mapping[str, SplitRows]


def read_arms(
    predictions: pd.DataFrame,
    plan: pd.DataFrame,
    splits: Iterable[str] | None = None,
    *,
    arm_keys: Sequence[str] = ARM_KEYS,
) -> Iterator[ArmLogits]:
    """Read the arms of the plan one at a time.

    Args:
        predictions: student, example_id, split, logits (one list a row), in any order; Arrow columns are fastest.
        plan: student, arm, the arm keys and the three seed columns.
        splits: which to read; all that occur if left out.
        arm_keys: columns of the plan that say what the students of an arm have in common.

    Raises:
        UserError: a column is missing, or not every student has every example once.
    """
    _require(predictions, "predictions", (*_KEY_COLUMNS, "logits"))
    matrix = logits_matrix(predictions["logits"])
    for arm in arm_rows(predictions, plan, splits, arm_keys=arm_keys):
        parts = {name: SplitLogits(ids, matrix[rows]) for name, (ids, rows) in arm.splits.items()}
        yield ArmLogits(arm.keys, arm.plan, parts)


def arm_rows(
    predictions: pd.DataFrame, plan: pd.DataFrame, splits: Iterable[str] | None = None, *, arm_keys: Sequence[str]
) -> Iterator[ArmRows]:
    """Find the rows of every arm of the plan, one arm at a time.

    Args:
        predictions: student, example_id, split, in any order.
        plan: student, arm, the arm keys and the three seed columns.
        splits: which to read; all that occur if left out.
        arm_keys: columns of the plan that say what the students of an arm have in common.

    Raises:
        UserError: a column is missing, or not every student has every example once.
    """
    _require(predictions, "predictions", _KEY_COLUMNS)
    _require(plan, "plan", ("student", "arm", *arm_keys, *SEED_COLUMNS))
    if len(predictions) == 0:
        raise UserError(_EMPTY)
    example_ids, student = (numbers(predictions, "predictions", name, np.int64) for name in ("example_id", "student"))
    numbers(plan, "plan", "student", np.int64)
    split_codes, names = pd.factorize(predictions["split"])
    order = np.lexsort((example_ids, split_codes, student)) if not _ordered(student, example_ids) else None
    students, starts = np.unique(student if order is None else student[order], return_index=True)
    ends = np.append(starts[1:], len(student))
    wanted = list(names) if splits is None else list(splits)
    for arm, rows in plan.groupby("arm", sort=False):
        spans = [_span(int(one), students, starts, ends) for one in rows["student"]]
        index = [np.arange(*span) if order is None else order[slice(*span)] for span in spans]
        parts = {name: _split(name, list(names), index, split_codes, example_ids) for name in wanted}
        yield ArmRows({"arm": arm} | {key: rows[key].iloc[0] for key in arm_keys}, rows, parts)


def own_plan(plan: pd.DataFrame, arm_keys: Sequence[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Complete a plan that somebody wrote by hand.

    Without any seed column the students are taken for independent: each has levels of its own. A seed column that is
    missing beside others is taken for a seed that all students share. Without ``arm``, students that agree on the
    keys form one.

    Args:
        plan: student, num_responses, and as many of the arm keys and seed columns as there are.
        arm_keys: the keys to look for.

    Returns:
        The plan with ``arm`` and the three seed columns, and those of the arm keys that it has.

    Raises:
        UserError: student or num_responses is missing.
    """
    _require(plan, "plan", ("student", "num_responses"))
    keys = tuple(key for key in arm_keys if key in plan)
    alone = not any(column in plan for column in SEED_COLUMNS)
    given = {column: plan.get(column, 0) for column in SEED_COLUMNS}
    complete = plan.assign(**given | ({SEED_COLUMNS[0]: plan["student"]} if alone else {}))
    if "arm" not in plan:
        complete["arm"] = plan.groupby(list(keys), sort=False, dropna=False).ngroup()
    return complete, keys


def logits_matrix(logits: pd.Series[Any]) -> NDArray[np.float32]:
    """A column of equally long lists as ``(rows, classes)`` float32; without copying if Arrow holds the column.

    Raises:
        UserError: if the lists differ in length or the column is empty.
    """
    if len(logits) == 0:
        raise UserError(_EMPTY)
    if isinstance(logits.dtype, pd.ArrowDtype):
        column = (
            pa.chunked_array(pa.array(logits)) if not hasattr(logits.array, "_pa_array") else logits.array._pa_array
        )
        lengths = pa.compute.list_value_length(column).to_numpy()
        if (lengths != lengths[0]).any():
            raise UserError("the predictions' logits differ in length; give one value for each class in every row")
        flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return np.asarray(flat, dtype=np.float32).reshape(len(logits), -1)
    try:
        return np.stack([np.asarray(cell, dtype=np.float32) for cell in logits])
    except ValueError as error:
        raise UserError(
            "the predictions' logits differ in length; give one value for each class in every row"
        ) from error


def numbers(frame: pd.DataFrame, name: str, column: str, dtype: type[Number]) -> NDArray[Number]:
    """A column as an array of numbers.

    Raises:
        UserError: it holds something else.
    """
    try:
        return np.asarray(frame[column].to_numpy(dtype=dtype))
    except (TypeError, ValueError) as error:
        kind = "whole numbers" if np.issubdtype(dtype, np.integer) else "one number in every row"
        raise UserError(f"the column '{column}' of the {name} table must hold {kind}") from error


def _require(frame: pd.DataFrame, name: str, columns: Iterable[str]) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise UserError(f"the {name} table lacks the column '{missing[0]}' (columns: {', '.join(map(str, frame))})")


def _ordered(student: NDArray[np.int64], example_ids: NDArray[np.int64]) -> bool:
    """Whether rows are sorted by student, then example, as the students stage writes them."""
    step = np.diff(student)
    return bool(((step > 0) | ((step == 0) & (np.diff(example_ids) > 0))).all())


def _span(
    student: int, students: NDArray[np.int64], starts: NDArray[np.intp], ends: NDArray[np.intp]
) -> tuple[int, int]:
    position = int(np.searchsorted(students, student))
    if position == len(students) or students[position] != student:
        raise UserError(f"student {student} of the plan has no predictions; predict with every student of the plan")
    return int(starts[position]), int(ends[position])


def _split(
    name: str,
    names: list[str],
    index: list[NDArray[np.intp]],
    split_codes: NDArray[np.intp],
    example_ids: NDArray[np.int64],
) -> SplitRows:
    if name not in names:
        raise UserError(f"the predictions table has no {name} examples (splits: {', '.join(names)})")
    chosen = [rows[split_codes[rows] == names.index(name)] for rows in index]
    asked = example_ids[chosen[0]]
    if any(len(rows) != len(asked) or (example_ids[rows] != asked).any() for rows in chosen):
        raise UserError(f"students were asked different {name} examples; give every example to every student once")
    if (np.diff(asked) == 0).any():
        raise UserError(f"a student has two predictions of the same {name} example; give every example once")
    return SplitRows(asked, np.stack(chosen))
