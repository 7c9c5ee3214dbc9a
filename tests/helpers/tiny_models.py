"""Random models of three families with two layers each, and their processors, without any hub.

They share a byte-level tokenizer without merges, so that one letter is one token and the vocabulary
is small, and the PIL image processors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3Processor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
)
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from creative4u.backbone.language import CHAT_TEMPLATE, IMAGE_TOKENS

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class _WithoutVideo:
    """Video processors need torchvision, which stills do not."""

    tokenizer: Any

    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> None:
        return None

    def save_pretrained(self, folder: str, **kwargs: Any) -> None:
        self.tokenizer.save_pretrained(folder)


class _Qwen25WithoutVideo(_WithoutVideo, Qwen2_5_VLProcessor):
    pass


class _Qwen3WithoutVideo(_WithoutVideo, Qwen3VLProcessor):
    pass


TEXT = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1}  # fmt: skip


def byte_tokenizer(end: str, pad: str, special: list[str]) -> PreTrainedTokenizerFast:
    """Every byte is a token, and so are the control tokens."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=end, pad_token=pad, additional_special_tokens=special
    )


def tiny_idefics3() -> tuple[Any, Any]:
    """Two layers of Llama behind one layer of vision, 4 tokens an image."""
    tokenizer = byte_tokenizer("<|im_end|>", "<|endoftext|>", ["<|im_start|>", *IMAGE_TOKENS])
    images = Idefics3ImageProcessorPil(
        do_resize=False, size={"longest_edge": 56}, max_image_size={"longest_edge": 56},
        do_image_splitting=False,
    )  # fmt: skip
    processor = Idefics3Processor(images, tokenizer, image_seq_len=4, chat_template=CHAT_TEMPLATE)
    config = Idefics3Config(
        text_config={"model_type": "llama", "vocab_size": len(tokenizer), **TEXT,
                     **_ends(tokenizer)},
        vision_config={"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 1,
                       "num_attention_heads": 2, "image_size": 56, "patch_size": 14},
        scale_factor=2, pad_token_id=tokenizer.pad_token_id, tie_word_embeddings=True,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    torch.manual_seed(0)
    return Idefics3ForConditionalGeneration(config), processor


QWEN = (
    "<|im_end|>",
    "<|endoftext|>",
    ["<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"],
)


def _vision_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    names = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>",
             "vision_start_token_id": "<|vision_start|>",
             "vision_end_token_id": "<|vision_end|>"}  # fmt: skip
    return {key: tokenizer.convert_tokens_to_ids(token) for key, token in names.items()}


def _ends(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    return {"pad_token_id": pad, "bos_token_id": pad, "eos_token_id": end}


def tiny_qwen25() -> tuple[Any, Any]:
    """Qwen2.5-VL: 28 pixels a token."""
    tokenizer = byte_tokenizer(*QWEN)
    images = Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=56 * 56)
    processor = _Qwen25WithoutVideo(images, tokenizer, chat_template=TEMPLATE)
    config = Qwen2_5_VLConfig(
        text_config={**TEXT, "vocab_size": len(tokenizer), **_ends(tokenizer),
                     "rope_parameters": {"rope_type": "default", "rope_theta": 1e4,
                                         "mrope_section": [2, 3, 3]}},
        vision_config={"depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2,
                       "out_hidden_size": 32, "fullatt_block_indexes": [0]},
        **_vision_ids(tokenizer),
    )  # fmt: skip
    torch.manual_seed(0)
    return Qwen2_5_VLForConditionalGeneration(config), processor


def tiny_qwen3() -> tuple[Any, Any]:
    """Qwen3-VL: 32 pixels a token, deep-stacked vision features."""
    tokenizer = byte_tokenizer(*QWEN)
    images = Qwen2VLImageProcessorPil(
        patch_size=16, merge_size=2, min_pixels=64 * 64, max_pixels=64 * 64
    )
    processor = _Qwen3WithoutVideo(images, tokenizer, chat_template=TEMPLATE)
    config = Qwen3VLConfig(
        text_config={**TEXT, "head_dim": 16, "vocab_size": len(tokenizer), **_ends(tokenizer),
                     "rope_parameters": {"rope_type": "default", "rope_theta": 1e4,
                                         "mrope_section": [2, 3, 3], "mrope_interleaved": True}},
        vision_config={"depth": 2, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2,
                       "out_hidden_size": 32, "patch_size": 16, "deepstack_visual_indexes": [0],
                       "num_position_embeddings": 16},
        **_vision_ids(tokenizer),
    )  # fmt: skip
    torch.manual_seed(0)
    return Qwen3VLForConditionalGeneration(config), processor


def picture_files(folder: Path, count: int) -> list[str]:
    """`count` PNG files of noise, drawn from a seed."""
    rng = np.random.default_rng(0)
    paths = [folder / f"{number}.png" for number in range(count)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    return [str(path) for path in paths]
