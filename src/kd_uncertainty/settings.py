"""Project settings: the configuration loader and the hooks."""

import warnings

from kd_uncertainty.imports import lasting_imports

with lasting_imports():
    import kd_uncertainty.pipelines  # noqa: F401
    from kd_uncertainty.config import StudyConfigLoader
    from kd_uncertainty.hooks.console import ConsoleHooks
    from kd_uncertainty.hooks.guards import GuardHooks
    from kd_uncertainty.hooks.tracking import TrackingHooks

# Kedro 1.7 calls a function that OmegaConf 2.4 deprecates, at every start; there is nothing for a user to do about it.
warnings.filterwarnings("ignore", message="register_new_resolver")

# The last registered hook runs first: guards refuse a run before tracking starts it.
HOOKS = (ConsoleHooks(), TrackingHooks(), GuardHooks())

CONFIG_LOADER_CLASS = StudyConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "config_patterns": {"tracking": ["tracking*", "tracking*/**"]},
    # An environment overrides the parameters that it names and keeps the others.
    "merge_strategy": {"parameters": "soft"},
}
