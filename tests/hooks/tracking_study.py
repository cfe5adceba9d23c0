"""A miniature study for the tests of tracking: nodes that write tables with known content, in no time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node
from kedro.runner import AbstractRunner, SequentialRunner
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import CSVDataset, ParquetDataset
from kedro_datasets.pickle import PickleDataset
from kedro_datasets.text import TextDataset

from kd_uncertainty.hooks.tracking import TrackingHooks
from kd_uncertainty.networks import build_network
from kd_uncertainty.options import PropagationOptions, StudentsOptions

STUDY = "classification"
FINGERPRINTS = {f"{STUDY}.{stage}": f"fp-{stage}" for stage in ("ingestion", "teachers", "students", "propagation")}
ARMS = [  # teacher, target, num_responses
    ("none", "one_hot", 1),
    ("ensemble", "label", 1),
    ("ensemble", "label", 4),
    ("ensemble", "exact", 1),
]
COMPONENTS = ("total", "intra", "inter", "inter_unbiased", "response", "initialisation", "order", "residual")


def arm_row(arm: int) -> dict[str, Any]:
    teacher, target, num_responses = ARMS[arm]
    keys = {"teacher": teacher, "target": target, "num_responses": num_responses, "weighting": "average"}
    return {"arm": arm, **keys, "mixing": 1.0, "temperature": 1.0, "schedule": "constant"}


def ingestion(source: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    task = {"num_inputs": 4, "num_classes": 3, "num_examples": {"train": 6, "test": 2}, "target": "y"}
    return source.rename(columns={"y": "target"}), task


def teachers(examples: pd.DataFrame) -> pd.DataFrame:
    rows = [
        {"teacher": "ensemble", "member": member, "epoch": epoch, "train_loss": member + 1.0 / epoch}
        | {"validation_nll": member + 2.0 / epoch, "validation_accuracy": 0.5}
        for member in (0, 1)
        for epoch in (1, 2, 3)
    ]
    return pd.DataFrame(rows)


def plan(options: StudentsOptions, examples: pd.DataFrame) -> pd.DataFrame:
    seeds = [{"response_seed": s, "initialisation_seed": s, "order_seed": s} for s in (0, 1)]
    rows = [arm_row(arm) | seed for arm in range(len(ARMS)) for seed in seeds]
    return pd.DataFrame(rows).rename_axis("student").reset_index()


def students(plan: pd.DataFrame) -> pd.DataFrame:
    rows = [{"student": s, "epoch": e, "train_loss": s + 10.0 / e} for s in plan["student"] for e in (1, 2)]
    return pd.DataFrame(rows)


def propagation(
    options: PropagationOptions, plan: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    interval = {"lower": 0.0, "upper": 1.0}
    teacher_metrics = pd.DataFrame(
        [{"teacher": "ensemble", "split": s, "metric": "nll", "estimate": 0.25, **interval} for s in ("test",)]
    )
    arm_metrics = pd.DataFrame(
        [
            arm_row(arm) | {"split": s, "metric": m, "estimate": arm + 0.5 * (s == "test"), **interval}
            for arm in range(len(ARMS))
            for s in ("validation", "test")
            for m in ("accuracy", "agreement")
        ]
    )
    arm_metrics.loc[(arm_metrics["arm"] == 0) & (arm_metrics["metric"] == "agreement"), "estimate"] = np.nan
    components = pd.DataFrame(
        [
            arm_row(arm) | {"split": "test", "component": c, "estimate": 0.01 * (arm + 1), **interval}
            for arm in range(len(ARMS))
            for c in COMPONENTS
        ]
    )
    budget = pd.DataFrame(
        [{"teacher": "ensemble", "target": "label", "weighting": "average", "mixing": 1.0, "temperature": 1.0}]
    ).assign(schedule="constant", response_variance=0.02, floor=0.002, slope=-1.0, recommended_num_responses=8)
    return teacher_metrics, arm_metrics, components, budget, best_student()


def best_student() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    network = build_network("kd_uncertainty.networks.MLP", {"hidden": [5], "dropout": 0.5}, 4, 3)
    weights = {name: torch.randn(v.shape, generator=generator) for name, v in network.state_dict().items()}
    example = torch.randn(5, 4, generator=generator).numpy()
    return {
        "student": 3,
        "class_path": "kd_uncertainty.networks.MLP",
        "arguments": {"hidden": [5], "dropout": 0.5},
        "num_inputs": 4,
        "num_classes": 3,
        "parameters": weights,
        "validation_nll": 0.125,
        "input_example": example,
    }


def reporting(components: pd.DataFrame) -> tuple[dict[str, Any], str]:
    accuracy = {"estimate": 0.75, "lower": 0.5, "upper": 1.0}
    summary = {
        "split": "test",
        "teachers": [
            {
                "teacher": "ensemble",
                "metrics": {"test": {"accuracy": accuracy, "nll": None}, "train": {"accuracy": {"estimate": 1.0}}},
                "best_arm": {"components": {"inter": {"estimate": 0.125}, "response": {"estimate": float("nan")}}},
            }
        ],
        "best_student": {"student": 3, "metrics": {"test": {"nll": 0.5}}},
        "response_budget": [
            {"teacher": "ensemble", "target": "label", "recommended_num_responses": {"estimate": 8, "upper": None}}
        ],
        "title": "a text",
    }
    return summary, "<h1>Report</h1>"


def study_pipeline(**replaced: Any) -> Pipeline:
    """The study; ``students=function`` and so on replace the function of a stage's last node."""
    f = {"students": students, "propagation": propagation, "reporting": reporting} | replaced
    written = ["teacher_metrics", "arm_metrics", "variance_components", "response_budget", "best_student"]

    def stage_node(function: Any, inputs: list[str], outputs: list[str], stage: str, name: str) -> Any:
        full_inputs = [i.replace("params:", f"params:{STUDY}.") if ":" in i else f"{STUDY}.{i}" for i in inputs]
        return node(function, full_inputs, [f"{STUDY}.{o}" for o in outputs], name=name, namespace=f"{STUDY}.{stage}")

    return Pipeline(
        [
            stage_node(ingestion, ["source"], ["examples", "task"], "ingestion", "split"),
            stage_node(lambda e: [teachers(e)], ["examples"], ["teacher_curves"], "teachers", "fit"),
            stage_node(lambda o, e: [plan(o, e)], ["params:students", "examples"], ["plan"], "students", "draw_plan"),
            stage_node(lambda p: [f["students"](p)], ["plan"], ["student_curves"], "students", "train"),
            stage_node(f["propagation"], ["params:propagation", "plan"], written, "propagation", "analyse"),
            stage_node(f["reporting"], ["variance_components"], ["summary", "report"], "reporting", "write"),
        ]
    )


def study_catalog(folder: Path) -> DataCatalog:
    """Persisted datasets below ``folder``; the source has its own file, written here if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "source.csv").exists():
        rng = np.random.default_rng(0)
        table = pd.DataFrame(rng.normal(size=(8, 4)), columns=list("abcd")).assign(y=[0, 1, 2, 0, 1, 2, 0, 1])
        table.to_csv(folder / "source.csv", index=False)
    tables = ("examples", "teacher_curves", "plan", "student_curves", "teacher_metrics", "arm_metrics")
    tables += ("variance_components", "response_budget")
    datasets: dict[str, Any] = {t: ParquetDataset(filepath=(folder / f"{t}.parquet").as_posix()) for t in tables}
    datasets |= {
        "source": CSVDataset(filepath=(folder / "source.csv").as_posix()),
        "task": JSONDataset(filepath=(folder / "task.json").as_posix()),
        "summary": JSONDataset(filepath=(folder / "summary.json").as_posix()),
        "report": TextDataset(filepath=(folder / "report.html").as_posix()),
        "best_student": PickleDataset(filepath=(folder / "best_student.pkl").as_posix()),
    }
    arms = [{"target": "label", "num_responses": [1, 4]}, {"target": "exact"}]
    parameters = {"students": StudentsOptions.model_validate({"arms": arms}), "propagation": PropagationOptions()}
    named = {f"{STUDY}.{name}": dataset for name, dataset in datasets.items()}
    named |= {f"params:{STUDY}.{name}": MemoryDataset(value) for name, value in parameters.items()}
    return DataCatalog(named)


def run_study(
    project: Path,
    tracking: dict[str, Any],
    pipeline: Pipeline | None = None,
    runner: AbstractRunner | None = None,
    **run_params: Any,
) -> TrackingHooks:
    """Run the study as a ``KedroSession`` does, hooks included."""
    pipeline = pipeline or study_pipeline()
    catalog = study_catalog(project / "data")
    hooks = TrackingHooks(lambda: FINGERPRINTS)
    manager = _create_hook_manager()
    manager.register(hooks)
    context = SimpleNamespace(config_loader={"tracking": tracking}, project_path=project)
    manager.hook.after_context_created(context=context)
    record = {"pipeline_names": None, "env": None, "only_missing_outputs": False, **run_params}
    manager.hook.before_pipeline_run(run_params=record, pipeline=pipeline, catalog=catalog)
    try:
        result = (runner or SequentialRunner()).run(
            pipeline, catalog, manager, only_missing_outputs=record["only_missing_outputs"]
        )
    except Exception as error:
        manager.hook.on_pipeline_error(error=error, run_params=record, pipeline=pipeline, catalog=catalog)
        raise
    manager.hook.after_pipeline_run(run_params=record, run_result=result, pipeline=pipeline, catalog=catalog)
    return hooks
