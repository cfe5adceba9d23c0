"""The distillation divergence, its chain rule, and how it behaves at the edges."""

import math

import numpy as np
import pytest

from kd_uncertainty.bounds.divergence import Law, distillation_divergence, expectation, kl_divergence, kl_divergences
from kd_uncertainty.errors import UserError


def random_law(generator, data=7, models=4, concentration=0.3):
    return Law(
        np.log(generator.dirichlet(np.full(data, concentration))),
        np.log(generator.dirichlet(np.full(models, concentration), data)),
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_parts_make_the_whole(seed):
    generator = np.random.default_rng(seed)
    student, teacher = random_law(generator), random_law(generator)
    found = distillation_divergence(student, teacher)
    p, q = student.weights, teacher.weights
    assert found.total == pytest.approx((p * np.log(p / q)).sum(), rel=1e-11)
    shift = (p.sum(axis=1) * np.log(p.sum(axis=1) / q.sum(axis=1))).sum()
    assert found.dataset_shift == pytest.approx(shift, rel=1e-11)
    assert found.algorithm_shift == pytest.approx(found.total - shift, rel=1e-9)
    assert found.chain_rule_error < 1e-11


def test_the_teachers_kernel_counts_where_the_student_is():
    """Kernels that differ only on a data set that the student never sees cost nothing."""
    data = np.log([0.5, 0.5])
    teacher = Law(data, np.log([[0.9, 0.1], [0.5, 0.5]]))
    with np.errstate(divide="ignore"):
        student = Law(np.log([0.0, 1.0]), np.log([[0.1, 0.9], [0.5, 0.5]]))
    found = distillation_divergence(student, teacher)
    assert found.algorithm_shift == 0.0
    assert [found.total, found.dataset_shift] == pytest.approx([math.log(2.0)] * 2)


def test_what_the_teacher_cannot_do_costs_infinitely_much():
    with np.errstate(divide="ignore"):
        teacher = Law(np.log([0.5, 0.5]), np.log([[1.0, 0.0], [0.5, 0.5]]))
    student = Law(np.log([0.5, 0.5]), np.log([[0.5, 0.5], [0.5, 0.5]]))
    found = distillation_divergence(student, teacher)
    assert found.total == found.algorithm_shift == math.inf
    assert found.chain_rule_error == 0.0
    assert distillation_divergence(teacher, student).total == pytest.approx(0.5 * math.log(2.0))


def test_small_divergences_keep_their_digits():
    """KL of laws that are 1e-9 apart is half the chi-square, 1e-18, which the plain sum cannot see."""
    law, apart = np.array([0.2, 0.3, 0.5]), 1e-9 * np.array([1.0, -0.5, -0.5])
    expected = (apart**2 / law).sum() / 2.0
    assert kl_divergence(np.log(law + apart), np.log(law)) == pytest.approx(expected, rel=1e-5)
    assert kl_divergence(np.log(law), np.log(law)) == 0.0


def test_series_and_sum_meet():
    law, apart = np.array([0.2, 0.3, 0.5]), np.array([1.0, -0.5, -0.5])
    for size in (1e-5, 1e-4, 2e-4, 1e-3):
        moved = law + size * apart
        plain = (moved * np.log(moved / law)).sum()
        assert kl_divergence(np.log(moved), np.log(law)) == pytest.approx(plain, rel=1e-4, abs=1e-16)


def test_divergence_is_additive_and_never_negative():
    generator = np.random.default_rng(0)
    laws, references = (np.log(generator.dirichlet(np.ones(5), 50)) for _ in range(2))
    found = kl_divergences(laws, references)
    assert (found > 0.0).all()
    together = kl_divergence(
        (laws[0][:, None] + laws[1]).ravel()[None], (references[0][:, None] + references[1]).ravel()[None]
    )
    assert together == pytest.approx(found[0] + found[1], rel=1e-12)


def test_expectation_leaves_out_what_cannot_happen():
    with np.errstate(divide="ignore"):
        assert expectation(np.log([0.25, 0.75, 0.0]), np.array([1.0, 2.0, math.inf])) == pytest.approx(1.75)


def test_laws_of_different_spaces_are_refused():
    generator = np.random.default_rng(0)
    with pytest.raises(UserError, match="one space for both"):
        distillation_divergence(random_law(generator, models=4), random_law(generator, models=5))


def test_a_law_that_is_none_is_refused():
    with pytest.raises(UserError, match="normalise"):
        kl_divergence(np.log([0.5, 0.4]), np.log([0.5, 0.5]))
