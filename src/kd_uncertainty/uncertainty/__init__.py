"""Where the inter-student uncertainty comes from: decompositions, variance components, the response budget.

It knows arrays and tables, no network and no teacher, so that it works on anybody's predictions:
``variance_components(from_predictions(predictions, plan))`` for classes, ``value_components(predictions, plan)`` for
real values, and ``advise(predictions, plan, ...)`` for how many responses and students to buy.
"""

from kd_uncertainty.uncertainty.advice import Advice, advice_table, advise, spend
from kd_uncertainty.uncertainty.arms import VarianceComponents
from kd_uncertainty.uncertainty.budget import fit_curve, fit_response_budget, recommended_num_responses
from kd_uncertainty.uncertainty.components import COMPONENTS, anova_components
from kd_uncertainty.uncertainty.decomposition import Decomposition, entropy_decomposition, variance_decomposition
from kd_uncertainty.uncertainty.metrics import METRICS, arm_metrics
from kd_uncertainty.uncertainty.tables import (
    ArmPredictions,
    from_predictions,
    response_budget,
    variance_components,
)
from kd_uncertainty.uncertainty.values import ArmValues, from_values, value_components

__all__ = [
    "COMPONENTS",
    "METRICS",
    "Advice",
    "ArmPredictions",
    "ArmValues",
    "Decomposition",
    "VarianceComponents",
    "advice_table",
    "advise",
    "anova_components",
    "arm_metrics",
    "entropy_decomposition",
    "fit_curve",
    "fit_response_budget",
    "from_predictions",
    "from_values",
    "recommended_num_responses",
    "response_budget",
    "spend",
    "value_components",
    "variance_components",
    "variance_decomposition",
]
