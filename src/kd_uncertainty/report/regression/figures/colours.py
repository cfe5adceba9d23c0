"""Colours of models, labels and methods in the regression figures."""

from __future__ import annotations

from kd_uncertainty.report.figures.style import INK

MODEL_COLOURS = {"linear": "#0072B2", "network": "#D55E00", "logistic": "#009E73"}
LABEL_COLOURS = {"teacher": "#0072B2", "ground_truth": "#C07A00"}
METHOD_COLOURS = {
    "average": "#0072B2",
    "inverse_variance_oracle": "#C4548B",
    "inverse_variance_estimated": "#D55E00",
    "blue": "#009E73",
    "pilot": "#8A6D3B",
}
STUDENT_TARGET_COLOURS = {"ground_truth": INK, "argmax": "#C44E52", "label": "#C07A00", "soft": "#009E73"}
