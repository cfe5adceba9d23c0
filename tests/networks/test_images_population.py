"""Populations of networks of images: an epoch of each family, and each student's own statistics."""

import functools

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import images
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.backends import vmap
from kd_uncertainty.population.contract import Cohort, Facts
from kd_uncertainty.population.dropout import dropout_keys
from kd_uncertainty.population.initialisation import initial_states, initialisation_kind
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.training import choose_backend, predict, train
from kd_uncertainty.teachers import deep_ensemble, mc_dropout, swag
from kd_uncertainty.teachers.collection import fit_teachers, posterior_logits
from kd_uncertainty.teachers.contract import Problem

from ..population.worlds import CPU, small_job

FAMILIES = ["ResNet8", "ResNet18", "ResNet50", "WRN16x1", "VGG8", "MobileNetV2"]
PIXELS, CLASSES = 3 * 8 * 8, 4


def builder(name, width=0.1, **arguments):
    return functools.partial(getattr(images, name), PIXELS, CLASSES, width=width, **arguments)


@pytest.fixture(scope="module")
def world():
    """22 images of 8 x 8 in colour, as rows, and three students with soft labels of their own."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(22, PIXELS, generator=generator)
    labels = torch.randint(0, CLASSES, (22,), generator=generator)
    targets = torch.softmax(2 * torch.randn(3, 22, CLASSES, generator=generator), -1)
    return inputs, labels, Cohort(targets, torch.tensor([0.5, 1.0, 0.0]), torch.ones(3), (1, 1, 2), (3, 4, 5))


@pytest.mark.parametrize("name", FAMILIES)
def test_an_epoch_of_every_family_is_a_function_of_the_student_alone(world, name):
    """Losses, parameters and statistics have the same bits whoever is trained beside, as rows and as images."""
    inputs, labels, cohort = world
    build, options = builder(name), TrainingOptions(epochs=1, batch_size=8)
    together = train(build, inputs, labels, cohort, options, chunk_size=3)
    alone = train(build, inputs, labels, cohort[1:2], options)
    as_images = train(build, inputs.view(-1, 3, 8, 8), labels, cohort[1:2], options)
    assert together.losses.isfinite().all()
    for trained in (alone, as_images):
        assert torch.equal(trained.losses[0], together.losses[1])
        for parameter, values in trained.parameters.items():
            assert torch.equal(values[0], together.parameters[parameter][1]), parameter
    means = [values for parameter, values in together.parameters.items() if parameter.endswith("running_mean")]
    assert means
    assert all(not torch.equal(values[0], values[1]) for values in means)
    logits = predict(build, together.parameters, inputs)
    for student in range(3):
        network = build().eval()
        network.load_state_dict({parameter: values[student] for parameter, values in together.parameters.items()})
        torch.testing.assert_close(logits[student], network(inputs).detach(), rtol=1e-4, atol=1e-4)


def test_running_statistics_are_those_of_each_students_own_features(world):
    """After one batch of all examples: a tenth of the mean of the first convolution, as it was before the step."""
    inputs, labels, cohort = world
    build, options = builder("ResNet8"), TrainingOptions(epochs=1, batch_size=22)
    trained = train(build, inputs, labels, cohort, options)
    initial = initial_states(build, cohort.initialisation_seeds, CPU)
    for student in range(3):
        weight = initial["body.0.weight"][student]
        features = torch.conv2d(inputs.view(-1, 3, 8, 8), weight, padding=1)
        running = (trained.parameters[f"body.1.{name}"][student] for name in ("running_mean", "running_var"))
        expected = 0.1 * features.mean((0, 2, 3)), 0.9 + 0.1 * features.var((0, 2, 3))
        torch.testing.assert_close(tuple(running), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_record_says_why_the_loop_trains_them(world, name):
    inputs, _, _ = world
    backend, reason = choose_backend(builder(name), "auto", inputs, CLASSES, TrainingOptions(), CPU)
    assert backend == "loop"
    assert reason.endswith("the network has batch normalisation")
    with pytest.raises(UserError, match="vmap cannot train these students: the network has batch normalisation"):
        choose_backend(builder(name), "vmap", inputs, CLASSES, TrainingOptions(), CPU)
    assert initialisation_kind(builder(name))[0] == "module"


@pytest.mark.parametrize("name", FAMILIES)
def test_with_group_normalisation_vmap_has_the_gradients_of_each_student(world, name):
    """On a GPU vmap takes such networks; here in float64 but for the loss, so that rounding is small."""
    inputs, labels, cohort = world
    build = builder(name, normalisation="group")
    inputs, network, on_a_gpu = (
        inputs.double(),
        build().double(),
        Facts("distillation", TrainingOptions(), torch.device("cuda")),
    )
    assert vmap.obstacle(network, on_a_gpu) is None
    assert "batch normalisation" in str(vmap.obstacle(builder(name)(), on_a_gpu))
    initial = initial_states(build, cohort.initialisation_seeds, CPU)
    state = {parameter: values.double() for parameter, values in initial.items()}
    step = vmap.make_step(network, "distillation", dropout_keys(cohort.order_seeds, CPU))
    stacked = (inputs.expand(3, -1, -1), labels.expand(3, -1), cohort.targets)
    gradients, losses = step(state, *stacked, torch.zeros(3), torch.ones(3))
    for student in range(3):
        network.load_state_dict({parameter: values[student] for parameter, values in state.items()})
        loss = cross_entropy(network(inputs).float(), labels)
        torch.testing.assert_close(losses[student], loss.detach())
        found = torch.cat([gradients[parameter][student].flatten() for parameter, _ in network.named_parameters()])
        expected = torch.cat([one.flatten() for one in torch.autograd.grad(loss, list(network.parameters()))])
        assert (found - expected).norm() < 1e-5 * expected.norm()


def test_a_job_of_a_table_trains_and_names_them_by_their_path():
    generator = np.random.default_rng(0)
    arguments = {"image_shape": [1, 4, 8], "width": 0.1}
    job = small_job(
        inputs=generator.normal(size=(90, 32)).astype(np.float32),
        prediction_inputs=generator.normal(size=(110, 32)).astype(np.float32),
        network_class="kd_uncertainty.networks.images.ResNet8",
        network_arguments=arguments,
        training=TrainingOptions(epochs=1, batch_size=45),
    )
    shard = job.train_shard(3, "loop", CPU, 32)
    assert shard["logits"].shape == (4, 110, 3)
    assert shard["parameters/body.1.num_batches_tracked"].tolist() == [2] * 4


def test_teachers_are_fitted_with_them(world):
    """Dropout and ensembles take batch normalisation; a distribution of weights takes group normalisation."""
    inputs, labels, _ = world
    path = "kd_uncertainty.networks.images.WRN16x1"

    def problem(**arguments):
        network = NetworkOptions.model_validate({"class": path, "arguments": {"width": 0.1, **arguments}})
        options = TrainingOptions(epochs=1, batch_size=11)
        return Problem(inputs, labels, inputs[:5], labels[:5], CLASSES, network, options, CPU)

    kinds = {"ensemble": deep_ensemble.Options(members=2), "dropout": mc_dropout.Options(rate=0.5)}
    fitted, _ = fit_teachers(problem(), kinds, seed=1)
    for teacher in fitted.values():
        logits = posterior_logits(teacher, inputs, range(2), seed=2)
        assert logits.shape == (2, 22, CLASSES)
        assert not torch.equal(logits[0], logits[1])
    small = {"swag": swag.Options(snapshots=3, rank=2)}
    with pytest.raises(UserError, match="has buffers"):
        fit_teachers(problem(), small, seed=1)
    fitted, _ = fit_teachers(problem(normalisation="group"), small, seed=1)
    assert posterior_logits(fitted["swag"], inputs, range(2), seed=2).isfinite().all()
