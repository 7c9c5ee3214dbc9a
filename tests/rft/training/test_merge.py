"""Merging: what is written says what base and adapter said, or nothing is written."""

import json
from pathlib import Path

import pytest
import torch
from tiny_models import tiny_idefics3
from transformers import AutoModelForImageTextToText

from creative4u.errors import InputError
from creative4u.selector.config import FILE_NAME, JudgeConfig, read_config
from rft.recipe import Lora
from rft.training import merge
from rft.training.merge import DriftError, Parity, parity
from rft.training.policy import save_adapter, with_lora


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """An adapter that does something, on a tiny base in a folder beside it."""
    model, processor = tiny_idefics3()
    base = tmp_path / "base"
    model.save_pretrained(base)
    processor.save_pretrained(base)
    policy = with_lora(model, Lora(rank=2, alpha=4, connector=True))
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in policy.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    save_adapter(policy, tmp_path / "adapter", str(base))
    config = JudgeConfig(
        observe=False, use_pixels=False, use_title_match=False, image_side=64, lm_scale=2
    )
    (tmp_path / "adapter" / FILE_NAME).write_text(config.model_dump_json())
    return tmp_path / "adapter"


def test_the_merged_folder_loads_and_says_the_same(adapter: Path, tmp_path: Path) -> None:
    report = merge.main(adapter, tmp_path / "merged")
    assert report["max_abs_difference"] < 1e-4
    assert report["same_greedy_text"]
    assert read_config(tmp_path / "merged").lm_scale == 2
    kept = json.loads((tmp_path / "merged" / "parity.json").read_text())
    assert kept["logits"] == report["logits"] > 0
    base = AutoModelForImageTextToText.from_pretrained(tmp_path / "base")
    read = AutoModelForImageTextToText.from_pretrained(tmp_path / "merged")
    processor = tiny_idefics3()[1]
    plain = merge.told(base.eval(), processor, 64)[0]
    assert (merge.told(read.eval(), processor, 64)[0] - plain).abs().max() > 1e-2
    with pytest.raises(InputError, match="exists"):
        merge.main(adapter, tmp_path / "merged")


def test_a_merge_that_drifts_is_refused_and_leaves_nothing(
    adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "TOLERANCE", 0.0)
    monkeypatch.setattr(Parity, "holds", property(lambda found: False))
    with pytest.raises(DriftError, match="nothing was written"):
        merge.main(adapter, tmp_path / "merged")
    assert not list(tmp_path.glob("merged*"))


def test_parity_by_hand() -> None:
    one = (torch.tensor([[1.0, 2.0]]), "so")
    near = parity(one, (torch.tensor([[1.0, 2.0009]]), "so"))
    assert near.max_abs_difference == pytest.approx(9e-4, rel=1e-2)
    assert near.holds
    assert not parity(one, (torch.tensor([[1.0, 2.002]]), "so")).holds
    assert not parity(one, (one[0], "other")).holds


def test_a_folder_without_an_adapter_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="adapter_config"):
        merge.main(tmp_path, tmp_path / "merged")
