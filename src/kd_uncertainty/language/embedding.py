"""Answers as vectors of unit length, whose inner products are cosine similarities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from kd_uncertainty.errors import UserError
from kd_uncertainty.language.models import context_length
from kd_uncertainty.language.options import CHARACTERS, EmbeddingOptions
from kd_uncertainty.language.pretrained import from_pretrained, import_transformers
from kd_uncertainty.language.weights import find_weights

_NGRAMS = (2, 4)

Embeddings = NDArray[np.float32]


def embed(texts: Sequence[str], options: EmbeddingOptions, device: torch.device) -> Embeddings:
    """Return the embeddings of texts, (texts, dimensions), rows of unit length.

    A model's embedding is the mean of its last hidden states over the tokens of the text, normalised: ``e = h / |h|``,
    ``h = sum_t m_t h_t / sum_t m_t`` with the attention mask m (Reimers & Gurevych 2019, "Sentence-BERT", section 3);
    texts beyond the model's context are cut. ``characters`` counts hashed 2- to 4-grams of characters within words
    (Weinberger et al. 2009, "Feature hashing for large scale multitask learning"), normalised: spelling, not meaning,
    and no model. Equal texts are embedded once.

    Raises:
        UserError: if the model is not there, cannot be read, or cannot be used like this.
    """
    unique = sorted(set(texts))
    rows = {text: row for row, text in enumerate(unique)}
    vectors = _characters(unique, options) if options.model == CHARACTERS else _sentences(unique, options, device)
    return vectors[[rows[text] for text in texts]]


def embedding_table(texts: Sequence[str], options: EmbeddingOptions, device: torch.device) -> pd.DataFrame:
    """Return a table of different texts, sorted: text, embedding (an array of float32 of unit length)."""
    unique = sorted(set(texts))
    return pd.DataFrame({"text": pd.Series(unique, dtype=object), "embedding": list(embed(unique, options, device))})


def lookup(table: pd.DataFrame, texts: Sequence[str]) -> Embeddings:
    """Return the embeddings of texts, (texts, dimensions), from :func:`embedding_table`.

    Raises:
        UserError: if the table lacks a text.
    """
    rows = {text: row for row, text in enumerate(table["text"])}
    if (missing := next((text for text in texts if text not in rows), None)) is not None:
        raise UserError(f"the table of embeddings lacks the text {missing!r}; make it again from all answers")
    if not rows:
        return np.empty((0, 0), dtype=np.float32)
    vectors = np.stack([np.asarray(vector, dtype=np.float32) for vector in table["embedding"]])
    return vectors[[rows[text] for text in texts]]


def _characters(texts: Sequence[str], options: EmbeddingOptions) -> Embeddings:
    from sklearn.feature_extraction.text import HashingVectorizer

    vectoriser = HashingVectorizer(analyzer="char_wb", ngram_range=_NGRAMS, n_features=options.characters_dim)
    return _unit(vectoriser.transform(texts).toarray() if texts else np.empty((0, options.characters_dim)))


@torch.inference_mode()
def _sentences(texts: Sequence[str], options: EmbeddingOptions, device: torch.device) -> Embeddings:
    tokenizer, model = _encoder(options.model, device)
    longest = min(int(tokenizer.model_max_length), context_length(model))
    vectors = np.empty((len(texts), int(model.config.get_text_config().hidden_size)), dtype=np.float32)
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))  # so that little is padded
    for first in range(0, len(order), options.batch_size):
        rows = order[first : first + options.batch_size]
        batch = tokenizer(
            [texts[row] for row in rows], padding=True, truncation=True, max_length=longest, return_tensors="pt"
        ).to(device)
        hidden = model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        vectors[rows] = mean.float().cpu().numpy()
    return _unit(vectors)


def _encoder(name: str, device: torch.device) -> tuple[Any, Any]:
    transformers = import_transformers()
    weights = find_weights(name)
    what = f"embedding model '{name}'"
    tokenizer = from_pretrained(transformers.AutoTokenizer.from_pretrained, weights, what=f"tokenizer of the {what}")
    model = from_pretrained(transformers.AutoModel.from_pretrained, weights, what=what, dtype=torch.float32)
    if getattr(model.config, "is_encoder_decoder", False):
        raise UserError(f"the {what} has an encoder and a decoder; name one with an encoder only")
    tokenizer.padding_side = "right"  # on the left it would move the words of models with absolute positions
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, model.to(device).eval()


def _unit(vectors: NDArray[Any]) -> Embeddings:
    """Scale rows to unit length; a row of zeros, a text with nothing to count, becomes the first unit vector."""
    vectors = np.array(vectors, dtype=np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[lengths[:, 0] == 0, :1] = 1.0
    return np.asarray(vectors / np.where(lengths == 0, 1.0, lengths), dtype=np.float32)
