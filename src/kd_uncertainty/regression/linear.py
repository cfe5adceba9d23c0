"""The linear students of a regression plan, in closed form and in the units of the source."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kd_uncertainty.population.linear.design import make_design, predict
from kd_uncertainty.population.linear.shared import fit_targets
from kd_uncertainty.population.targets import deal_draws
from kd_uncertainty.regression.responses import Floats, ValueResponses
from kd_uncertainty.regression.targets import ValueTargets

_STUDENTS_AT_ONCE = 4096


def value_targets(
    plan: pd.DataFrame, responses: ValueResponses, targets: Floats, target_variance: float
) -> ValueTargets:
    """Return what makes the targets of a plan's students, in the units of the source.

    Args:
        plan: the whole plan.
        responses: of the training examples.
        targets: (examples,), the data's own.
        target_variance: Var(y_train), which noise multiplies.
    """
    return ValueTargets(responses.means, responses.draws, targets, target_variance, deal_draws(plan))


def fit_linear_students(plan: pd.DataFrame, inputs: Floats, maker: ValueTargets) -> pd.DataFrame:
    """Fit the plan's linear students by least squares.

    Args:
        plan: all students; those of another model are left out.
        inputs: (examples, features) of the training split.
        maker: of their targets.

    Returns:
        student and parameters (a list: coefficients in order of features, then the intercept), one row a student.
    """
    chosen = plan[plan["model"] == "linear"]
    rows = list(chosen.itertuples(index=False))
    design = make_design(inputs)
    parameters = [
        fit_targets(design, np.stack([maker.mixed(row) for row in rows[start : start + _STUDENTS_AT_ONCE]]))
        for start in range(0, len(rows), _STUDENTS_AT_ONCE)
    ]
    table = list(np.concatenate(parameters)) if parameters else []
    return pd.DataFrame({"student": chosen["student"].to_numpy(), "parameters": table})


def predict_linear_students(linear_students: pd.DataFrame, inputs: Floats) -> Floats:
    """Return predictions (students, points) of the table's students at inputs (points, features)."""
    if linear_students.empty:
        return np.empty((0, len(inputs)))
    return predict(np.stack(linear_students["parameters"].to_list()).astype(np.float64), inputs)
