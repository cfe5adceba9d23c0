"""Runs linear students: all of them, or only their moments, which a million students leave in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.linear.blas import BLOCK, one_blas_thread
from kd_uncertainty.population.linear.contract import Floats, Seeds, Train
from kd_uncertainty.population.linear.design import predict
from kd_uncertainty.population.linear.moments import Moments, merge, moments_of, reduce_pairs
from kd_uncertainty.population.native import library

_COMPILED_FROM = 20_000  # students; for fewer, the compiled generator does not pay for its compilation

PIECE = 16 * BLOCK
"""Students whose moments are taken at once, always the same ones, so that results know nothing of threads."""

Result = TypeVar("Result")


class LinearPopulation(NamedTuple):
    """Moments over a population of linear students.

    Attributes:
        parameters: of the parameters (coefficients, then the intercept), with their covariance.
        predictions: of the predictions at the points asked for, with variances alone; the variance is inter-student.
    """

    parameters: Moments
    predictions: Moments | None


def train_students(train: Train, seeds: Seeds, *, threads: int = 1) -> Floats:
    """Return the parameters of every student, (students, parameters).

    Args:
        train: from ``noisy_students`` or ``bootstrap_students``.
        seeds: (students,) uint64.
        threads: threads over students; no result depends on them.

    Raises:
        UserError: if there is no seed, a seed is no integer of 64 bits, or threads is below 1.
    """
    return np.concatenate(list(_over_pieces(lambda piece: _train_blocks(train, piece), seeds, threads)))


def linear_population(
    train: Train, seeds: Seeds, *, points: Floats | None = None, threads: int = 1
) -> LinearPopulation:
    """Train students and keep their moments alone: memory does not grow with their number, apart from the seeds.

    Args:
        train: from ``noisy_students`` or ``bootstrap_students``.
        seeds: (students,) uint64.
        points: (points, features), where the predictions' moments are wanted.
        threads: threads over students; no result depends on them.

    Raises:
        UserError: if there is no seed, a seed is no integer of 64 bits, or threads is below 1.
    """

    def moments(piece: Seeds) -> LinearPopulation:
        parameters = _train_blocks(train, piece)
        of_parameters = moments_of(parameters, products=True)
        if points is None:
            return LinearPopulation(of_parameters, None)
        return LinearPopulation(of_parameters, moments_of(predict(parameters, points)))

    return reduce_pairs(_over_pieces(moments, seeds, threads), merge_populations)


def merge_populations(first: LinearPopulation, second: LinearPopulation) -> LinearPopulation:
    """Return the moments of the students of both."""
    predictions = None
    if first.predictions is not None and second.predictions is not None:
        predictions = merge(first.predictions, second.predictions)
    return LinearPopulation(merge(first.parameters, second.parameters), predictions)


def _train_blocks(train: Train, seeds: Seeds) -> Floats:
    """Return the parameters of one piece, trained block by block so that the noise of a block stays in cache."""
    return np.concatenate([train(seeds[top : top + BLOCK]) for top in range(0, len(seeds), BLOCK)])


def _over_pieces(work: Callable[[Seeds], Result], seeds: Seeds, threads: int) -> Iterator[Result]:
    """Yield the result of every piece of the seeds in order; at most two a thread wait to be taken."""
    seeds = _checked_seeds(seeds)
    if not isinstance(threads, int | np.integer) or threads < 1:
        raise UserError(f"linear students: threads is {threads}; set it to a whole number, 1 or more")
    if len(seeds) >= _COMPILED_FROM:
        library.obstacle()  # loads it where there is a compiler; numpy draws the same bits, more slowly
    pieces = (seeds[top : top + PIECE] for top in range(0, len(seeds), PIECE))
    with one_blas_thread():
        if threads == 1:
            yield from map(work, pieces)
            return
        waiting: deque[Future[Result]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            for piece in pieces:
                waiting.append(pool.submit(work, piece))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


def _checked_seeds(seeds: Seeds) -> Seeds:
    # numpy makes float64 of a list with numbers on both sides of 2^63, so lists stay objects until they are checked
    given = np.asarray(seeds, dtype=None if hasattr(seeds, "dtype") else object)
    if given.ndim != 1 or len(given) == 0:
        raise UserError(f"linear students: the seeds must be a list of at least one number, not of shape {given.shape}")
    integers = given.dtype.kind in "iu" or (
        given.dtype.kind == "O"
        and all(isinstance(seed, int | np.integer) and not isinstance(seed, bool) for seed in given)
    )
    # compared as Python's integers, since numpy's types have no common range
    if not integers or int(given.min()) < 0 or int(given.max()) >= 1 << 64:
        raise UserError(
            "linear students: the seeds must be integers from 0 to 2^64 - 1, because others would be rounded or "
            "wrapped to equal ones; round them yourself, for example with numpy.uint64"
        )
    return np.ascontiguousarray(given, dtype=np.uint64)
