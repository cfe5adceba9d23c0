"""The losses against torch's own, and their gradients against autograd's."""

import pytest
import torch
from torch.func import grad_and_value, vmap
from torch.nn.functional import cross_entropy
from torch.nn.functional import mse_loss as torch_mse

from kd_uncertainty.population.losses import batch_loss, distillation_loss, mse_loss

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


@pytest.fixture(params=[1, 3])
def regression(request):
    generator = torch.Generator().manual_seed(0)
    shape = (STUDENTS, EXAMPLES, request.param)
    outputs, labels, targets = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(3))
    return outputs.requires_grad_(), labels, targets, torch.tensor([0.0, 1.0, 0.3, 0.5], dtype=torch.float64)


def test_squared_errors_and_their_gradient_are_torchs(regression):
    students = zip(*regression, strict=True)
    expected = torch.stack([(1 - m) * torch_mse(f, y) + m * torch_mse(f, t) for f, y, t, m in students])
    found = mse_loss(*regression)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)
    (gradient,) = torch.autograd.grad(found.sum(), regression[0])
    (expected_gradient,) = torch.autograd.grad(expected.sum(), regression[0])
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-12, atol=1e-15)


def test_squared_errors_of_one_student_among_others_have_the_same_bits_as_alone(regression):
    outputs, labels, targets, mixing = (values.detach().float() for values in regression)
    together = mse_loss(outputs.requires_grad_(), labels, targets, mixing)
    (gradient,) = torch.autograd.grad(together.sum(), outputs)
    for student in range(STUDENTS):
        own = outputs[student].detach().clone().requires_grad_()
        alone = mse_loss(own, labels[student].clone(), targets[student].clone(), mixing[student])
        assert torch.equal(alone, together[student])
        assert torch.equal(torch.autograd.grad(alone, own)[0], gradient[student])


def test_squared_errors_work_under_torch_func(regression):
    expected = mse_loss(*regression)
    (expected_gradient,) = torch.autograd.grad(expected.sum(), regression[0])
    gradients, losses = vmap(grad_and_value(mse_loss))(regression[0].detach(), *regression[1:])
    torch.testing.assert_close(losses, expected.detach(), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(gradients, expected_gradient, rtol=1e-12, atol=1e-15)


def test_a_loss_by_its_name_ignores_what_it_does_not_use(batch, regression):
    assert torch.equal(batch_loss("distillation")(*batch), distillation_loss(*batch))
    temperature = torch.full((STUDENTS,), torch.nan, dtype=torch.float64)
    assert torch.equal(batch_loss("mse")(*regression, temperature), mse_loss(*regression))
