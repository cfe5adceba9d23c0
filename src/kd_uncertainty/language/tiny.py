"""A tiny causal language model with a character tokenizer, built in memory: the real classes in milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.special import ndtri

from kd_uncertainty.language.pretrained import import_transformers
from kd_uncertainty.population.counter import INITIALISATION, as_seeds, philox_words
from kd_uncertainty.population.seeds import derive_seed

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PAD, BOS, EOS, UNKNOWN = "<pad>", "<bos>", "<eos>", "<unk>"
SPECIAL = (PAD, BOS, EOS, UNKNOWN)
CHARACTERS = ("\n", *map(chr, range(32, 127)))
"""What the tokenizer knows: the newline and printable ASCII. Every other character is unknown."""

CONTEXT = 256
"""Tokens that the tiny model sees."""

NUM_LAYERS = 4
_SCALES = {"embed_tokens": 6.0, "self_attn": 5.0}


def tiny_tokenizer() -> PreTrainedTokenizerBase:
    """Return a tokenizer with a token for each character, 100 in all; the text of its tokens is the text again."""
    from tokenizers import Tokenizer, decoders
    from tokenizers.models import BPE

    transformers = import_transformers()
    vocabulary = {token: index for index, token in enumerate((*SPECIAL, *CHARACTERS))}
    backend = Tokenizer(BPE(vocab=vocabulary, merges=[], unk_token=UNKNOWN, fuse_unk=False))
    backend.decoder = decoders.Fuse()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        unk_token=UNKNOWN,
        padding_side="left",
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def tiny_model(seed: int) -> PreTrainedModel:
    """Return a Llama of 4 layers and 32 dimensions with random weights, float32.

    Each weight matrix has elements ``scale / sqrt(columns)`` times standard normal numbers, which are a pure function
    of the seed and the matrix's name: the inverse normal distribution function at (word + 1/2) / 2^32 (see
    ``population.counter``). The scale is 6 for embeddings, whose rows are also the head, 5 for attention and else 1:
    so answers depend on the prompt, and those to one prompt are neither all equal nor noise.
    """
    transformers = import_transformers()
    config = transformers.LlamaConfig(
        vocab_size=len(SPECIAL) + len(CHARACTERS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=NUM_LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        pad_token_id=SPECIAL.index(PAD),
        bos_token_id=SPECIAL.index(BOS),
        eos_token_id=SPECIAL.index(EOS),
    )
    with torch.random.fork_rng(devices=[]):  # the constructor draws weights too, which are overwritten
        model = transformers.LlamaForCausalLM(config)
    for name, values in model.named_parameters():
        if values.dim() > 1:
            scale = next((scale for part, scale in _SCALES.items() if part in name), 1.0)
            values.data.copy_(normals(derive_seed(seed, "tiny", name), values.shape) * scale / values.shape[1] ** 0.5)
    return model.eval()


def normals(seed: int, shape: torch.Size) -> torch.Tensor:
    """Return standard normal numbers, float32, that are a pure function of the seed; more begin with the same ones.

    Element ``j`` is the inverse normal distribution function at ``(word_j + 1/2) / 2^32``, computed in float64, with
    the words of stream 0 for the purpose INITIALISATION (see ``population.counter``).
    """
    words = philox_words(as_seeds([seed]), 0, INITIALISATION, shape.numel())[0]
    return torch.from_numpy(ndtri((words + 0.5) * 2.0**-32).astype(np.float32)).view(shape)
