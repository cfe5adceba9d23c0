"""Teachers, students and their tokenizers as transformers' own classes."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
from typing import TYPE_CHECKING, Any

import torch

from kd_uncertainty.errors import UserError
from kd_uncertainty.language.layers import embedding_parameters, num_layers, perturb, spread_layers, truncate
from kd_uncertainty.language.options import ModelOptions, StudentModelOptions
from kd_uncertainty.language.pretrained import (
    dequantised,
    forget_quantisation,
    from_pretrained,
    import_transformers,
)
from kd_uncertainty.language.tiny import tiny_model, tiny_tokenizer
from kd_uncertainty.language.weights import TINY, find_weights, model_token

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = [
    "build_student",
    "check_same_tokenizer",
    "context_length",
    "load_model",
    "load_tokenizer",
    "model_facts",
    "model_token",
    "student_options",
    "vocabulary_digest",
]

UNLIMITED = 2**31 - 1
"""Context length of a model that states none."""

_CONTEXT = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length", "max_seq_len", "n_ctx")


def load_tokenizer(options: ModelOptions) -> PreTrainedTokenizerBase:
    """Return a model's tokenizer, which pads on the left, with the end of a text if it has no padding of its own.

    A process loads each once, and returns the same object again.

    Raises:
        UserError: if it is not there or cannot be read.
    """
    return _tokenizer(options.name, options.revision)


@functools.lru_cache(maxsize=4)
def _tokenizer(name: str, revision: str | None) -> PreTrainedTokenizerBase:
    transformers = import_transformers()
    if name == TINY:
        return tiny_tokenizer()
    tokenizer = from_pretrained(
        transformers.AutoTokenizer.from_pretrained,
        find_weights(name),
        what=f"tokenizer of the model '{name}'",
        revision=revision,
    )
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(options: ModelOptions, device: torch.device, dtype: torch.dtype | None = None) -> PreTrainedModel:
    """Return a causal language model, ready to be asked: without dropout and without gradients.

    Args:
        options: which. With ``device_map`` accelerate places its parts; ``device`` is not used then.
        device: where it goes.
        dtype: of its weights, in place of the options'.

    Raises:
        UserError: if its weights are not there or cannot be read.
    """
    precision = _dtype(options) if dtype is None else dtype
    if options.name == TINY:
        model: PreTrainedModel = tiny_model(options.seed)
        model = model.to(device=device, dtype=None if precision == "auto" else precision)
    else:
        model = _pretrained_model(options, precision)
        model = model if options.device_map else model.to(device)
    model.name_or_path = options.name
    return model.requires_grad_(False).eval()


def _pretrained_model(options: ModelOptions, precision: torch.dtype | str) -> PreTrainedModel:
    transformers = import_transformers()
    weights = find_weights(options.name)
    settings: dict[str, Any] = {"dtype": precision}
    if options.device_map:
        settings["device_map"] = options.device_map
    if weights.gguf is not None:
        settings |= dequantised()
    model = from_pretrained(
        transformers.AutoModelForCausalLM.from_pretrained,
        weights,
        what=f"model '{options.name}'",
        revision=options.revision,
        **settings,
    )
    if weights.gguf is not None:
        forget_quantisation(model)
    return model


def build_student(
    teacher: ModelOptions, student: StudentModelOptions, *, seed: int, device: torch.device
) -> PreTrainedModel:
    """Return an untrained student in float32 and training mode.

    A student without a name is a copy of the teacher with ``student.layers`` of its layers (``layers.spread_layers``);
    embeddings, the final norm and the head are copied. A named student is that model whole. The parameters that are
    trained then get the relative noise of ``layers.perturb``. A process reads the weights once; further students are
    copies, which share the parameters that are frozen.

    Args:
        teacher: whose layers are copied.
        student: which model, and how it starts.
        seed: of the perturbation.
        device: where the student goes.

    Raises:
        UserError: if weights are missing, or layers are named that the teacher does not have.
    """
    original = _original(teacher, student)
    frozen = [values for values in original.parameters() if not values.requires_grad]
    shared = {id(values): torch.nn.Parameter(values.data, requires_grad=False) for values in frozen}
    model = copy.deepcopy(original, shared)
    perturb(model, student.sigma, seed)
    return model.to(device).train()


@functools.lru_cache(maxsize=1)
def _original(teacher: ModelOptions, student: StudentModelOptions) -> PreTrainedModel:
    """The student before its perturbation, on the CPU."""
    options = student_options(teacher, student).model_copy(update={"device_map": None})
    model = load_model(options, torch.device("cpu"), torch.float32)
    if student.name is None:
        truncate(model, spread_layers(student.layers, num_layers(model)))
    model.requires_grad_(True)
    if student.freeze_embeddings:
        for values in embedding_parameters(model):
            values.requires_grad_(False)
    return model


def student_options(teacher: ModelOptions, student: StudentModelOptions) -> ModelOptions:
    """Return where a student's weights and tokenizer come from: the teacher, if it has no name of its own."""
    if student.name is None:
        return teacher
    return teacher.model_copy(update={"name": student.name, "revision": student.revision})


def check_same_tokenizer(
    teacher_tokenizer: PreTrainedTokenizerBase, student_tokenizer: PreTrainedTokenizerBase
) -> None:
    """Check that teacher and student have the same tokens with the same numbers.

    Raises:
        UserError: if they differ.
    """
    teacher, student = teacher_tokenizer.get_vocab(), student_tokenizer.get_vocab()
    if teacher == student:
        return
    different = sorted(token for token in teacher.keys() | student.keys() if teacher.get(token) != student.get(token))
    raise UserError(
        f"method token needs a student with the teacher's tokenizer, but {len(different)} tokens differ, the first is "
        f"{different[0]!r} (teacher: {_number(teacher, different[0])}, student: {_number(student, different[0])}); "
        "choose another students.model.name or leave out the method"
    )


def _number(vocabulary: dict[str, int], token: str) -> str:
    return f"number {vocabulary[token]}" if token in vocabulary else "not there"


def vocabulary_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the SHA-256 of a tokenizer's tokens with their numbers, as 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(sorted(tokenizer.get_vocab().items())).encode()).hexdigest()


def context_length(model: Any) -> int:
    """Return how many tokens a model sees at most, prompt and answer together.

    Args:
        model: a model or its configuration; one that states no length has none (``UNLIMITED``).
    """
    config = getattr(model, "config", model)
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    lengths = (getattr(config, name, None) for name in _CONTEXT)
    return next((int(length) for length in lengths if isinstance(length, int) and length > 0), UNLIMITED)


def model_facts(model: PreTrainedModel) -> dict[str, Any]:
    """Return what a reader wants to know of a model: its name, class, sizes, precision, place and context length."""
    first = next(model.parameters())
    return {
        "name": str(model.name_or_path or type(model).__name__),
        "class": type(model).__name__,
        "num_layers": num_layers(model),
        "num_parameters": sum(values.numel() for values in model.parameters()),
        "num_trainable": sum(values.numel() for values in model.parameters() if values.requires_grad),
        "vocabulary_size": int(model.config.get_text_config().vocab_size),
        "dtype": str(first.dtype).removeprefix("torch."),
        "device": str(first.device),
        "context_length": context_length(model),
    }


def _dtype(options: ModelOptions) -> torch.dtype | str:
    return "auto" if options.dtype == "auto" else getattr(torch, options.dtype)
