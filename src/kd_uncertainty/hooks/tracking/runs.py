"""The MLflow runs of one ``kedro run``: a parent, and a nested run for each stage. Every call names its run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pandas as pd

from kd_uncertainty.hooks.tracking.flatten import flatten_parameters, one_line
from kd_uncertainty.hooks.tracking.headline import headline
from kd_uncertainty.hooks.tracking.lineage import artefact_dataset, place_of, source_dataset
from kd_uncertainty.hooks.tracking.options import TrackingOptions
from kd_uncertainty.hooks.tracking.progress import Catalog, Stage
from kd_uncertainty.hooks.tracking.records import Point, Record, record_outputs
from kd_uncertainty.hooks.tracking.system import SystemSampler
from kd_uncertainty.hooks.tracking.writer import RunWriter, this_process


class RunTree:
    """Writes one parent run and its stages' runs through an ``MlflowClient``; knows nothing of Kedro's hooks."""

    def __init__(self, client: Any, experiment_id: str, options: TrackingOptions, catalog: Catalog) -> None:
        self._writer = RunWriter(client, experiment_id)
        self._options = options
        self._catalog = catalog
        self._sampler = SystemSampler() if options.system_metrics else None
        self._stages: dict[str, Stage] = {}
        self._fingerprints: Mapping[str, str] = {}
        self._run_ids: dict[str, str] = {}
        self._parent = ""

    def open(
        self, name: str, tags: Mapping[str, str], stages: Mapping[str, Stage], fingerprints: Mapping[str, str]
    ) -> None:
        """Create the parent run and begin to sample the machine."""
        self._stages, self._fingerprints = dict(stages), fingerprints
        self._writer.close_abandoned()
        self._parent = self._writer.create(name, {**tags, "process": this_process()}, time.time())
        if self._sampler is not None:
            self._sampler.start()

    def begin(self, stage: Stage, note: str = "") -> None:
        """Create the stage's run with its parameters, unless there is one already."""
        if stage.key in self._run_ids:
            return
        tags = {"study": stage.study, "stage": stage.name, "mlflow.parentRunId": self._parent}
        if fingerprint := self._fingerprint(stage):
            tags["fingerprint"] = fingerprint
        started = min([*stage.running.values(), *(start for start, _ in stage.intervals)], default=time.time())
        name = stage.key if self._several_studies else stage.name
        run_id = self._run_ids[stage.key] = self._writer.create(name + note, tags, started)
        self._writer.parameters(run_id, self._parameters(stage))

    def finish(self, stage: Stage, *, reused: bool = False) -> None:
        """Log what the stage wrote, and end its run. ``reused``: none of its nodes had to run."""
        self.begin(stage, " (reused)" if reused else "")
        run_id = self._run_ids[stage.key]
        load = self._loader(stage.study)
        outputs = [name.split(".", 1)[1] for name in stage.outputs if name.startswith(f"{stage.study}.")]
        self._writer.record(run_id, record_outputs(outputs, load))
        self._log_lineage(stage, run_id)
        tags = self._log_model(stage, run_id, reused) if "best_student" in outputs else {}
        tags |= {"reused": "true"} if reused else {"device": device_name(self._parameters(stage))}
        if stage.started and not stage.complete:
            tags["partial"] = f"{len(stage.finished)} of {len(stage.nodes)} nodes ran, the others were reused"
        self._writer.record(self._parent, self._headline(stage, outputs))
        self.end(stage, "FINISHED", tags)

    def end(self, stage: Stage, status: str, tags: Mapping[str, str]) -> None:
        """End the stage's run with its time and system metrics; a stage ends once."""
        if stage.recorded:
            return
        self.begin(stage)
        run_id = self._run_ids[stage.key]
        if stage.intervals:
            samples = self._sampler.within(stage.intervals) if self._sampler is not None else []
            system = [Point(k, v, i, s.time) for i, s in enumerate(samples) for k, v in s.use.items()]
            self._writer.points(run_id, [Point("seconds", stage.seconds), *system])
        self._writer.tag(run_id, tags)
        stopped = max((stop for _, stop in stage.intervals), default=None) if status == "FINISHED" else None
        self._writer.end(run_id, status, stopped)
        stage.recorded = True

    def fail(self, error: BaseException) -> None:
        """End everything after an error in a node, in loading or in saving: each stage as it was, then the parent."""
        message = {"error": one_line(error)}
        culprits = [s for s in self._stages.values() if s.error is not None]
        culprits = culprits or [s for s in self._stages.values() if s.running]
        for stage in culprits:
            own = {"error": one_line(stage.error)} if stage.error is not None else message
            self.end(stage, "FAILED", own)
        for stage in self._stages.values():
            if stage.started and not stage.recorded:
                self.end(stage, "KILLED", {"stopped": "another stage failed"})
        if culprits:
            message["failed_stage"] = ", ".join(stage.key for stage in culprits)
        if unreached := [s.key for s in self._stages.values() if not s.recorded]:
            message["not_reached"] = ", ".join(unreached)
        self.close("FAILED", message)

    def interrupt(self) -> None:
        """End everything after Ctrl-C."""
        for stage in self._stages.values():
            if stage.key in self._run_ids:
                self.end(stage, "KILLED", {"stopped": "interrupted"})
        self.close("KILLED", {"stopped": "interrupted"})

    def close(self, status: str, tags: Mapping[str, str]) -> None:
        """End the parent run."""
        self.stop_sampling()
        self._writer.tag(self._parent, tags)
        self._writer.end(self._parent, status)

    def stop_sampling(self) -> None:
        """End the sampling thread."""
        if self._sampler is not None:
            self._sampler.stop()

    def outputs_exist(self, stage: Stage) -> bool:
        """Whether every dataset that the stage writes is there."""
        datasets = [self._catalog.get(name) for name in stage.outputs]
        return all(dataset is not None and dataset.exists() for dataset in datasets)

    def _loader(self, study: str) -> Any:
        def load(name: str) -> Any:
            return self._load(f"{study}.{name}")

        return load

    def _load(self, name: str) -> Any:
        dataset = self._catalog.get(name) if name in self._catalog else None
        return dataset.load() if dataset is not None and dataset.exists() else None

    def _fingerprint(self, stage: Stage) -> str | None:
        """As given, or else as the catalog entries of the stage's outputs say in their metadata."""
        return self._fingerprints.get(stage.key) or next(filter(None, map(self._written_with, stage.outputs)), None)

    def _written_with(self, name: str) -> str | None:
        dataset = self._catalog.get(name) if name in self._catalog else None
        return (getattr(dataset, "metadata", None) or {}).get("fingerprint")

    def _parameters(self, stage: Stage) -> dict[str, str]:
        """The stage's own section, flattened, and those that belong to no stage under their names."""
        flat: dict[str, str] = {}
        for name in stage.parameters:
            section = name.removeprefix("params:")
            path = section.removeprefix(f"{stage.key}.").split(".") if section != stage.key else []
            if not section.startswith(f"{stage.study}.") or section == stage.key or section.startswith(f"{stage.key}."):
                flat |= flatten_parameters(self._load(name), ".".join(path))
        return flat

    @property
    def _several_studies(self) -> bool:
        return len({stage.study for stage in self._stages.values()}) > 1

    def _headline(self, stage: Stage, outputs: list[str]) -> Record:
        record = headline(outputs, self._loader(stage.study))
        if not self._several_studies:
            return record
        points = [point._replace(key=f"{stage.study}/{point.key}") for point in record.metrics]
        return Record(points, {f"{stage.study}/{path}": text for path, text in record.files.items()})

    def _log_lineage(self, stage: Stage, run_id: str) -> None:
        """Log what the stage read; the study's source also on the parent, where the run list shows it."""
        producers = {name: s for s in self._stages.values() for name in s.outputs}
        read = []
        for name in stage.inputs:
            place = place_of(self._catalog.get(name))
            if name == f"{stage.study}.source" and isinstance(table := self._load(name), pd.DataFrame):
                entity = source_dataset(name, table, place)
                self._writer.read(self._parent, [(entity, "source")])
            else:
                fingerprint = self._fingerprint(producers[name]) if name in producers else self._written_with(name)
                entity = artefact_dataset(name, place, fingerprint)
            read.append((entity, "source" if name.endswith(".source") else "artefact"))
        self._writer.read(run_id, read)

    def _log_model(self, stage: Stage, run_id: str, reused: bool) -> dict[str, str]:
        """Log and register the best student; a reused one that is registered already is only pointed at."""
        from kd_uncertainty.hooks.tracking import model

        best = self._load(f"{stage.study}.best_student")
        if best is None:
            return {}
        name = self._options.model_name or f"{stage.study}-student"
        tags = {"student": str(best["student"]), "parameters": model.parameters_digest(best["parameters"])}
        if fingerprint := self._fingerprint(stage):
            tags["fingerprint"] = fingerprint
        register = self._options.register_model
        version = model.find_registered(self._writer.client, name, tags) if register and reused else None
        if version is None:
            logged = model.log_student(self._writer.client, run_id, self._writer.experiment_id, name, best)
            if not register:
                return {"best_student": tags["student"]}
            version = model.register_student(self._writer.client, name, logged, tags)
        return {"best_student": tags["student"], "registered_model": f"{name} version {version}"}


def device_name(parameters: Mapping[str, str]) -> str:
    """What a stage computed on: ``cpu``, or ``cuda`` with the GPU's name, from its parameter ``…device``."""
    asked = next((value for key, value in parameters.items() if key.split(".")[-1] == "device"), "cpu")
    if asked == "cpu":
        return "cpu"
    import torch

    return f"cuda: {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "cpu"
