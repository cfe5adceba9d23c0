"""Two teachers on one path of training: one stopped where it generalises best, one where it fits its noisy labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from kd_uncertainty.convergence.examples import StudyExamples
from kd_uncertainty.deviations._switching_options import TeacherFit
from kd_uncertainty.deviations._switching_training import naming_the_section
from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import network_builder
from kd_uncertainty.population.contract import Build, Cohort, Trained
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.training import naming_the_network, predict, train
from kd_uncertainty.tasks.options import Split

INTERPOLATING, EARLY_STOPPED = "interpolating", "early_stopped"


class Teacher(NamedTuple):
    """A trained teacher.

    Attributes:
        name: "interpolating" or "early_stopped".
        epochs: after which it was stopped.
        logits: (examples, classes) float32, of all examples.
    """

    name: str
    epochs: int
    logits: Tensor


def train_teachers(data: StudyExamples, fit: TeacherFit, seed: int, *, threads: int = 1) -> list[Teacher]:
    """Train the interpolating and the early-stopped teacher: one network, stopped twice.

    It interpolates after the first epoch at which its accuracy on the training labels reaches ``fit.interpolation``.
    The early-stopped teacher is the best of the epochs before that, by its likelihood on the validation split.

    Args:
        data: the task.
        fit: the teacher's network and training.
        seed: of the section.
        threads: no result depends on them.

    Raises:
        UserError: if the network never interpolates, does so after its first epoch, cannot be built or diverges.
    """
    build = network_builder(fit.network.class_path, fit.network.arguments, data.inputs.shape[1], data.num_classes)
    path = _Path(build, data, fit, seed, threads)
    accuracy = path.curve("train", "validation_accuracy", fit.training.epochs)
    interpolating = first_reached(accuracy, fit.interpolation)
    if interpolating is None:
        raise UserError(
            f"switching.teacher: after {len(accuracy)} epochs its accuracy on its training labels has been "
            f"{accuracy.max():.4g} at best, below interpolation: {fit.interpolation:.4g}; raise training.epochs or "
            "training.learning_rate, widen the network, or lower interpolation"
        )
    if interpolating == 1:
        raise UserError(
            "switching.teacher: it interpolates after its first epoch, so that no early-stopped teacher differs from "
            "it; lower training.learning_rate"
        )
    early = int(path.curve("validation", "validation_nll", interpolating - 1).argmin()) + 1
    stops = {INTERPOLATING: interpolating, EARLY_STOPPED: early}
    return [Teacher(name, epochs, path.logits(epochs)) for name, epochs in stops.items()]


def first_reached(curve: NDArray[np.float64], level: float) -> int | None:
    """Return the first epoch, counted from 1, after which a curve (epochs,) has reached a level; None if never.

    In the precision of the engine's curves, float32.
    """
    reached = np.flatnonzero(curve.astype(np.float32) >= np.float32(level))
    return int(reached[0]) + 1 if len(reached) else None


class _Path(NamedTuple):
    """One network's way through training, which may be stopped anywhere."""

    build: Build
    data: StudyExamples
    fit: TeacherFit
    seed: int
    threads: int

    def curve(self, split: Split, name: str, epochs: int) -> NDArray[np.float64]:
        """Return what the network does on a split after each of so many epochs, (epochs,)."""
        return self._train(epochs, self.data.part(split)).validation[name][0].double().numpy()

    def logits(self, epochs: int) -> Tensor:
        """Return the logits of all examples after so many epochs."""
        return predict(self.build, self._train(epochs).parameters, self.data.inputs)[0]

    def _train(self, epochs: int, watched: StudyExamples | None = None) -> Trained:
        training = self.fit.training.model_copy(update={"epochs": epochs})
        part = self.data.part("train")
        seeds = (derive_seed(self.seed, "teacher initialisation"), derive_seed(self.seed, "teacher order"))
        cohort = Cohort.of_ensemble(one_hot(part.labels, part.num_classes).to(torch.float32), *((s,) for s in seeds))
        with (
            naming_the_section(),
            naming_the_network(self.fit.network.class_path, "switching.teacher", len(part.labels), training),
        ):
            return train(
                self.build,
                part.inputs,
                part.labels,
                cohort,
                training,
                threads=self.threads,
                validation=None if watched is None else (watched.inputs, watched.labels),
            )
