r"""Full-batch gradient descent of small models, recorded step by step; float64, all seeds at once.

A state is a tuple of arrays (seeds, ...) whose first one holds the weights on the inputs, (seeds, inputs, outputs):
those are what :mod:`~kd_uncertainty.deviations.eigenspace` looks at. Arrays of different seeds never meet, so that a
seed's numbers do not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
State = tuple[Floats, ...]


class Learner(Protocol):
    """A model with its loss."""

    def gradients(self, state: State, inputs: Floats, targets: Floats) -> State:
        """Gradients of the mean loss over examples, as the state's arrays.

        Args:
            state: of all seeds.
            inputs: (seeds, examples, inputs).
            targets: (seeds, examples, outputs).
        """

    def answers(self, state: State, inputs: Floats) -> Floats:
        """What a student is trained to say, (seeds, examples, outputs): predictions, or class probabilities."""


class LinearSquared:
    r"""Linear model, ``sum_c (x w_c - y_c)^2 / 2``."""

    def gradients(self, state: State, inputs: Floats, targets: Floats) -> State:
        """``X' (X W - Y) / n``."""
        (weights,) = state
        return (_transposed(inputs) @ (inputs @ weights - targets) / inputs.shape[1],)

    def answers(self, state: State, inputs: Floats) -> Floats:
        """``X W``."""
        return np.asarray(inputs @ state[0])


class LinearCrossEntropy:
    """Linear softmax model with cross-entropy."""

    def gradients(self, state: State, inputs: Floats, targets: Floats) -> State:
        """``X' (softmax(X W) - Y) / n``."""
        return (_transposed(inputs) @ (self.answers(state, inputs) - targets) / inputs.shape[1],)

    def answers(self, state: State, inputs: Floats) -> Floats:
        """``softmax(X W)``."""
        return _softmax(inputs @ state[0])


class TwoLayers:
    """``softmax(relu(x W1 + b1) W2 + b2)`` with cross-entropy; the state is (W1, b1, W2, b2)."""

    def gradients(self, state: State, inputs: Floats, targets: Floats) -> State:
        """Backpropagation, written out."""
        hidden = self._hidden(state, inputs)
        errors = (_softmax(hidden @ state[2] + state[3]) - targets) / inputs.shape[1]
        back = (errors @ _transposed(state[2])) * (hidden > 0.0)
        return (
            _transposed(inputs) @ back,
            _sum_of_examples(back),
            _transposed(hidden) @ errors,
            _sum_of_examples(errors),
        )

    def answers(self, state: State, inputs: Floats) -> Floats:
        """Class probabilities."""
        return _softmax(self._hidden(state, inputs) @ state[2] + state[3])

    def _hidden(self, state: State, inputs: Floats) -> Floats:
        return np.maximum(inputs @ state[0] + state[1], 0.0)


class Path(NamedTuple):
    """Where gradient descent has been, step by step.

    Attributes:
        sizes: (seeds, steps + 1, directions), of the movement since the start along each direction.
        states: after the steps that were asked for.
    """

    sizes: Floats
    states: dict[int, State]


class Descent(NamedTuple):
    """What all paths of a model share.

    Attributes:
        learner: model and loss.
        inputs: (seeds, examples, inputs).
        learning_rates: (seeds,).
        directions: (seeds, inputs, directions), of length 1.
        momentum: of heavy-ball descent ``v <- momentum v + gradient``; 0 is plain descent.
    """

    learner: Learner
    inputs: Floats
    learning_rates: Floats
    directions: Floats
    momentum: float = 0.0

    def follow(
        self,
        start: State,
        targets: Floats,
        steps: int,
        keep: Collection[int] = (),
        advance: Callable[[int], Any] | None = None,
    ) -> Path:
        """Descend and return how far the first weights have moved along each direction after every step.

        The size along direction v is ``||(W(t) - W(0))' v||`` over the outputs (hidden units).

        Args:
            start: state at step 0.
            targets: (seeds, examples, outputs).
            steps: to take.
            keep: steps after which the state is kept.
            advance: told the number of steps since it was last told.
        """
        rates = self.learning_rates[:, None, None]
        project = _transposed(self.directions)
        state, speed = start, tuple(np.zeros_like(values) for values in start)
        sizes, states = [np.zeros((len(start[0]), project.shape[1]))], {0: start} if 0 in keep else {}
        for step in range(1, steps + 1):
            changes = self.learner.gradients(state, self.inputs, targets)
            if self.momentum:
                changes = tuple(self.momentum * old + new for old, new in zip(speed, changes, strict=True))
                speed = changes
            state = tuple(values - rates * change for values, change in zip(state, changes, strict=True))
            sizes.append(np.linalg.norm(project @ (state[0] - start[0]), axis=2))
            if step in keep:
                states[step] = state
            if advance is not None:
                advance(1)
        return Path(np.stack(sizes, axis=1), states)


def _transposed(matrices: Floats) -> Floats:
    return np.swapaxes(matrices, -1, -2)


def _sum_of_examples(values: Floats) -> Floats:
    return np.asarray(np.ones((1, values.shape[1])) @ values)  # as a product, for it is faster


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / (powers @ np.ones((powers.shape[-1], 1))))
