"""An adapter and its base merged for a server: the same logits, made once, named by its content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import Idefics3Config, Idefics3ForConditionalGeneration

from creative4u.errors import InputError
from creative4u.selector.config import FILE_NAME, JudgeConfig
from creative4u.serving.server.servable import merged_folder, servable


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


def test_the_merged_folder_says_what_base_and_adapter_say(
    adapter: Path, base_processor: Any, pictures: list[Any]
) -> None:
    served = servable(str(adapter))
    folder = Path(served.source)
    assert served.name == str(adapter)
    assert json.loads((folder / FILE_NAME).read_text())["observe"] is False
    base = Idefics3ForConditionalGeneration.from_pretrained(adapter.parent / "base")
    apart = PeftModel.from_pretrained(base, str(adapter)).eval()
    inputs = base_processor(text=["<image> a boot"], images=[[pictures[0]]], return_tensors="pt")
    with torch.inference_mode():
        expected = apart(**inputs).logits
        whole = Idefics3ForConditionalGeneration.from_pretrained(folder).eval()
        plain = base.eval()
        got = whole(**inputs).logits
    assert (got - expected).abs().max() < 1e-4
    with apart.disable_adapter(), torch.inference_mode():
        assert (plain(**inputs).logits - got).abs().max() > 1e-2  # the adapter does something
    made = folder.stat().st_mtime_ns
    assert merged_folder(adapter) == folder
    assert folder.stat().st_mtime_ns == made
    (adapter / FILE_NAME).write_text(JudgeConfig(observe=False, margin=0.2).model_dump_json())
    assert merged_folder(adapter) != folder


def test_what_is_no_adapter_is_served_as_it_is(tmp_path: Path) -> None:
    assert servable("Qwen/Qwen2.5-VL-7B-Instruct").source == "Qwen/Qwen2.5-VL-7B-Instruct"
    (tmp_path / "config.json").write_text("{}")
    assert servable(str(tmp_path)).source == str(tmp_path.resolve())
    with pytest.raises(InputError, match="no model 'nonsense'"):
        servable("nonsense")
