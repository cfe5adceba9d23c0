"""The distillation loss against torch's own cross-entropies, and its gradient against theirs."""

import pytest
import torch
from torch.func import grad_and_value, vmap
from torch.nn.functional import cross_entropy

from kd_uncertainty.population.losses import distillation_loss

STUDENTS, EXAMPLES, CLASSES = 4, 7, 5


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(STUDENTS, EXAMPLES, CLASSES, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, CLASSES, (STUDENTS, EXAMPLES), generator=generator)
    targets = torch.softmax(torch.randn(logits.shape, generator=generator, dtype=torch.float64), -1)
    mixing = torch.tensor([0.0, 1.0, 0.3, 0.5], dtype=torch.float64)
    temperature = torch.tensor([1.0, 1.0, 4.0, 0.5], dtype=torch.float64)
    return logits.requires_grad_(), labels, targets, mixing, temperature


def _by_hand(logits, labels, targets, mixing, temperature):
    hard = cross_entropy(logits, labels)
    soft = cross_entropy(logits / temperature, targets)
    return (1 - mixing) * hard + mixing * temperature**2 * soft


def test_value_and_gradient_are_those_of_cross_entropy(batch):
    expected = torch.stack([_by_hand(*student) for student in zip(*batch, strict=True)])
    found = distillation_loss(*batch)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    (gradient,) = torch.autograd.grad(found.sum(), batch[0])
    (expected_gradient,) = torch.autograd.grad(expected.sum(), batch[0])
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-14)


def test_one_student_among_others_has_the_same_bits_as_alone(batch):
    logits, labels, targets, mixing, temperature = batch
    floats = [values.detach().float() for values in (logits, targets, mixing, temperature)]
    together = distillation_loss(floats[0], labels, *floats[1:])
    for student in range(STUDENTS):
        one = [values[student].clone() for values in floats]
        assert torch.equal(distillation_loss(one[0], labels[student], *one[1:]), together[student])


def test_works_under_torch_func(batch):
    expected = distillation_loss(*batch)
    (expected_gradient,) = torch.autograd.grad(expected.sum(), batch[0])
    gradients, losses = vmap(grad_and_value(distillation_loss))(batch[0].detach(), *batch[1:])
    torch.testing.assert_close(losses, expected.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradients, expected_gradient, rtol=1e-12, atol=1e-14)


def test_is_stable_for_extreme_logits():
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4]], requires_grad=True)
    targets = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    loss = distillation_loss(logits, torch.tensor([0, 1]), targets, torch.tensor(0.5), torch.tensor(2.0))
    loss.backward()
    # Only the second example's soft term costs: mixing T^2 (log-odds 2e4 / T) / 2, averaged over two examples.
    torch.testing.assert_close(loss.item(), 0.5 * 4 * (2e4 / 2) / 2 / 2)
    assert torch.isfinite(logits.grad).all()


def test_soft_gradient_keeps_its_size_across_temperatures():
    """Hinton et al. 2015: with T^2 the soft gradient tends to (z - v) / classes, centred, for logits z and v."""
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(1, CLASSES, generator=generator, dtype=torch.float64, requires_grad=True)
    v = torch.randn(1, CLASSES, generator=generator, dtype=torch.float64)
    temperature = torch.tensor(1e4, dtype=torch.float64)
    one = torch.tensor(1.0, dtype=torch.float64)
    distillation_loss(z, torch.tensor([0]), torch.softmax(v / temperature, -1), one, temperature).backward()
    difference = (z - z.mean() - v + v.mean()).detach()
    torch.testing.assert_close(z.grad, difference / CLASSES, rtol=1e-3, atol=1e-5)
