"""Run the project as ``python -m kd_uncertainty``, with the options of ``kedro run``."""

import sys
from pathlib import Path

from kedro.framework.startup import bootstrap_project

from kd_uncertainty.cli import run


def main() -> None:
    """Bootstrap the project that the current folder is in, then run."""
    bootstrap_project(Path.cwd())
    run.main(args=sys.argv[1:], standalone_mode=True)


if __name__ == "__main__":
    main()
