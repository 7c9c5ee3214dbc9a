"""A vision-language model as the encoder: bidirectional, padded or not, with experts or without."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.encoder import Encoder, EncoderConfig
from creative4u.moon.encoder.idefics3 import VLMBackbone


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.manual_seed(0)
    config = EncoderConfig(backbone="vlm", layers=2, dim=64, dims=(32, 64), experts=2, rank=2)
    return Encoder(config)


def contents() -> list[Content]:
    image = Image.new("RGB", (60, 40), (200, 30, 30))
    return [
        Content("a red trail running shoe for men"),
        Content(image=image),
        Content("a shoe", image),
        Content("a lamp"),
    ]


def test_a_batch_of_one_is_a_batch_of_many(encoder: Encoder) -> None:
    vectors = encoder.encode(contents())
    assert vectors.shape == (4, 64)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    one_by_one = np.concatenate([encoder.encode([content]) for content in contents()])
    assert one_by_one == pytest.approx(vectors, abs=1e-4)


def test_the_first_word_sees_the_last(encoder: Encoder) -> None:
    backbone = encoder.backbone
    assert isinstance(backbone, VLMBackbone)
    first = []
    with torch.inference_mode():
        for text in ("a red shoe", "a red lamp"):
            hidden, mask = backbone(**backbone.collate([Content(text)]))
            assert mask.all()
            first.append(hidden[0, 0])
    assert not torch.allclose(first[0], first[1], atol=1e-3)


def test_only_language_and_experts_are_trained(encoder: Encoder) -> None:
    trained = {name for name, one in encoder.named_parameters() if one.requires_grad}
    assert not any(".vision_model." in name for name in trained)
    assert "backbone.model.text_model.layers.1.mlp.gate.weight" in trained
    assert "backbone.model.text_model.layers.0.mlp.gate.weight" not in trained
    assert not any(".vision_model." in name for name in encoder.own_state())
