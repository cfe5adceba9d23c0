"""W4: Monte Carlo over linear students, drawing their noise included, beside a scikit-learn loop.

``linear_workloads`` returns what to time; the harness decides how often and prints. Every workload trains students on
the same inputs, n = 200 and d = 20 by default, with an intercept. The loops are scikit-learn as a user would write it:
one ``LinearRegression`` a student, its noise or resample drawn by numpy; they train fewer students, so divide each
time by ``students``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LinearRegression

from kd_uncertainty.population.linear.bootstrap import bootstrap_students
from kd_uncertainty.population.linear.contract import Train
from kd_uncertainty.population.linear.design import make_design
from kd_uncertainty.population.linear.population import linear_population
from kd_uncertainty.population.linear.shared import noisy_students


class Workload(NamedTuple):
    """One thing to time.

    Attributes:
        run: trains the students and returns their moments or parameters.
        students: how many it trains; time per student is the time of ``run`` divided by this.
        baseline: the name of the workload that this one is compared with; None for a baseline.
    """

    run: Callable[[], object]
    students: int
    baseline: str | None = None


def linear_workloads(
    *,
    students: int = 100_000,
    bootstrap: int = 4_000,
    loop: int = 300,
    examples: int = 200,
    features: int = 20,
    threads: int = 2,
) -> dict[str, Workload]:
    """Return the workloads by name.

    ``W4`` draws the noise of every example; ``W4 projected`` draws the noise of the coefficients, the sufficient
    statistic, and is no basis of a headline figure; ``W4 bootstrap`` resamples all examples.

    Args:
        students: trained by our paths with noise.
        bootstrap: trained by our path with resamples.
        loop: trained by each scikit-learn loop.
        examples: n.
        features: d.
        threads: of our paths.
    """
    generator = np.random.default_rng(4)
    inputs = generator.standard_normal((examples, features))
    means = inputs @ generator.standard_normal(features)
    design = make_design(inputs)
    seeds = generator.integers(1 << 63, size=max(students, bootstrap), dtype=np.uint64)

    def population(train: Train, count: int) -> Callable[[], object]:
        return lambda: linear_population(train, seeds[:count], threads=threads)

    def noise_loop() -> object:
        def fit(seed: int) -> tuple[object, object]:
            noise = np.random.default_rng(seed).standard_normal(examples)
            model = LinearRegression().fit(inputs, means + noise)
            return model.coef_, model.intercept_

        return [fit(seed) for seed in range(loop)]

    def bootstrap_loop() -> object:
        def fit(seed: int) -> tuple[object, object]:
            drawn = np.random.default_rng(seed).integers(examples, size=examples)
            weights = np.bincount(drawn, minlength=examples)
            model = LinearRegression().fit(inputs, means, sample_weight=weights)
            return model.coef_, model.intercept_

        return [fit(seed) for seed in range(loop)]

    noisy, resampled = "W4 scikit-learn loop", "W4 bootstrap scikit-learn loop"
    return {
        "W4": Workload(population(noisy_students(design, means, 1.0), students), students, noisy),
        "W4 projected": Workload(
            population(noisy_students(design, means, 1.0, draw="projected"), students), students, noisy
        ),
        noisy: Workload(noise_loop, loop),
        "W4 bootstrap": Workload(
            population(bootstrap_students(design, means, examples), bootstrap), bootstrap, resampled
        ),
        resampled: Workload(bootstrap_loop, loop),
    }
