"""A private copy of the project's configuration, with its own data folder, for tests that run pipelines."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]


class Project:
    """The project with a configuration and a data folder of its own; runs in this process."""

    def __init__(self, folder: Path) -> None:
        self.conf, self.data = folder / "conf", folder / "data"
        shutil.copytree(ROOT / "conf", self.conf)
        (self.conf / "local").mkdir(exist_ok=True)
        for own in (self.conf / "local").iterdir():  # a developer's own settings are not under test
            own.unlink()
        self.configure("base", "globals", {"data": str(self.data)})
        self.configure("base", "tracking", {"enabled": False})

    def configure(self, env: str, name: str, content: dict[str, Any]) -> None:
        """Write ``conf/<env>/<name>.yml``."""
        (self.conf / env / f"{name}.yml").write_text(yaml.safe_dump(content))

    def session(self, env: str = "test", params: dict[str, Any] | None = None) -> Any:
        from kedro.framework.session import KedroSession
        from kedro.framework.startup import bootstrap_project

        bootstrap_project(ROOT)
        return KedroSession.create(ROOT, env=env, conf_source=str(self.conf), runtime_params=params or {})

    def run(self, *pipelines: str, env: str = "test", params: dict[str, Any] | None = None, **options: Any) -> None:
        """What ``kedro run`` does."""
        with self.session(env, params) as session:
            session.run(pipeline_names=list(pipelines) or None, **options)

    def catalog(self, env: str = "test", params: dict[str, Any] | None = None) -> Any:
        return self.session(env, params).load_context().catalog

    def load(self, name: str, env: str = "test", params: dict[str, Any] | None = None) -> Any:
        return self.catalog(env, params).load(name)

    def path(self, name: str, env: str = "test", params: dict[str, Any] | None = None) -> Path:
        return Path(self.catalog(env, params)[name]._filepath)

    def files(self) -> list[Path]:
        return sorted(path for path in self.data.rglob("*") if path.is_file()) if self.data.exists() else []
