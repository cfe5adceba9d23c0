"""The names that the regression report uses for models, labels, methods and metrics."""

from __future__ import annotations

MODEL_NAMES = {"linear": "linear", "network": "network", "logistic": "logistic"}
LABEL_NAMES = {"teacher": "teacher labels", "ground_truth": "ground truth"}
METHOD_NAMES = {
    "average": "average",
    "inverse_variance_oracle": "inverse variance, oracle",
    "inverse_variance_estimated": "inverse variance, estimated",
    "blue": "BLUE",
    "pilot": "pilot alone",
}
METHODS = tuple(METHOD_NAMES)
STUDENT_TARGETS = {"argmax": "argmax labels", "label": "sampled labels", "soft": "soft labels"}
METRIC_NAMES = {
    "mse": "MSE",
    "mae": "MAE",
    "r2": "R²",
    "mse_to_teacher": "MSE to the teacher",
    "residual_variance": "residual variance",
}
