"""Gaussian noise as a pure function of a seed, the same bits on every machine and in every implementation.

Box & Muller (1958, "A note on the generation of random normal deviates") turns two uniform numbers into two
independent normal ones: ``sqrt(-2 log u) cos(angle)`` and ``sqrt(-2 log u) sin(angle)``. Logarithm, sine and cosine
of a mathematical library differ in their last bits from one machine to the next, therefore they are polynomials here
(near-minimax, Chebyshev fits), evaluated with additions, multiplications, divisions and square roots alone, each
rounded once as IEEE 754 says. A kernel that does the same operations in the same order, without contraction to fused
multiply-add, gives the same bits.

The contract, for normals ``2 i`` and ``2 i + 1`` from words ``w0 = 2 i`` and ``w1 = 2 i + 1`` of the stream:

- ``u = (w0 + 1/2) / 2^32``; exponent and ``h`` in [sqrt(1/8), sqrt(1/2)) with ``w0 + 1/2 = h 2^exponent``;
  ``s = (h - 1/2) / (h + 1/2)``; ``z = s^2``;
  ``radius = sqrt((exponent - 33) * LOG_2 + LOGARITHM(z) * s)``, polynomials by Horner's rule from the last
  coefficient, ``c * z + next``;
- ``v = (w1 - 2^31) / 2^31``, exact; ``y = v^2``; ``t = SINE(y) * v`` and ``c = COSINE(y)``: sine and cosine of a
  quarter of the angle ``pi v``, times sqrt(2) and 2; ``a = c t``;
- normal ``2 i`` is ``radius * (1 - a a)``, normal ``2 i + 1`` is ``(radius * SQRT_2) * (a * (1 - t t))``.

How exact: normals are within 4e-15 of the true functions of the words. Uniform numbers of 32 bits cut the tails at
6.76 standard deviations, beyond which lies 1.4e-11 of the probability; the variance is 1 within 1e-10.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.population.counter import NOISE, philox_words

Normals = Callable[[NDArray[np.uint64], int, NDArray[np.float64]], None]
"""From seeds (rows,) and stream, writes standard normals into an array (rows, count), contiguous."""

SINE = (
    1.1107207345395915,
    -0.11419139843742838,
    0.003521949776821378,
    -5.172656398166321e-05,
    4.4316025652803233e-07,
    -2.484985466763365e-09,
    9.726056595901821e-12,
)
"""sqrt(2) sin(pi v / 4) = v P(v^2), for v in [-1, 1]."""

COSINE = (
    2.0,
    -0.6168502750680757,
    0.031708688487483094,
    -0.0006519837729670803,
    7.181718359700476e-06,
    -4.9219014188056233e-08,
    2.2730938415462706e-10,
)
"""2 cos(pi v / 4) = P(v^2)."""

LOGARITHM = (
    -4.000000000000001,
    -1.3333333333310584,
    -0.8000000012348323,
    -0.5714283204221534,
    -0.4444686909503581,
    -0.3624386886243043,
    -0.33675319941360976,
)
"""-2 log(m) = s P(s^2) with s = (m - 1) / (m + 1), for m in [sqrt(1/2), sqrt(2))."""

LOG_2 = -1.3862943611198906
"""-2 log 2."""

SQRT_2 = 1.4142135623730951

_HALF_TURN = 2.0**31
_SCALED_SINE = tuple(c * _HALF_TURN ** -(2 * i + 1) for i, c in enumerate(SINE))  # exact, as powers of two are
_SCALED_COSINE = tuple(c * _HALF_TURN ** -(2 * i) for i, c in enumerate(COSINE))
_TILE = 1 << 13  # pairs computed at once, so that temporary arrays (64 KiB each) stay in cache
_TWO_52_BITS = np.uint64(0x4330000000000000)  # or-ed with an integer below 2^52 this is the float64 2^52 + integer
_ROOT_EIGHTH_BITS = np.uint64(0x3FD6A09E667F3BCD)  # sqrt(1/8) = 2^-2 sqrt(2), where the range of h begins
_EXPONENT_MASK = np.uint64(0xFFF0000000000000)


def standard_normals(
    seeds: NDArray[np.uint64], stream: int, count: int, out: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the first ``count`` standard normal numbers of each seed's noise stream, (rows, count).

    Normal ``i`` depends on the seed, the stream and ``i`` alone: a shorter request is a prefix of a longer one.

    Args:
        seeds: (rows,), one a student.
        stream: which draw of this student's noise, below 2^64.
        count: normals a row, at most 2^34.
        out: (rows, count) contiguous memory to use again, since the first touch of new pages costs more than the
            numbers.
    """
    out = np.empty((len(seeds), count)) if out is None else out
    _normals(np.ascontiguousarray(seeds), stream, out)
    return out


def use_normals(normals: Normals | None = None) -> None:
    """Compute :func:`standard_normals` by this function from now on; None is numpy. It must give the same bits."""
    global _normals  # noqa: PLW0603
    _normals = normals or numpy_normals


def numpy_normals(seeds: NDArray[np.uint64], stream: int, out: NDArray[np.float64]) -> None:
    """Write :func:`standard_normals` into ``out``, computed by numpy; the reference for other implementations."""
    rows, count = out.shape
    pairs = -(-count // 2)
    words = philox_words(seeds, stream, NOISE, 2 * pairs).reshape(rows, pairs, 2)
    normals = out.reshape(rows, pairs, 2) if count % 2 == 0 else np.empty((rows, pairs, 2))
    height = max(_TILE // max(pairs, 1), 1)
    for top in range(0, rows, height):
        tile = slice(top, top + height)
        radius = _radius(words[tile, :, 0].astype(np.uint64))
        _project(words[tile, :, 1].astype(np.uint64), radius, normals[tile])
    if count % 2:
        out[:] = normals.reshape(rows, 2 * pairs)[:, :count]


def _radius(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return sqrt(-2 log u) of 32-bit words, which are overwritten."""
    words |= _TWO_52_BITS
    floats = words.view(np.float64)
    floats -= 2.0**52 - 0.5
    exponent = words - _ROOT_EIGHTH_BITS
    words -= exponent & _EXPONENT_MASK  # floats is now h
    exponent >>= np.uint64(52)
    exponent |= _TWO_52_BITS
    result = exponent.view(np.float64)
    result -= 2.0**52 + 33.0
    result *= LOG_2
    ratio = floats - 0.5
    floats += 0.5
    ratio /= floats
    np.multiply(ratio, ratio, out=floats)
    logarithm = _horner(LOGARITHM, floats)
    logarithm *= ratio
    result += logarithm
    return np.sqrt(result, out=result)


def _project(words: NDArray[np.uint64], radius: NDArray[np.float64], normals: NDArray[np.float64]) -> None:
    """Write radius times cosine and sine of the words' angles into ``normals`` (rows, pairs, 2); overwrite the rest."""
    words |= _TWO_52_BITS
    angle = words.view(np.float64)
    angle -= 2.0**52 + _HALF_TURN
    square = angle * angle
    sine, cosine = _horner(_SCALED_SINE, square), _horner(_SCALED_COSINE, square)
    sine *= angle
    cosine *= sine
    np.multiply(cosine, cosine, out=square)
    np.subtract(1.0, square, out=square)
    np.multiply(radius, square, out=normals[..., 0])
    np.multiply(sine, sine, out=square)
    np.subtract(1.0, square, out=square)
    cosine *= square
    radius *= SQRT_2
    np.multiply(radius, cosine, out=normals[..., 1])


def _horner(coefficients: tuple[float, ...], argument: NDArray[np.float64]) -> NDArray[np.float64]:
    result = argument * coefficients[-1]
    result += coefficients[-2]
    for coefficient in coefficients[-3::-1]:
        result *= argument
        result += coefficient
    return result


_normals: Normals = numpy_normals
