"""Where the inter-student uncertainty comes from: decompositions, variance components, the response budget.

It knows arrays and tables, no network and no teacher, so that it works on anybody's predictions:
``variance_components(from_predictions(predictions, plan))``.
"""

from kd_uncertainty.uncertainty.budget import fit_curve, fit_response_budget, recommended_num_responses
from kd_uncertainty.uncertainty.components import COMPONENTS, anova_components
from kd_uncertainty.uncertainty.decomposition import Decomposition, entropy_decomposition, variance_decomposition
from kd_uncertainty.uncertainty.metrics import METRICS, arm_metrics
from kd_uncertainty.uncertainty.tables import (
    ArmPredictions,
    VarianceComponents,
    from_predictions,
    response_budget,
    variance_components,
)

__all__ = [
    "COMPONENTS",
    "METRICS",
    "ArmPredictions",
    "Decomposition",
    "VarianceComponents",
    "anova_components",
    "arm_metrics",
    "entropy_decomposition",
    "fit_curve",
    "fit_response_budget",
    "from_predictions",
    "recommended_num_responses",
    "response_budget",
    "variance_components",
    "variance_decomposition",
]
