"""The tiny language model, which is built once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from kd_uncertainty.language.models import load_model, load_tokenizer
from kd_uncertainty.language.options import ModelOptions

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Tiny:
    """Its options, tokenizer and model; nothing may change them."""

    options: ModelOptions
    tokenizer: Any
    model: Any


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    pytest.importorskip("transformers", reason="needs the extra [language]")
    options = ModelOptions(name="tiny", dtype="float32")
    return Tiny(options, load_tokenizer(options), load_model(options, CPU))
