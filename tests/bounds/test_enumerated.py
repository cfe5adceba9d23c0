"""Exact laws against plain loops over every data set, and against simulation; all bounds on random processes."""

import math

import numpy as np
import pytest

from kd_uncertainty.bounds.divergence import distillation_divergence, kl_divergence
from kd_uncertainty.bounds.enumerated import (
    Gibbs,
    Process,
    data_set_types,
    enumerate_process,
    input_blocks,
    label_laws,
    log_multinomial,
)
from kd_uncertainty.bounds.generalisation import central_lower_bound, two_sided
from kd_uncertainty.bounds.sensitivity import all_proxies
from kd_uncertainty.errors import UserError

from .small_processes import marginal, naive_divergence, naive_gap, naive_laws, random_process

SEEDS = range(150)


def small(seed):
    return random_process(seed, max_examples=2)


@pytest.mark.parametrize("seed", range(12))
def test_laws_are_those_of_plain_loops_over_sequences(seed):
    process = small(seed)
    found = enumerate_process(process)
    teacher, student, crossed = naive_laws(process)
    gaps = {key: naive_gap(process, *key) for key in teacher}
    assert found.gen_teacher == pytest.approx(sum(teacher[key] * gaps[key] for key in teacher), abs=1e-13)
    assert found.gen_student == pytest.approx(sum(student[key] * gaps[key] for key in student), abs=1e-13)
    assert found.gen_student_true == pytest.approx(sum(crossed[key] * gaps[key] for key in crossed), abs=1e-13)
    second = sum(teacher[key] * gaps[key] ** 2 for key in teacher)
    assert (found.teacher.weights * found.gaps**2).sum() == pytest.approx(second, abs=1e-12)
    divergence = distillation_divergence(found.student, found.teacher)
    assert divergence.total == pytest.approx(naive_divergence(student, teacher), rel=1e-10, abs=1e-13)
    shift = naive_divergence(marginal(student), marginal(teacher))
    assert divergence.dataset_shift == pytest.approx(shift, rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("seed", range(12))
def test_the_usual_gap_is_the_pseudo_gap_with_the_labels_changed(seed):
    """gen_S (true) = gen_S + E[L_D^(f_S) - L_D(f_S)], by loops."""
    process = small(seed)
    found = enumerate_process(process)
    _, student, crossed = naive_laws(process)

    def mean_loss(law):
        return sum(
            chance * sum(process.losses[model][x][y] for x, y in data) / len(data)
            for (data, model), chance in law.items()
        )

    changed = mean_loss(student) - mean_loss(crossed)
    assert found.gen_student_true == pytest.approx(found.gen_student + changed, abs=1e-13)


@pytest.mark.parametrize("seed", [3, 8, 21])
def test_gaps_are_those_of_simulated_distillations(seed):
    """Within four standard errors: data, teacher, pseudo-labels and student drawn one after the other."""
    process, count = random_process(seed), 20_000
    generator = np.random.default_rng(seed)
    inputs, classes = process.labels.shape
    found = enumerate_process(process)

    def draw(chances):
        return (chances.cumsum(axis=-1) < generator.random((*chances.shape[:-1], 1))).sum(axis=-1).clip(max=classes - 1)

    def drawn_models(learner, losses):
        scores = learner.log_prior - learner.inverse_temperature * losses
        chances = np.exp(scores - scores.max(axis=1, keepdims=True))
        cumulative = (chances / chances.sum(axis=1, keepdims=True)).cumsum(axis=1)
        return np.minimum((cumulative < generator.random((count, 1))).sum(axis=1), np.flatnonzero(chances[0]).max())

    x = generator.choice(inputs, p=process.inputs, size=(count, process.num_examples))
    y = draw(process.labels[x])
    sums = process.losses[:, x, y].sum(axis=2).T  # (runs, models)
    teacher = drawn_models(process.teacher, sums)
    pseudo = draw(process.predictions[teacher[:, None], x])
    pseudo_sums = process.losses[:, x, pseudo].sum(axis=2).T
    student = drawn_models(process.student, pseudo_sums)
    population = (process.losses * (process.inputs[:, None] * process.labels)).sum(axis=(1, 2))
    runs = np.arange(count)
    for exact, gaps in (
        (found.gen_teacher, population[teacher] - sums[runs, teacher] / process.num_examples),
        (found.gen_student, population[student] - pseudo_sums[runs, student] / process.num_examples),
        (found.gen_student_true, population[student] - sums[runs, student] / process.num_examples),
    ):
        assert abs(gaps.mean() - exact) < 4.0 * gaps.std() / math.sqrt(count) + 1e-12


@pytest.mark.parametrize("seed", range(20))
def test_a_gibbs_teachers_gap_is_its_symmetrised_information(seed):
    """N beta gen_T = KL(joint || product) + KL(product || joint) (Aminian et al. 2021), so it is never negative."""
    process = random_process(seed)
    found = enumerate_process(process)
    models = np.log(found.teacher.weights.sum(axis=0))
    product = found.teacher.data[:, None] + models
    information = kl_divergence(found.teacher.joint, product) + kl_divergence(product, found.teacher.joint)
    scale = process.num_examples * process.teacher.inverse_temperature
    assert scale * found.gen_teacher == pytest.approx(information, rel=1e-9, abs=1e-13)


@pytest.fixture(scope="module")
def measured():
    """(enumeration, divergence, proxies) of each random process."""
    result = []
    for seed in SEEDS:
        process = random_process(seed)
        found = enumerate_process(process)
        result.append((found, distillation_divergence(found.student, found.teacher), all_proxies(process, found)))
    return result


def test_the_chain_rule_holds_to_nine_digits(measured):
    errors = [divergence.chain_rule_error / max(divergence.total, 1.0) for _, divergence, _ in measured]
    assert len(errors) >= 100
    assert max(errors) < 1e-12
    assert sum(divergence.algorithm_shift > 0.01 for _, divergence, _ in measured) > 100
    assert sum(divergence.dataset_shift > 0.01 for _, divergence, _ in measured) > 100


def test_no_certified_bound_is_violated(measured):
    """Upper, two-sided and sub-Gaussian lower bound of every certificate, and the central lower bound: 0 violations."""
    violations = 0
    for found, divergence, proxies in measured:
        for name, sigma in proxies._asdict().items():
            if name != "std":
                lower, upper = two_sided(found.gen_teacher, sigma, divergence.total)
                violations += not lower - 1e-12 <= found.gen_student <= upper + 1e-12
        central = central_lower_bound(found.gaps, found.teacher.weights, divergence.total).lower
        violations += found.gen_student < central - 1e-12
    assert violations == 0


def test_the_bounds_could_fail(measured):
    """With a third of the exact sigma many intervals miss, so that 0 violations say something."""
    missed = 0
    for found, divergence, proxies in measured:
        lower, upper = two_sided(found.gen_teacher, proxies.cumulant / 3.0, divergence.total)
        missed += not lower <= found.gen_student <= upper
    assert missed > 10


def test_proxies_come_in_order(measured):
    for _, _, proxies in measured:
        slack = 1.0 + 2e-6
        assert proxies.std <= proxies.cumulant * slack
        assert proxies.cumulant <= proxies.hoeffding * slack
        assert proxies.cumulant <= proxies.bounded_difference * slack
        assert proxies.bounded_difference <= proxies.stability * slack


def test_a_student_that_is_the_teacher_on_the_teachers_labels_is_no_shift():
    """One hypothesis that knows the true label law: D^ has the law of D, and both kernels are one."""
    labels = np.array([[0.3, 0.7], [0.9, 0.1]])
    same = Gibbs(np.zeros(1), 1.0)
    process = Process(np.array([0.4, 0.6]), labels, labels[None], -np.log(labels)[None], 5, same, same)
    found = enumerate_process(process)
    assert distillation_divergence(found.student, found.teacher).total == pytest.approx(0.0, abs=1e-14)
    assert found.gen_student == pytest.approx(found.gen_teacher, abs=1e-14)
    assert found.gen_student_true == pytest.approx(0.0, abs=1e-14)


@pytest.mark.parametrize(("size", "inputs", "classes"), [(1, 1, 2), (5, 2, 2), (4, 3, 2), (3, 2, 3), (12, 2, 2)])
def test_types_are_complete_and_their_laws_normalised(size, inputs, classes):
    types = data_set_types(size, inputs, classes)
    cells = inputs * classes
    assert len(types) == math.comb(size + cells - 1, cells - 1) == len({tuple(each.ravel()) for each in types})
    assert (types.sum(axis=(1, 2)) == size).all()
    generator = np.random.default_rng(0)
    chances = generator.dirichlet(np.ones(cells)).reshape(inputs, classes)
    assert np.exp(log_multinomial(types, np.log(chances))).sum() == pytest.approx(1.0, rel=1e-12)
    starts = input_blocks(types)
    assert len(starts) == math.comb(size + inputs - 1, inputs - 1)
    predictions = generator.dirichlet(np.ones(classes), (3, inputs))
    laws = np.add.reduceat(np.exp(label_laws(predictions, types)), starts, axis=0)
    np.testing.assert_allclose(laws, 1.0, rtol=1e-12)


def test_a_teacher_that_the_student_cannot_share_makes_the_divergence_infinite_the_other_way():
    """The student may leave hypotheses out; the teacher may not."""
    process = random_process(1)
    narrow = Gibbs(np.where(np.arange(len(process.losses)) == 0, 0.0, -np.inf), 1.0)
    wide = process.teacher
    found = enumerate_process(process._replace(student=narrow))
    assert math.isfinite(distillation_divergence(found.student, found.teacher).total)
    found = enumerate_process(process._replace(teacher=narrow, student=wide))
    assert distillation_divergence(found.student, found.teacher).total == math.inf


def test_cold_teachers_do_not_underflow():
    """Beta n L of thousands: kernels stay laws, and the divergence stays finite."""
    process = random_process(5)
    cold = process._replace(teacher=process.teacher._replace(inverse_temperature=3000.0))
    found = enumerate_process(cold)
    divergence = distillation_divergence(found.student, found.teacher)
    assert 100.0 < divergence.total < math.inf
    assert divergence.chain_rule_error < 1e-9 * divergence.total


def test_too_large_a_process_is_refused():
    process = random_process(2)._replace(num_examples=500)
    with pytest.raises(UserError, match="ask for fewer"):
        enumerate_process(process)
