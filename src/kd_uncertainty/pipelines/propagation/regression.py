"""Nodes of the propagation stage of a regression study."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa

from kd_uncertainty.options import ValuePropagationOptions
from kd_uncertainty.population.linear.design import make_design
from kd_uncertainty.regression import linear, metrics
from kd_uncertainty.regression.responses import read_values
from kd_uncertainty.regression.teachers import value_tensors
from kd_uncertainty.schemas import VALUE_METRICS
from kd_uncertainty.uncertainty import advice as advices
from kd_uncertainty.uncertainty import tables, values
from kd_uncertainty.uncertainty.metrics import arm_metrics


def evaluate_teachers(
    responses: pa.Table, examples: pd.DataFrame, propagation: ValuePropagationOptions
) -> pd.DataFrame:
    """Quality of every teacher's mean, measured on the responses that the students get."""
    return metrics.teacher_table(
        read_values(responses, value_tensors(examples).example_ids),
        examples,
        confidence=propagation.confidence,
        num_bootstrap=propagation.num_bootstrap,
        seed=propagation.seed,
    )


def evaluate_students(
    predictions: pd.DataFrame, plan: pd.DataFrame, responses: pa.Table, examples: pd.DataFrame, task: dict[str, Any]
) -> pd.DataFrame:
    """Quality and fidelity of every student, and the variance of its own residuals."""
    found = read_values(responses, value_tensors(examples).example_ids)
    train = value_tensors(examples, "train")
    maker = linear.value_targets(plan, found.rows(train.example_ids), train.targets, task["target_std"] ** 2)
    rank = make_design(train.inputs.double().numpy()).rank
    return metrics.student_table(predictions, plan, found, examples, maker, rank)


def summarise_arms(
    student_metrics: pd.DataFrame, plan: pd.DataFrame, propagation: ValuePropagationOptions
) -> pd.DataFrame:
    """Mean of each metric over an arm's students, with its interval."""
    return arm_metrics(student_metrics, plan, confidence=propagation.confidence, metrics=VALUE_METRICS)


def decompose_uncertainty(
    predictions: pd.DataFrame, plan: pd.DataFrame, student_metrics: pd.DataFrame, propagation: ValuePropagationOptions
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Where the uncertainty went, how many responses are enough, and what a budget is best spent on."""
    components = values.value_components(
        predictions,
        plan,
        student_metrics,
        num_bootstrap=propagation.num_bootstrap,
        confidence=propagation.confidence,
        seed=propagation.seed,
    )
    budget = tables.response_budget(
        components, threshold=propagation.response_share_threshold, confidence=propagation.confidence
    )
    costs = propagation.costs
    advice = advices.advice_table(
        components,
        cost_per_response=costs.response,
        cost_per_student=costs.student,
        budgets=costs.budgets,
        confidence=propagation.confidence,
    )
    return components.table, budget, advice
