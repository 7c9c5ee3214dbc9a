"""The composed base: the same bytes everywhere, the language model unharmed, images bound."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from creative4u.backbone import compose, language, vision

# sha256 of model.safetensors as composed on the reference machine
MODEL_SHA256 = "e49b47f703878f868d31348be6c772d94a3c6d8d580d169835dd90057cb733e9"
TWO_IMAGES = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "A: "},
            {"type": "image"},
            {"type": "text", "text": "B: "},
            {"type": "image"},
        ],
    }
]


def test_every_machine_composes_the_same_bytes(base_folder: Path) -> None:
    recorded = json.loads((base_folder / "base.json").read_text())
    with (base_folder / "model.safetensors").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == MODEL_SHA256
    assert recorded["model_sha256"] == MODEL_SHA256
    assert recorded["scale_factor"] == 2


def test_greedy_continuation_equals_the_gguf_model(
    base_model: Any, base_processor: Any, gguf_language_model: Any
) -> None:
    prompt = [{"role": "user", "content": "Name three things that 2 red shoes of 1999 need."}]
    inputs = base_processor.tokenizer.apply_chat_template(
        prompt, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    asked = {**inputs, "max_new_tokens": 12, "do_sample": False}
    ours, theirs = base_model.generate(**asked), gguf_language_model.generate(**asked)
    assert ours.shape[1] > inputs["input_ids"].shape[1] + 5
    assert torch.equal(ours, theirs)


def test_logits_of_known_tokens_equal_the_gguf_model(
    base_model: Any, gguf_language_model: Any
) -> None:
    ids = torch.arange(1000, 1032)[None]
    with torch.inference_mode():
        ours = base_model(input_ids=ids).logits[..., :49152]
        theirs = gguf_language_model(input_ids=ids).logits
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_chat_template_is_chatml_with_image_parts(base_processor: Any) -> None:
    rendered = base_processor.apply_chat_template(
        [*TWO_IMAGES, {"role": "assistant", "content": "A"}], add_generation_prompt=True
    )
    assert rendered == (
        "<|im_start|>user\nA: <image>B: <image><|im_end|>\n"
        "<|im_start|>assistant\nA<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_prompt_holds_64_tokens_an_image(
    base_processor: Any, base_model: Any, pictures: list[Image.Image]
) -> None:
    text = base_processor.apply_chat_template(TWO_IMAGES, add_generation_prompt=True)
    inputs = base_processor(images=pictures[:2], text=text, return_tensors="pt")
    image_id = base_model.config.image_token_id
    assert (inputs["input_ids"] == image_id).sum() == 2 * 64
    assert inputs["pixel_values"].shape == (1, 2, 3, 224, 224)


def test_the_16_token_variant_composes(
    base_processor: Any, gguf_language_model: Any, pictures: list[Image.Image]
) -> None:
    config = compose.BaseConfig(scale_factor=4)
    tokenizer = base_processor.tokenizer
    model = compose.assemble(config, tokenizer, gguf_language_model, vision.tower_state())
    processor = compose.processor(config, tokenizer)
    text = processor.apply_chat_template(TWO_IMAGES, add_generation_prompt=True)
    inputs = processor(images=pictures[:2], text=text, return_tensors="pt")
    assert (inputs["input_ids"] == model.config.image_token_id).sum() == 2 * 16
    with torch.inference_mode():
        features = model.model.get_image_features(inputs["pixel_values"]).pooler_output
    assert features.shape == (2, 16, 576)
    assert config.folder != compose.BaseConfig().folder


def test_image_tokens_are_as_loud_as_words(base_model: Any, pictures: list[Image.Image]) -> None:
    words = base_model.get_input_embeddings().weight.detach()[:49152]
    with torch.inference_mode():
        seen = base_model.model.get_image_features(vision.pixels(pictures)[None]).pooler_output
    assert words.std().item() == pytest.approx(compose.TOKEN_STD, rel=0.01)
    assert seen.std().item() == pytest.approx(words.std().item(), rel=0.3)


def test_the_base_never_writes_an_image_token(base_model: Any, base_processor: Any) -> None:
    ids = base_processor.tokenizer.convert_tokens_to_ids(list(language.IMAGE_TOKENS))
    assert ids == [49152, 49153, 49154, 49155]
    assert base_model.generation_config.suppress_tokens == ids


def test_padding_is_not_the_end_of_a_turn(base_processor: Any) -> None:
    tokenizer = base_processor.tokenizer
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<|endoftext|>", "<|im_end|>")
    assert tokenizer.padding_side == "left"


def test_uniform_is_the_raw_stream_of_pcg64() -> None:
    numbers = compose.uniform(7, (1000, 100), 0.5)
    expected = np.random.Generator(np.random.PCG64(7)).random(3)  # the same 53 bits
    np.testing.assert_allclose(numbers[0, :3], (2 * expected - 1) * 0.5 * 3**0.5, rtol=1e-6)
    assert numbers.std() == pytest.approx(0.5, rel=0.01)


def test_another_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="scale_factor is 2 or 4, not 3"):
        compose.BaseConfig(scale_factor=3)
