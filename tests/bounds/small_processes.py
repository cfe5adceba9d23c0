"""Random processes that are small enough for plain loops, and those loops: a second way to every law."""

import itertools
import math

import numpy as np

from kd_uncertainty.bounds.enumerated import Gibbs, Process


def random_process(seed, max_examples=6):
    """Anything that the library takes: some inputs, labels, hypotheses, losses, priors and temperatures."""
    generator = np.random.default_rng(seed)
    inputs, classes = (int(count) for count in generator.integers([1, 2], [4, 4]))
    models, examples = int(generator.integers(2, 7)), int(generator.integers(1, max_examples + 1))
    if inputs * classes > 6:
        examples = min(examples, 3)
    shape = (models, inputs, classes)
    predictions = generator.dirichlet(np.full(classes, 0.7), (models, inputs)) * 0.99 + 0.01 / classes
    losses = -np.log(predictions) if seed % 2 else generator.gamma(1.0, size=shape)
    allowed = np.arange(models) < generator.integers(1, models + 1)
    student = np.where(allowed, generator.dirichlet(np.ones(models)), 0.0)
    with np.errstate(divide="ignore"):
        student_prior = np.log(student / student.sum())
    return Process(
        inputs=generator.dirichlet(np.ones(inputs)),
        labels=generator.dirichlet(np.ones(classes), inputs),
        predictions=predictions,
        losses=losses,
        num_examples=examples,
        teacher=Gibbs(np.log(generator.dirichlet(np.full(models, 2.0))), float(generator.choice([0.1, 1.0, 4.0]))),
        student=Gibbs(student_prior, float(generator.choice([0.0, 0.5, 1.0, 5.0]))),
    )


def naive_kernel(learner, losses, data):
    weights = []
    for model, log_prior in enumerate(learner.log_prior):
        total = 0.0
        for x, y in data:
            total += losses[model][x][y]
        weights.append(math.exp(log_prior - learner.inverse_temperature * total))
    return [weight / sum(weights) for weight in weights]


def naive_gap(process, data, model):
    inputs, classes = process.labels.shape
    population = 0.0
    for x in range(inputs):
        for y in range(classes):
            population += process.inputs[x] * process.labels[x][y] * process.losses[model][x][y]
    return population - sum(process.losses[model][x][y] for x, y in data) / len(data)


def naive_laws(process):
    """Laws over sequences of examples, by loops over every one: {(data, model): probability} of teacher and student.

    Also {(D, f_S): probability}, of the student's model with the teacher's data set.
    """
    inputs, classes = process.labels.shape
    models, size = range(len(process.losses)), process.num_examples
    cells = [(x, y) for x in range(inputs) for y in range(classes)]
    teacher, student, crossed = {}, {}, {}
    for data in itertools.product(cells, repeat=size):
        chance = 1.0
        for x, y in data:
            chance *= process.inputs[x] * process.labels[x][y]
        for taught, its in enumerate(naive_kernel(process.teacher, process.losses, data)):
            teacher[data, taught] = chance * its
            for pseudo in itertools.product(range(classes), repeat=size):
                relabelled = tuple((x, label) for (x, _), label in zip(data, pseudo, strict=True))
                drawn = chance * its
                for x, label in relabelled:
                    drawn *= process.predictions[taught][x][label]
                kernel = naive_kernel(process.student, process.losses, relabelled)
                for model in models:
                    student[relabelled, model] = student.get((relabelled, model), 0.0) + drawn * kernel[model]
                    crossed[data, model] = crossed.get((data, model), 0.0) + drawn * kernel[model]
    return teacher, student, crossed


def naive_divergence(law, reference):
    return sum(chance * math.log(chance / reference[key]) for key, chance in law.items() if chance > 0.0)


def marginal(law):
    """Of the data set."""
    total = {}
    for (data, _), chance in law.items():
        total[data] = total.get(data, 0.0) + chance
    return total
