"""Build the PEFT model to train; save adapters small and without machine paths."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from creative4u.backbone.cpu import multiplies_bfloat16
from creative4u.backbone.feature_cache import VisionCache, cache_vision
from creative4u.backbone.names import base_folder
from creative4u.errors import InputError
from rft.recipe import Lora

# Linear layers of the language model alone: the vision tower stays frozen, so that its features
# can be cached.
TARGETS = r".*(text_model|language_model).*\.(q|k|v|o|gate|up|down)_proj"

CACHED = 4096  # images whose vision features stay in memory
LARGE = 1e9  # parameters
LOADERS = 12


def half_precision_pays() -> bool:
    """Whether bfloat16 autocast is the faster way here: on a GPU, or a CPU with its instructions.

    On a CPU with AVX-512 BF16 a training step took 0.37 of float32's time (docs/experiments.md).
    """
    return torch.cuda.is_available() or multiplies_bfloat16()


def load_base(base: str) -> tuple[Any, Any]:
    """Model (float32 on a CPU, its own type elsewhere) and processor of a base's name."""
    folder = base_folder(base)
    dtype = "auto" if torch.cuda.is_available() else torch.float32
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype)
    return model, AutoProcessor.from_pretrained(folder)


def cached_vision(model: Any, features: Path) -> VisionCache | None:
    """One vision pass an image ever, where the tower is one that the cache knows (Idefics3).

    None on a GPU, which computes the features sooner than they are looked up.
    """
    if model.config.model_type != "idefics3" or torch.cuda.is_available():
        return None
    return cache_vision(model, features, capacity=CACHED)


def checkpoints(model: Any) -> bool:
    """Whether activations are computed twice to save memory: large models on a GPU."""
    return torch.cuda.is_available() and sum(p.numel() for p in model.parameters()) > LARGE


def loaders() -> int:
    """Processes that open and square images beside the training: a GPU would wait for them."""
    return min(LOADERS, os.cpu_count() or 1) if torch.cuda.is_available() else 0


def with_lora(model: Any, lora: Lora) -> PeftModel:
    """LoRA on the language model, and the whole connector where the model has one to be learnt."""
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=TARGETS,
        modules_to_save=["connector"] if lora.connector else None,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def policy(model: Any, lora: Lora, adapter: Path | None) -> PeftModel:
    """The model to train: with that adapter, or with a fresh one. Raises InputError."""
    if adapter is None:
        return with_lora(model, lora)
    if not (adapter / "adapter_config.json").is_file():
        raise InputError(f"no adapter at {adapter}; train it with `creative4u rft sft`")
    return PeftModel.from_pretrained(model, str(adapter), is_trainable=True)


def save_adapter(model: PeftModel, folder: Path, base: str) -> None:
    """Write the adapter in float16 under its base's name: half the size, no machine's path."""
    model.save_pretrained(folder)
    weights = folder / "adapter_model.safetensors"
    save_file(
        {k: v.to(torch.float16) for k, v in load_file(weights).items()},
        weights,
        metadata={"format": "pt"},
    )
    config = folder / "adapter_config.json"
    content = json.loads(config.read_text("utf-8"))
    content["base_model_name_or_path"] = base
    config.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")
    (folder / "README.md").unlink(missing_ok=True)
