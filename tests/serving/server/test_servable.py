"""An adapter and its base merged for a server: the same logits, made once, named by its content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import Idefics3ForConditionalGeneration

from creative4u.errors import InputError
from creative4u.selector.config import FILE_NAME, JudgeConfig
from creative4u.serving.server.servable import merged_folder, servable


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
