"""Image files in, frozen DINOv2 features out; cached in one file, so that a rerun goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForImageTextToText, AutoProcessor

from creative4u.backbone.compose import composed_base
from creative4u.backbone.feature_cache import cache_vision
from creative4u.backbone.vision import SIDE
from creative4u.images import load_image, square

Floats = NDArray[np.float32]
BATCH = 8
SAVE_EVERY = 5  # batches


def image_features(images: Sequence[Path], cache: Path, progress: Callable[[str], None],
                   store: Path | None = None) -> dict[Path, Floats]:
    """Mean, largest and spread of each image's 256 patch features, (1152,); 0.1 s an image.

    They are those of the base model's own vision tower, on the image that the selector sees.
    `cache` is a .npz that holds them under an image's last two path parts; `store` may be the
    folder of patch features that training keeps (see `feature_cache`).
    """
    known = dict(np.load(cache)) if cache.exists() else {}
    todo = [path for path in dict.fromkeys(images) if _key(path) not in known]
    look = _tower(store) if todo else None
    for number, start in enumerate(range(0, len(todo), BATCH), 1):
        assert look is not None
        chosen = todo[start:start + BATCH]
        patches = look(chosen)  # (B, 256, 384)
        rows = torch.cat([patches.mean(1), patches.amax(1), patches.std(1)], 1).numpy()
        known.update({_key(path): row for path, row in zip(chosen, rows, strict=True)})
        if number % SAVE_EVERY == 0 or start + BATCH >= len(todo):
            _save(cache, known)
            progress(f"features: {start + len(chosen)} of {len(todo)} images")
    return {path: known[_key(path)] for path in images}


def _tower(store: Path | None) -> Callable[[Sequence[Path]], torch.Tensor]:
    """Paths to patch features, looked up or computed by the composed base's frozen tower."""
    folder = composed_base()
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    processor: Any = AutoProcessor.from_pretrained(folder)
    cache_vision(model, store, capacity=BATCH)
    seen: list[torch.Tensor] = []
    model.model.connector.register_forward_pre_hook(lambda part, given: seen.append(given[0]))

    @torch.inference_mode()
    def look(paths: Sequence[Path]) -> torch.Tensor:
        seen.clear()
        shown = [[square(load_image(path), SIDE)] for path in paths]
        batch = processor(text=["<image>"] * len(shown), images=shown, return_tensors="pt")
        model.model.get_image_features(batch["pixel_values"], batch.get("pixel_attention_mask"))
        return seen[0].float()

    return look


def _key(path: Path) -> str:
    return "/".join(path.parts[-2:])


def _save(cache: Path, known: dict[str, Floats]) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    part = cache.with_suffix(".part.npz")
    np.savez(part, **known)
    part.replace(cache)
