"""The best student as an MLflow model: logged with its stage's run, listed under Models, registered by name."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kd_uncertainty.hooks.tracking.store import importing_mlflow, quiet
from kd_uncertainty.networks import build_network


def parameters_digest(parameters: Mapping[str, torch.Tensor]) -> str:
    """Hash names, shapes and values of the weights; 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for name in sorted(parameters):
        value = parameters[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()[:16]


def build_student(best: Mapping[str, Any]) -> torch.nn.Module:
    """Build the network of ``best_student`` with its weights, in evaluation mode, leaving random state alone."""
    with torch.random.fork_rng(devices=[]):
        network = build_network(best["class_path"], best["arguments"], best["num_inputs"], best["num_classes"])
    network.load_state_dict(dict(best["parameters"]))
    return network.eval()


def find_registered(client: Any, name: str, tags: Mapping[str, str]) -> str | None:
    """Return the newest version of the registered model that carries all the tags, or None."""
    versions = client.search_model_versions(f"name = '{name}'")
    matching = [int(v.version) for v in versions if all(v.tags.get(key) == value for key, value in tags.items())]
    return str(max(matching)) if matching else None


def log_student(client: Any, run_id: str, experiment_id: str, name: str, best: Mapping[str, Any]) -> Any:
    """Log the student as an output of the run and return MLflow's logged-model entity.

    The model is saved as a traced graph (``pt2``): it loads without this project's code. A network that cannot be
    traced is pickled.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric
    from mlflow.models import Model

    tags = {"student": str(best["student"]), "network": str(best["class_path"])}
    logged = client.create_logged_model(experiment_id, name=name, source_run_id=run_id, tags=tags, model_type="student")
    with tempfile.TemporaryDirectory() as folder:
        for form in ("pt2", "pickle"):
            path = Path(folder) / form
            model = Model(
                artifact_path=logged.artifact_location,
                model_uuid=logged.model_id,
                run_id=run_id,
                model_id=logged.model_id,
            )
            try:
                _save(build_student(best), path, model, best["input_example"], form)
                break
            except Exception:
                if form == "pickle":
                    raise
        client.log_model_artifacts(logged.model_id, str(path))
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    nll = float(best["validation_nll"])
    now = logged.creation_timestamp
    metric = Metric("best_student/validation_nll", nll, now, 0, model_id=logged.model_id, run_id=run_id)
    client.log_batch(run_id, metrics=[metric])
    return logged


def _save(network: torch.nn.Module, path: Path, model: Any, example: np.ndarray, form: str) -> None:
    with importing_mlflow(), quiet():  # saving imports torch's tracer
        import mlflow.pyfunc
        import mlflow.pytorch
        from mlflow.models import infer_signature

        example = np.asarray(example, dtype=np.float32)
        with torch.no_grad():
            logits = network(torch.from_numpy(example)).numpy()
        needs = [f"torch=={torch.__version__.split('+')[0]}", f"numpy=={np.__version__}"]
        if form == "pickle":
            needs.append("kd-uncertainty")
        mlflow.pytorch.save_model(
            network,
            str(path),
            mlflow_model=model,
            signature=infer_signature(example, logits),
            input_example=example,
            pip_requirements=[f"mlflow=={mlflow.__version__}", *needs],
            serialization_format=form,
        )


def register_student(client: Any, name: str, logged: Any, tags: Mapping[str, str]) -> str:
    """Register the logged model as a new version of the named model, which is created if needed; return the version."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description="Student of lowest validation NLL, one version for each run.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    # The place itself, not ``models:/<id>``: a database store looks that up through MLflow's global tracking URI.
    version = client.create_model_version(
        name, logged.artifact_location, logged.source_run_id, dict(tags), model_id=logged.model_id
    )
    link = json.dumps([{"name": name, "version": version.version}])
    client.set_logged_model_tags(logged.model_id, {"mlflow.modelVersions": link})
    return str(version.version)
