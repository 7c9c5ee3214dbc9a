"""A plain adapter is merged as PEFT merges it, bit for bit; another kind is left to PEFT."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn

from creative4u.selector.lora import is_plain, merged_lora


class Tiny(nn.Module):
    """Two layers to adapt and one that is trained whole."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(24, 40)
        self.second = nn.Linear(40, 24, bias=False)
        self.connector = nn.Linear(24, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.connector(self.second(self.first(x)))


def adapter(folder: Path, **options: Any) -> tuple[nn.Module, Path]:
    """A random model, and an adapter of it on disk whose matrices are random as well."""
    torch.manual_seed(3)
    base = Tiny()
    config = LoraConfig(r=4, lora_alpha=6, target_modules=["first", "second"],
                        modules_to_save=["connector"], **options)  # fmt: skip
    adapted = get_peft_model(copy.deepcopy(base), config)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name or "modules_to_save" in name:
            nn.init.normal_(parameter)
    adapted.save_pretrained(folder)
    return base, folder


@pytest.mark.parametrize("options", [{}, {"use_dora": True}, {"use_rslora": True}])
def test_merged_as_peft_merges(tmp_path: Path, options: dict[str, Any]) -> None:
    base, folder = adapter(tmp_path, **options)
    theirs = PeftModel.from_pretrained(copy.deepcopy(base), str(folder)).merge_and_unload()
    before = base.first.weight.clone()
    ours = merged_lora(base, folder)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], tensor), name
    assert not torch.equal(ours.first.weight, before)


@pytest.mark.parametrize(
    ("change", "plain"),
    [
        ({}, True),
        ({"lora_dropout": 0.1}, True),
        ({"use_dora": True}, False),
        ({"use_rslora": True}, False),
        ({"rank_pattern": {"first": 2}}, False),
        ({"bias": "all"}, False),
        ({"init_lora_weights": "pissa"}, False),
        ({"peft_type": "IA3"}, False),
        ({"a_setting_of_tomorrow": 1}, False),
    ],
)
def test_only_what_is_known_is_plain(tmp_path: Path, change: dict[str, Any], plain: bool) -> None:
    _, folder = adapter(tmp_path)
    config = json.loads((folder / "adapter_config.json").read_text())
    assert is_plain(config | change) is plain
