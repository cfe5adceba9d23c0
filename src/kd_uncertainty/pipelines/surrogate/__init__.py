"""The surrogate: students that fit what was sampled, where everything has a closed form."""

from kd_uncertainty.pipelines.surrogate.pipeline import create_pipeline

FORMAT_VERSION = 1

__all__ = ["FORMAT_VERSION", "create_pipeline"]
