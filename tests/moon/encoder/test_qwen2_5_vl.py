"""Qwen2.5-VL as the encoder, by a tiny model with random weights in the real one's classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2_5_VLConfig, Qwen2_5_VLModel
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.encoder import Encoder, EncoderConfig, load_encoder
from creative4u.moon.encoder.qwen2_5_vl import AFTER, BEFORE, IMAGE, QwenBackbone

WORDS = ["[PAD]", "[UNK]", BEFORE, IMAGE, AFTER, "a", "red", "shoe", "lamp", "for", "men"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(WORDS), "hidden_size": 32, "intermediate_size": 48,
            "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1,
            "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3],
                                "rope_theta": 1e4},
        },
        vision_config={
            "depth": 2, "hidden_size": 16, "intermediate_size": 24, "num_heads": 2,
            "out_hidden_size": 32, "fullatt_block_indexes": [1], "window_size": 56,
        },
        image_token_id=WORDS.index(IMAGE), video_token_id=10**6,
        vision_start_token_id=WORDS.index(BEFORE), vision_end_token_id=WORDS.index(AFTER),
    )  # fmt: skip
    Qwen2_5_VLModel(config).save_pretrained(folder)
    plain = Tokenizer(models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=plain, unk_token="[UNK]", pad_token="[PAD]",
        additional_special_tokens=[BEFORE, IMAGE, AFTER],
    ).save_pretrained(folder)  # fmt: skip
    Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=56 * 56).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def encoder(base: Path) -> Encoder:
    torch.manual_seed(1)
    config = EncoderConfig(
        backbone="qwen", base=str(base), layers=2, dim=16, dims=(8, 16), experts=2, rank=2
    )
    return Encoder(config)


def contents() -> list[Content]:
    image = Image.new("RGB", (60, 40), (200, 30, 30))
    return [
        Content("a red shoe for men"),
        Content(image=image),
        Content("a shoe", image),
        Content(f"{IMAGE} a lamp"),  # typed markup stands for no image
    ]


def test_a_batch_of_one_is_a_batch_of_many(encoder: Encoder) -> None:
    vectors = encoder.encode(contents())
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    one_by_one = np.concatenate([encoder.encode([content]) for content in contents()])
    assert one_by_one == pytest.approx(vectors, abs=1e-4)
    assert vectors[3] == pytest.approx(encoder.encode([Content("a lamp")])[0], abs=1e-4)


def test_the_first_word_sees_the_last(encoder: Encoder) -> None:
    backbone = encoder.backbone
    assert isinstance(backbone, QwenBackbone)
    with torch.inference_mode():
        first = [
            backbone(**backbone.collate([Content(text)]))[0][0, 0]
            for text in ("a red shoe", "a red lamp")
        ]
    assert not torch.allclose(first[0], first[1], atol=1e-4)


def test_vision_stays_frozen_and_a_saved_one_is_loaded(encoder: Encoder, tmp_path: Path) -> None:
    trained = {name for name, one in encoder.named_parameters() if one.requires_grad}
    assert not any(".visual." in name for name in trained)
    assert "backbone.model.language_model.layers.1.mlp.gate.weight" in trained
    file = encoder.save(tmp_path / "e.safetensors")
    assert np.allclose(load_encoder(file).encode(contents()), encoder.encode(contents()), atol=1e-5)
