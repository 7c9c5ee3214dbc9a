"""Merge base and adapter into one folder that any server loads; refuse a drift of logits.

Run: creative4u rft merge runs/sft-160m/1-pairs --out runs/merged

The sums are taken in float32. On a probe prompt with two images, the logits of base + adapter and
of the merged model as read back from disk may differ by at most TOLERANCE, and both must go on
with the same greedy text; otherwise nothing is written.
"""

from __future__ import annotations

import gc
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from peft.utils import ModulesToSaveWrapper
from PIL import Image
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor

from creative4u.backbone.names import base_folder
from creative4u.errors import Creative4UError, InputError
from creative4u.selector.config import FILE_NAME, read_config
from creative4u.selector.decoding import speculation
from creative4u.selector.protocol.prompt import comparison_messages

TOLERANCE = 1e-3  # of a logit
GREEDY_TOKENS = 24


class DriftError(Creative4UError):
    """The merged model is not the model that was trained."""

    code = "drift"


@dataclass(frozen=True)
class Parity:
    """How far two models are apart on the probe prompt."""

    logits: int  # compared
    max_abs_difference: float
    same_greedy_text: bool
    text: str

    @property
    def holds(self) -> bool:
        return self.max_abs_difference <= TOLERANCE and self.same_greedy_text


@torch.no_grad()
def write_merged(policy: PeftModel, copy: torch.nn.Module) -> None:
    """Write base + adapter into `copy`, a plain model of the same base, from scratch each time.

    GRPO's rollouts use it every step: merging and unmerging in place would add up rounding.
    """
    own = dict(copy.named_modules())
    for name, module in policy.get_base_model().named_modules():
        if isinstance(module, LoraLayer):
            target = own[name]
            target.weight.copy_(module.get_base_layer().weight + module.get_delta_weight("default"))
        elif isinstance(module, ModulesToSaveWrapper):
            own[name].load_state_dict(module.modules_to_save["default"].state_dict())


def probe_inputs(processor: Any, image_side: int | None) -> dict[str, Tensor]:
    """One comparison prompt with two drawn images, as every judge gets it."""
    rng = np.random.default_rng(0)
    side = image_side or 224
    images = [Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)) for _ in range(2)]
    text = processor.apply_chat_template(
        comparison_messages("Red rubber boot, size 38", ("boots",)), add_generation_prompt=True
    )
    return dict(processor(text=[text], images=[images], return_tensors="pt"))


@torch.inference_mode()
def told(model: Any, processor: Any, image_side: int | None) -> tuple[Tensor, str]:
    """Logits (T, V) of the probe prompt and the greedy text after it."""
    inputs = probe_inputs(processor, image_side)
    logits = model(**inputs).logits[0].float()
    written = model.generate(**inputs, max_new_tokens=GREEDY_TOKENS, do_sample=False)
    ids = written[0, inputs["input_ids"].shape[1] :]
    return logits, processor.tokenizer.decode(ids)


def parity(one: tuple[Tensor, str], other: tuple[Tensor, str]) -> Parity:
    """What `told` says of two models, compared."""
    difference = (one[0] - other[0]).abs().max().item()
    return Parity(one[0].numel(), difference, one[1] == other[1], one[1])


def main(adapter: Path, out: Path) -> dict[str, Any]:
    """Merge, check against base + adapter, write; raises DriftError and leaves nothing behind."""
    if not (adapter / "adapter_config.json").is_file():
        raise InputError(f"{adapter} holds no adapter_config.json")
    if out.exists():
        raise InputError(f"{out} exists; choose another folder")
    side = read_config(adapter).image_side
    model, processor = _float32(adapter)
    model = PeftModel.from_pretrained(model, str(adapter)).eval()
    before = told(model, processor, side)
    merged = model.merge_and_unload()
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        merged.save_pretrained(part)
        processor.save_pretrained(part)
        for name in (FILE_NAME, speculation.FILE_NAME):
            if (adapter / name).is_file():
                shutil.copy(adapter / name, part / name)
        del model, merged
        gc.collect()
        read = AutoModelForImageTextToText.from_pretrained(part, dtype=torch.float32).eval()
        found = parity(before, told(read, processor, side))
        if not found.holds:
            raise DriftError(
                f"merged and base + adapter differ by {found.max_abs_difference:.2g} (at most "
                f"{TOLERANCE:g}), same greedy text: {found.same_greedy_text}; nothing was written"
            )
        report = {"adapter": adapter.name, **asdict(found)}
        (part / "parity.json").write_text(json.dumps(report, indent=2) + "\n", "utf-8")
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return {"folder": str(out), **report}


def _float32(adapter: Path) -> tuple[Any, Any]:
    config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    folder = base_folder(config["base_model_name_or_path"])
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    return model, AutoProcessor.from_pretrained(folder)
