r"""Noised minimisers: kernels ``q(. | d) = N(A(d), s^2 I)`` over parameters, whose densities are known.

A(d) is where training on d ends: a function, as start and order of batches are fixed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, jacrev, vmap

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.contract import Build, State
from kd_uncertainty.population.initialisation import reproducible

Floats = NDArray[np.float64]

_CUT = 1e-10
"""Directions whose standard deviation is below this share of the largest are left out: they are rounding."""
_BLOCK = 1 << 22  # elements of Jacobians at once; memory, not what is computed


def kernel_divergence(student: Floats, teacher: Floats, student_noise: float, teacher_noise: float) -> Floats:
    r"""KL(N(student, s^2 I) || N(teacher, t^2 I)) in nats, (...).

    ``||student - teacher||^2 / (2 t^2) + (d / 2) (s^2 / t^2 - 1 - log(s^2 / t^2))`` in d dimensions.

    Args:
        student: (..., d) means.
        teacher: (..., d) means.
        student_noise: s.
        teacher_noise: t.
    """
    ratio = 2.0 * math.log(student_noise / teacher_noise)
    spread = 0.5 * student.shape[-1] * (math.expm1(ratio) - ratio)
    return np.asarray(0.5 * (((student - teacher) / teacher_noise) ** 2).sum(axis=-1) + spread)


def flat(parameters: State) -> Floats:
    """Return stacked parameters (networks, ...) as vectors (networks, d), by the order of their names."""
    return np.concatenate([values.flatten(1).double().numpy() for values in parameters.values()], axis=1)


def noised(parameters: State, noise: float, seeds: Sequence[Sequence[int]]) -> State:
    """Draw from the kernels around stacked parameters: (networks, ...) to (networks * draws, ...).

    Args:
        parameters: means, by name.
        noise: s.
        seeds: (networks, draws), one a draw.
    """
    sizes = [values[0].numel() for values in parameters.values()]
    count = sum(sizes)
    draws = np.stack(
        [np.random.Generator(np.random.Philox(seed)).standard_normal(count) for row in seeds for seed in row]
    )
    parts = torch.split(torch.from_numpy(noise * draws), sizes, dim=1)
    repeats = len(seeds[0])
    return {
        name: (values.double().repeat_interleave(repeats, dim=0) + part.view(-1, *values.shape[1:])).to(values.dtype)
        for (name, values), part in zip(parameters.items(), parts, strict=True)
    }


def require_no_buffers(build: Build, class_path: str) -> None:
    """Check that a network is its parameters and nothing else, so that noise on them is a density.

    Raises:
        UserError: if it has buffers, such as those of batch normalisation, or parameters that are not trained.
    """
    with reproducible(torch.device("cpu")):
        network = build()
    names = [name for name, _ in network.named_buffers()]
    names += [name for name, values in network.named_parameters() if not values.requires_grad]
    if names:
        raise UserError(
            f"networks.network: class '{class_path}' keeps '{names[0]}' beside its trained parameters, so that its "
            "kernel has no density; choose a network without such, for instance without batch normalisation"
        )


def function_space_divergence(
    build: Build, student: State, teacher: State, student_noise: float, teacher_noise: float, points: Tensor
) -> Floats:
    r"""KL between the kernels' laws of logits at some inputs, to first order in the noise, (networks,) in nats.

    With the Jacobian J of the logits (differences to the last class, as softmax sees no more) at the teacher's mean,
    both laws are taken as Gaussian with covariance proportional to ``J J'``. For networks linear in their parameters
    that is exact, and by data processing at most the divergence of the parameters. For others it is an estimate.

    Args:
        build: builds one network.
        student: means, stacked (networks, ...).
        teacher: means, as many.
        student_noise: s.
        teacher_noise: t.
        points: (points, features).
    """
    with reproducible(torch.device("cpu")):
        network = build().double().eval()
        points = points.double()

        def differences(state: State) -> Tensor:
            logits: Tensor = functional_call(network, state, (points,))
            return (logits[:, :-1] - logits[:, -1:]).flatten()

        here, there = ({name: v.double() for name, v in state.items()} for state in (teacher, student))
        with torch.no_grad():
            shifts = vmap(differences)(there) - vmap(differences)(here)
        count, outputs = shifts.shape
        block = max(_BLOCK // (outputs * sum(v[0].numel() for v in here.values())), 1)
        found: list[float] = []
        for rows in torch.split(torch.arange(count), block):
            jacobians = vmap(jacrev(differences))({name: v[rows] for name, v in here.items()})
            joined = torch.cat([v.flatten(2) for v in jacobians.values()], dim=2).detach()
            pairs = zip(joined, shifts[rows], strict=True)
            found += [_in_span(jacobian, shift, student_noise, teacher_noise) for jacobian, shift in pairs]
    return np.array(found)


def _in_span(jacobian: Tensor, shift: Tensor, student_noise: float, teacher_noise: float) -> float:
    """The divergence in the directions that the noise reaches, a projection of the laws."""
    triangle = torch.linalg.qr(jacobian.T, mode="r").R.T  # its singular values and left vectors are the Jacobian's
    directions, sizes, _ = torch.linalg.svd(triangle, full_matrices=False)
    kept = sizes > _CUT * sizes.max()
    means = ((directions.T @ shift)[kept] / sizes[kept]).numpy()
    return float(kernel_divergence(means, np.zeros_like(means), student_noise, teacher_noise))
