"""Destructive entries and flips, counted by hand and by signs of torch's gradients."""

import numpy as np
import torch

from kd_uncertainty.deviations._denoising_entries import destructive_share, entries, flips, share


def test_two_examples_by_hand():
    labels = np.array([0, 2])
    truth = np.array([[0.5, 0.4, 0.1], [0.2, 0.35, 0.45]])
    student = np.array([[0.3, 0.3, 0.4], [0.2, 0.3, 0.5]])  # the fourth entry has exactly what it deserves
    teacher = np.array([[0.1, 0.6, 0.3], [0.3, 0.25, 0.45]])
    found = entries(truth, student, labels)
    assert found.destructive.tolist() == [[False, True, False], [False, True, False]]
    assert found.harmless.tolist() == [[False, False, True], [True, False, False]]
    assert destructive_share(found) == 2 / 4
    up = flips(teacher, student)
    assert share(up, found.destructive) == 1 / 2  # (0, 1), not (1, 1)
    assert share(up, found.harmless) == 1 / 2  # (1, 0), not (0, 2)


def random_case(generator, examples=50, classes=4, seeds=3):
    cases = generator.dirichlet(np.ones(classes), size=(3, seeds, examples))
    labels = generator.integers(0, classes, size=(seeds, examples))
    return *cases, labels


def test_signs_are_those_of_gradients():
    """torch's gradients in the logits: the label pushes every other class down, and flips are where q pushes up."""
    truth, student, teacher, labels = random_case(np.random.default_rng(0))
    up = flips(teacher, student)
    found = entries(truth, student, labels)
    gradients = []
    for target in (np.eye(4)[labels], teacher):
        logits = torch.from_numpy(np.log(student)).requires_grad_()
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.from_numpy(target).flatten(0, 1))
        gradients.append(torch.autograd.grad(loss, logits)[0].numpy())
    one_hot, distillation = gradients
    others = found.destructive | found.harmless
    assert (one_hot[others] > 0.0).all()
    assert others.sum() == 3 * 50 * 3
    np.testing.assert_array_equal(up, distillation < 0.0)


def test_shares_are_those_of_a_loop():
    truth, student, teacher, labels = random_case(np.random.default_rng(1))
    found = entries(truth, student, labels)
    for seed in range(3):
        counts = {"destructive": 0, "harmless": 0, "flip": 0, "false": 0}
        for i in range(50):
            for k in range(4):
                if k == labels[seed, i]:
                    continue
                pushed_up = student[seed, i, k] - teacher[seed, i, k] < 0.0
                if truth[seed, i, k] > student[seed, i, k]:
                    counts["destructive"] += 1
                    counts["flip"] += pushed_up
                else:
                    counts["harmless"] += 1
                    counts["false"] += pushed_up
        assert destructive_share(found)[seed] == counts["destructive"] / 150
        up = flips(teacher, student)
        assert share(up, found.destructive)[seed] == counts["flip"] / counts["destructive"]
        assert share(up, found.harmless)[seed] == counts["false"] / counts["harmless"]


def test_the_bayes_teacher_flips_all_that_is_destructive_and_nothing_else():
    truth, student, _, labels = random_case(np.random.default_rng(2))
    found, up = entries(truth, student, labels), flips(truth, student)
    assert (share(up, found.destructive) == 1.0).all()
    assert (share(up, found.harmless) == 0.0).all()


def test_a_teacher_that_agrees_with_the_student_flips_nothing():
    truth, student, _, labels = random_case(np.random.default_rng(5))
    assert (share(flips(student, student), entries(truth, student, labels).destructive) == 0.0).all()


def test_labels_themselves_as_teacher_flip_nothing():
    truth, student, _, labels = random_case(np.random.default_rng(3))
    found, up = entries(truth, student, labels), flips(np.eye(4)[labels], student)
    assert (share(up, found.destructive | found.harmless) == 0.0).all()


def test_arms_broadcast_and_classes_may_be_permuted():
    truth, student, teacher, labels = random_case(np.random.default_rng(4))
    arms = entries(truth[:, None], np.stack([student, teacher], axis=1), labels[:, None])
    np.testing.assert_array_equal(arms.destructive[:, 1], entries(truth, teacher, labels).destructive)
    order = np.array([2, 0, 3, 1])
    mixed = entries(truth[..., order], student[..., order], np.argsort(order)[labels])
    np.testing.assert_array_equal(mixed.destructive, entries(truth, student, labels).destructive[..., order])


def test_where_there_is_no_such_entry_there_is_no_rate():
    truth = np.array([[[1.0, 0.0]], [[0.2, 0.8]]])
    found = entries(truth, np.full((2, 1, 2), 0.5), np.array([[0], [0]]))
    np.testing.assert_array_equal(destructive_share(found), [0.0, 1.0])
    np.testing.assert_array_equal(share(flips(truth, np.full((2, 1, 2), 0.5)), found.destructive), [np.nan, 1.0])
