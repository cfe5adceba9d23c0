"""Students made of a teacher's layers, and the perturbation of where they start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from kd_uncertainty.errors import UserError
from kd_uncertainty.language.tiny import normals
from kd_uncertainty.population.seeds import derive_seed

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def spread_layers(wanted: int | Sequence[int], num_layers: int) -> tuple[int, ...]:
    """Return the layers that a truncated copy keeps, in the order of depth.

    ``n`` layers of ``L`` are ``floor(i (L - 1) / (n - 1) + 1/2)`` for ``i = 0 .. n-1``, spread evenly from the first to
    the last; a single one is the first. A list is taken as it is.

    Args:
        wanted: how many, or which, from 0.
        num_layers: L, of the teacher.

    Raises:
        UserError: if the teacher has fewer layers.
    """
    if not isinstance(wanted, int):
        kept = tuple(sorted(wanted))
        if kept[-1] >= num_layers:
            raise UserError(
                f"students.model.layers names layer {kept[-1]}, but the teacher has layers 0 to {num_layers - 1}; name "
                "those only"
            )
        return kept
    if wanted > num_layers:
        raise UserError(
            f"students.model.layers is {wanted}, but the teacher has {num_layers} layers; take at most {num_layers}"
        )
    gaps = max(wanted - 1, 1)
    return tuple((2 * i * (num_layers - 1) + gaps) // (2 * gaps) for i in range(wanted))


def truncate(model: PreTrainedModel, layers: Sequence[int]) -> PreTrainedModel:
    """Keep some layers of a model, in place: embeddings, the final norm and the head stay as they are.

    Args:
        model: a causal language model, whose decoder is a list of layers.
        layers: that stay, in the order of depth.

    Raises:
        UserError: if the model's class has no such list.
    """
    owner, name = _layer_list(model)
    old = getattr(owner, name)
    setattr(owner, name, nn.ModuleList(old[layer] for layer in layers))
    for position, layer in enumerate(getattr(owner, name)):
        for module in layer.modules():  # the position of a layer in the cache of keys and values
            if hasattr(module, "layer_idx"):
                module.layer_idx = position
    config = model.config.get_text_config()
    types = getattr(config, "layer_types", None)
    config.num_hidden_layers = len(layers)
    if types is not None:
        config.layer_types = [types[layer] for layer in layers]
    return model


def num_layers(model: PreTrainedModel) -> int:
    """Return the number of layers of a model's decoder."""
    return int(model.config.get_text_config().num_hidden_layers)


def embedding_parameters(model: PreTrainedModel) -> list[nn.Parameter]:
    """Return the parameters of the input embeddings and of the head, each once: they may be the same."""
    modules = (model.get_input_embeddings(), model.get_output_embeddings())
    found = {id(values): values for module in modules if module is not None for values in module.parameters()}
    return list(found.values())


@torch.no_grad()
def perturb(model: nn.Module, sigma: float, seed: int) -> None:
    """Perturb every parameter that requires a gradient in place: ``W <- W (1 + sigma eps)``, eps ~ N(0, 1).

    The eps of a parameter are a pure function of the seed and its name; with sigma 0 nothing changes. Frozen parameters
    stay as they are, and so do zeros.

    Args:
        model: to perturb.
        sigma: relative standard deviation of each element.
        seed: of the initialisation.
    """
    if sigma == 0:
        return
    for name, values in model.named_parameters():
        if values.requires_grad:
            noise = normals(derive_seed(seed, "perturbation", name), values.shape)
            values.mul_(noise.mul_(sigma).add_(1.0).to(values))


def _layer_list(model: Any) -> tuple[Any, str]:
    """Return the module that holds the decoder's layers, and the name by which it holds them."""
    expected = num_layers(model)
    for owner in model.modules():
        for name, child in owner.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == expected:
                return owner, name
    raise UserError(
        f"a {type(model).__name__} has no list of {expected} layers to take some from; name the student's model in "
        "students.model.name"
    )
