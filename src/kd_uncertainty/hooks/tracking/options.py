"""The options of tracking, ``conf/*/tracking.yml``."""

from __future__ import annotations

from typing import Any

from kedro.config import AbstractConfigLoader, MissingConfigException
from pydantic import Field, PositiveInt, ValidationError

from kd_uncertainty.errors import UserError
from kd_uncertainty.typed import Options


class TrackingOptions(Options):
    """What is tracked, and where."""

    enabled: bool = True
    uri: str | None = Field(
        None,
        description="tracking store; null: the environment variable MLFLOW_TRACKING_URI, else data/mlflow.db",
    )
    experiment: str = Field("kd-uncertainty", min_length=1)
    register_model: bool = Field(True, description="register the best student as a new model version")
    model_name: str | None = Field(None, description="name of the registered model; null: <study>-student")
    system_metrics: bool = Field(True, description="sample processor, memory and GPU while stages run")
    timeout_seconds: PositiveInt = Field(5, description="how long to wait for the store before going on untracked")


def load_options(config_loader: AbstractConfigLoader) -> TrackingOptions:
    """Read ``tracking.yml`` of the base and the run's environment; defaults where there is none.

    Raises:
        UserError: if a key is unknown or a value is of the wrong type.
    """
    try:
        section: dict[str, Any] = config_loader["tracking"]
    except (KeyError, MissingConfigException):
        return TrackingOptions()
    try:
        return TrackingOptions.model_validate(section)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        known = ", ".join(TrackingOptions.model_fields)
        raise UserError(f"tracking.yml: {problems} (the keys are {known})") from error
