"""What the tests of several serving rooms share: a small adapter on a small base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import Idefics3Config, Idefics3ForConditionalGeneration

from creative4u.selector.config import FILE_NAME, JudgeConfig


@pytest.fixture
def adapter(tmp_path: Path, base_processor: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A LoRA of random numbers on an Idefics3 of two thin layers."""
    monkeypatch.setenv("CREATIVE4U_HOME", str(tmp_path / "home"))
    torch.manual_seed(0)
    thin = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    config = Idefics3Config(
        text_config={
            "model_type": "llama", "num_attention_heads": 2, "num_key_value_heads": 1,
            "vocab_size": len(base_processor.tokenizer), "max_position_embeddings": 512, **thin,
        },
        vision_config={
            "num_attention_heads": 2, "image_size": 224, "patch_size": 14, **thin,
        },
        scale_factor=2, image_token_id=base_processor.image_token_id, tie_word_embeddings=True,
    )  # fmt: skip
    model = Idefics3ForConditionalGeneration(config)
    base = tmp_path / "base"
    model.save_pretrained(base)
    base_processor.save_pretrained(base)
    lora = LoraConfig(
        r=2, init_lora_weights=False, task_type="CAUSAL_LM",
        target_modules=r".*text_model.*\.(q|v)_proj", modules_to_save=["connector"],
    )  # fmt: skip
    trained = get_peft_model(model, lora)
    folder = tmp_path / "adapter"
    trained.save_pretrained(folder)
    settings = folder / "adapter_config.json"
    content = json.loads(settings.read_text()) | {"base_model_name_or_path": str(base)}
    settings.write_text(json.dumps(content))
    (folder / FILE_NAME).write_text(JudgeConfig(observe=False).model_dump_json())
    return folder
