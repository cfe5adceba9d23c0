import pytest
import torch

from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.teachers.contract import Problem


@pytest.fixture(scope="session")
def problem():
    """Three Gaussian clusters in two dimensions."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(150) % 3
    centres = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    inputs = centres[labels] + torch.randn(150, 2, generator=generator)
    return Problem(
        inputs=inputs[:120],
        labels=labels[:120],
        validation_inputs=inputs[120:],
        validation_labels=labels[120:],
        num_classes=3,
        network=NetworkOptions.model_validate({"class": "kd_uncertainty.networks.MLP", "arguments": {"hidden": [16]}}),
        training=TrainingOptions(epochs=20, batch_size=20, learning_rate=0.01),
        device=torch.device("cpu"),
    )
