"""Cache the output of a frozen vision tower, so that each image is encoded once.

Both orders of a pair, every epoch and every completion of a GRPO group ask for the same images'
features. They are looked up by a hash of the pixels, first in memory, then in a folder.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.idefics3.modeling_idefics3 import Idefics3VisionTransformer

from creative4u.backbone.threads import alone


@dataclass
class VisionCache:
    """What `cache_vision` gives back: counts, and `remove` to give the model its tower back."""

    vision: nn.Module
    folder: Path | None
    capacity: int
    dtype: torch.dtype
    hits: int = 0
    misses: int = 0
    memory: OrderedDict[str, Tensor] = field(default_factory=OrderedDict)
    _forward: Callable[..., Any] = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self._forward = self.vision.forward
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)

    def forward(
        self, pixel_values: Tensor, patch_attention_mask: Tensor | None = None, **kwargs: Any
    ) -> Any:
        """The tower's own forward, computed only for images not seen before."""
        if kwargs.get("output_attentions") or kwargs.get("output_hidden_states"):
            return self._forward(pixel_values, patch_attention_mask, **kwargs)
        masks = [None] * len(pixel_values) if patch_attention_mask is None else patch_attention_mask
        keys = [_key(image, mask) for image, mask in zip(pixel_values, masks, strict=True)]
        found = {key: self._look_up(key) for key in dict.fromkeys(keys)}
        first = {key: keys.index(key) for key, features in found.items() if features is None}
        if first:
            rows = list(first.values())
            mask = None if patch_attention_mask is None else patch_attention_mask[rows]
            fresh = self._compute(pixel_values[rows], mask)
            for key, features in zip(first, fresh, strict=True):
                # what is computed is used as it was computed; rounding shows on later reads only
                found[key] = features
                self._keep(key, features.detach().to("cpu", copy=True))
        with self._lock:
            self.misses += len(first)
            self.hits += len(keys) - len(first)
        together = [found[key] for key in keys]
        output = torch.stack([one.to(pixel_values) for one in together if one is not None])
        return BaseModelOutputWithPooling(last_hidden_state=output)

    def _compute(self, images: Tensor, masks: Tensor | None) -> Tensor:
        """Features of each image; on a CPU each alone, so that no batch changes its bits."""

        def forward(images: Tensor, masks: Tensor | None) -> Tensor:
            features: Tensor = self._forward(images, masks).last_hidden_state
            return features

        if images.device.type == "cpu":
            each = [slice(place, place + 1) for place in range(len(images))]
            return torch.cat(
                alone(lambda one: forward(images[one], None if masks is None else masks[one]), each)
            )
        with torch.no_grad():
            return forward(images, masks)

    def remove(self) -> None:
        """Take the cache off the model."""
        del self.vision.forward

    def _look_up(self, key: str) -> Tensor | None:
        with self._lock:
            if key in self.memory:
                self.memory.move_to_end(key)
                return self.memory[key]
        if self.folder is not None and self._file(key).is_file():
            features: Tensor = load_file(self._file(key))["features"].float()
            self._remember(key, features)
            return features
        return None

    def _keep(self, key: str, features: Tensor) -> None:
        self._remember(key, features)
        if self.folder is not None:
            file = self._file(key)
            file.parent.mkdir(exist_ok=True)
            partial = file.with_suffix(f".{os.getpid()}.partial")
            save_file({"features": features.to(self.dtype).contiguous()}, partial)
            partial.replace(file)

    def _remember(self, key: str, features: Tensor) -> None:
        with self._lock:
            self.memory[key] = features
            while len(self.memory) > self.capacity:
                self.memory.popitem(last=False)

    def _file(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / key[:2] / f"{key}.safetensors"


def cache_vision(
    model: nn.Module,
    folder: Path | None = None,
    capacity: int = 512,
    dtype: torch.dtype = torch.float16,
) -> VisionCache:
    """Cache the frozen vision tower inside `model` (Idefics3, bare or wrapped by PEFT), in place.

    `capacity` images stay in memory as float32 (0.4 MB each); `folder` keeps all of them as
    `dtype` (0.2 MB each in float16) for later processes, under a name that depends on the tower's
    weights. The tower is frozen by this call; the state dict and its names do not change. Raises
    ValueError where `model` holds no Idefics3 tower or has a cache already.
    """
    if capacity < 1:
        raise ValueError(f"capacity is at least 1 image, not {capacity}")
    towers = [part for part in model.modules() if isinstance(part, Idefics3VisionTransformer)]
    if len(towers) != 1:
        raise ValueError(
            f"{type(model).__name__} holds {len(towers)} Idefics3 vision towers, not 1"
        )
    vision = towers[0]
    if "forward" in vars(vision):
        raise ValueError("this model's vision is cached already; call remove() on that cache first")
    vision.requires_grad_(False)
    store = None if folder is None else folder / _fingerprint(vision)
    cached = VisionCache(vision, store, capacity, dtype)
    vision.forward = cached.forward
    return cached


def cache_of(model: nn.Module) -> VisionCache | None:
    """The cache that `cache_vision` put on `model`; None where there is none."""
    owners = (getattr(vars(part).get("forward"), "__self__", None) for part in model.modules())
    return next((owner for owner in owners if isinstance(owner, VisionCache)), None)


def _key(image: Tensor, mask: Tensor | None) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in (image, mask):
        if part is not None:
            array = part.detach().cpu().contiguous()
            digest.update(f"{tuple(array.shape)}{array.dtype}".encode())
            digest.update(array.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _fingerprint(vision: nn.Module) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in vision.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
