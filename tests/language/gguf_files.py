"""A Llama as a GGUF file, written by the rules of llama.cpp."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
}


def write_gguf(model: Any, tokenizer: Any, path: Path) -> None:
    """Write a tied Llama and the tokens of its tokenizer to ``path``, unquantised."""
    from gguf import GGUFWriter

    config, writer = model.config, GGUFWriter(path, "llama")
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    writer.add_name("tiny")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokenizer.convert_ids_to_tokens(range(config.vocab_size)))
    for name, values in model.named_parameters():
        place, array = _renamed(name), values.numpy()
        part = place.split(".")[-2]
        writer.add_tensor(place, _interleaved(array, heads[part]) if part in heads else array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _renamed(name: str) -> str:
    for theirs, ours in _NAMES.items():
        name = name.replace(theirs, ours)
    return name.replace("model.layers.", "blk.")


def _interleaved(weights: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head in the order of llama.cpp's rotary embedding: the two halves alternate."""
    rows = weights.reshape(heads, 2, -1, weights.shape[1])
    return np.ascontiguousarray(rows.swapaxes(1, 2).reshape(weights.shape))
