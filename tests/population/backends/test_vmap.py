"""The vectorised step: batches in every student's own order, and two ways to the same gradients."""

import torch
from torch.func import functional_call

from kd_uncertainty.population.backends import vmap
from kd_uncertainty.population.initialisation import initial_states
from kd_uncertainty.population.losses import distillation_loss
from kd_uncertainty.population.seeds import batch_order

from ..worlds import CPU, mlp, world


def test_batches_follow_every_students_order_and_point_into_the_flat_targets():
    cohort = world(4, 21, 3, 2)[2]
    batches = vmap._batches(cohort, 1, 21, 8, CPU)
    assert [batch.shape for batch in batches] == [(2, 4, 8), (2, 4, 8), (2, 4, 5)]
    rows, flat = torch.cat(batches, dim=-1)
    for student, seed in enumerate(cohort.order_seeds):
        assert rows[student].tolist() == batch_order(seed, 1, 21).tolist()
        gathered = cohort.targets.reshape(-1, 2)[flat[student]]
        assert torch.equal(gathered, cohort.targets[student][rows[student]])


def test_both_steps_give_every_students_own_gradient():
    build, (inputs, labels, cohort) = mlp(6, 3, 8), world(4, 20, 6, 3)
    state = initial_states(build, cohort.initialisation_seeds, CPU)
    batch = (inputs.expand(4, 20, 6), labels.expand(4, 20), cohort.targets, cohort.mixing, cohort.temperature)
    for step in (vmap.make_step(build()), vmap._make_vmap_step(build())):
        gradients, losses = step(state, *batch)
        for student in range(4):
            own = {name: values[student].clone().requires_grad_() for name, values in state.items()}
            inputs_, *rest = (values[student] for values in batch)
            loss = distillation_loss(functional_call(build(), own, (inputs_,)), *rest)
            expected = torch.autograd.grad(loss, list(own.values()))
            torch.testing.assert_close(losses[student], loss.detach())
            for name, gradient in zip(own, expected, strict=True):
                torch.testing.assert_close(gradients[name][student], gradient)
