"""Compute frozen appearance vectors of images, the input of the trainable visual encoder.

One DINOv2-S pass gives five pooled vectors (the CLS token; the mean and the maximum of the
patches; the means weighted by the saliency map and by what it leaves over, which keep subject and
background apart), the map gives the subject's size and place, the pixels light and sharpness. Which
poolings is our choice; the blocks stay frozen, so that every image is looked at once and training
runs on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from creative4u.backbone.saliency import saliency_decoder
from creative4u.backbone.vision import GRID, WIDTH, dino, pixels
from creative4u.files.origin import file_hash
from creative4u.image_statistics import pixel_statistics
from creative4u.images import load_image

Floats = NDArray[np.float32]
Kept = dict[str, tuple[Floats, Floats]]  # pooled (5, 384) and measures (10,) by `_mark`
POOLINGS = ("cls", "mean", "max", "subject", "background")
MEASURES = (
    "area", "across", "down", "spread", "edge", "inside",
    "contrast", "brightness", "sharpness", "shape",
)  # fmt: skip
BATCH = 8  # images a vision pass
KEPT = 25  # batches between two saves of the cache
RIM = 7  # pixels of the 224-pixel map that count as the picture's border


@dataclass(frozen=True)
class Appearance:
    """N images: pooled DINOv2 vectors (N, 5, 384) and measures (N, 10)."""

    pooled: Floats
    measured: Floats

    def __len__(self) -> int:
        return len(self.pooled)

    def take(self, rows: NDArray[np.int64]) -> Appearance:
        """The images at `rows`, in that order."""
        return Appearance(self.pooled[rows], self.measured[rows])


def appearance(images: Sequence[Image.Image], half: bool = False) -> Appearance:
    """RGB images of any size to their appearance; about 0.15 s an image on one CPU core.

    `half` computes in bfloat16: half the time where the CPU knows it, features equal to within a
    cosine of 0.99, so a set of images is to be looked at in one way.
    """
    parts = [empty()]
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            hidden = dino().tokens(pixels(batch))  # (B, 257, 384)
            tokens = hidden.float().numpy()
            maps = saliency_decoder()(hidden).float().numpy()  # (B, 224, 224)
        rows = [measure(image, one) for image, one in zip(batch, maps, strict=True)]
        parts.append(Appearance(pool(tokens, maps), np.array(rows, np.float32)))
    return _join(parts)


def empty() -> Appearance:
    """No images."""
    return Appearance(
        np.empty((0, len(POOLINGS), WIDTH), np.float32), np.empty((0, len(MEASURES)), np.float32)
    )


def pool(tokens: Floats, maps: Floats) -> Floats:
    """Tokens (N, 257, 384), CLS first, and maps (N, 224, 224) to POOLINGS (N, 5, 384)."""
    patches = tokens[:, 1:]  # (N, 256, 384)
    step = maps.shape[1] // GRID
    weight = maps.reshape(-1, GRID, step, GRID, step).mean(axis=(2, 4)).reshape(-1, GRID * GRID)
    rest = 1 - weight
    parts = [tokens[:, 0], patches.mean(1), patches.max(1)]
    for share in (weight, rest):
        mean = share / np.maximum(share.sum(1, keepdims=True), 1e-6)
        parts.append(np.einsum("np,npd->nd", mean, patches))
    return np.stack(parts, axis=1).astype(np.float32)


def measure(image: Image.Image, saliency_map: Floats) -> list[float]:
    """MEASURES of one image, each of the order of 1.

    `area` is the map's mean, `across` and `down` the weighted centre's offset from the middle,
    `spread` its standard deviation, `edge` the map's mean on the rim and `inside` its maximum;
    `shape` is the logarithm of width over height.
    """
    side = len(saliency_map)
    total = max(float(saliency_map.sum()), 1e-6)
    line = (np.arange(side) + 0.5) / side - 0.5
    across = float(saliency_map.sum(0) @ line / total)
    down = float(saliency_map.sum(1) @ line / total)
    variance = (saliency_map.sum(0) @ line**2 + saliency_map.sum(1) @ line**2) / total
    rim = np.ones_like(saliency_map, dtype=bool)
    rim[RIM:-RIM, RIM:-RIM] = False
    pixels = pixel_statistics(image)
    return [
        float(saliency_map.mean()),
        across,
        down,
        float(np.sqrt(np.maximum(variance - across**2 - down**2, 0.0))),
        float(saliency_map[rim].mean()),
        float(saliency_map.max()),
        pixels["contrast"] / 100,
        pixels["brightness"] / 255,
        float(np.log10(pixels["sharpness"] + 1)) / 4,
        float(np.log(image.width / image.height)),
    ]


def augment(image: Image.Image, seed: int) -> Image.Image:
    """S1's other view (our choice): a crop of 80-100 % a side, light and colour within 15 %.

    No mirror image: text is part of a creative.
    """
    rng = np.random.default_rng([seed, 3])
    share = rng.uniform(0.8, 1.0)
    width, height = int(image.width * share), int(image.height * share)
    left, top = rng.integers(image.width - width + 1), rng.integers(image.height - height + 1)
    view = image.crop((int(left), int(top), int(left) + width, int(top) + height))
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Color):
        view = enhancer(view).enhance(float(rng.uniform(0.85, 1.15)))
    return view


def cached_appearance(
    paths: Sequence[Path],
    cache: Path,
    augmented: bool = False,
    half: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> Appearance:
    """The appearance of image files, in order; `cache` (.npz) goes on where a killed run stopped.

    Kept features go by the image's content, so the list may change and images be replaced;
    `augmented` looks at the other view of each, which depends on its place in the list as well.
    Raises ImageError for a file that is no acceptable image.
    """
    marks = [_mark(path, row, augmented, half) for row, path in enumerate(paths)]
    known = _read(cache)
    todo = [row for row, mark in enumerate(marks) if mark not in known]
    for fresh, start in enumerate(range(0, len(todo), BATCH), 1):
        rows = todo[start : start + BATCH]
        images = [load_image(paths[row]) for row in rows]
        if augmented:
            images = [augment(image, row) for row, image in zip(rows, images, strict=True)]
        found = _rounded(appearance(images, half))
        for row, pooled, measured in zip(rows, found.pooled, found.measured, strict=True):
            known[marks[row]] = (pooled, measured)
        if fresh % KEPT == 0 or start + BATCH >= len(todo):
            _save(cache, known)
            progress(f"appearance: {len(paths) - len(todo) + start + len(rows)} of {len(paths)} "
                     "images")  # fmt: skip
    if not paths:
        return empty()
    return Appearance(
        np.stack([known[mark][0] for mark in marks]), np.stack([known[mark][1] for mark in marks])
    )


def _mark(path: Path, row: int, augmented: bool, half: bool) -> str:
    """What kept features depend on: content, the view, the precision."""
    return f"{file_hash(path)}{f'-{row}' if augmented else ''}{'-half' if half else ''}"


def _rounded(found: Appearance) -> Appearance:
    """As the cache keeps it, so that a run that was cut goes on to the same numbers."""
    return Appearance(found.pooled.astype(np.float16).astype(np.float32), found.measured)


def _join(parts: Sequence[Appearance]) -> Appearance:
    return Appearance(
        np.concatenate([part.pooled for part in parts]),
        np.concatenate([part.measured for part in parts]),
    )


def _read(cache: Path) -> Kept:
    try:
        with np.load(cache) as file:
            names = file["names"].tolist()
            pooled, measured = (file[key].astype(np.float32) for key in ("pooled", "measured"))
            return {name: (pooled[row], measured[row]) for row, name in enumerate(names)}
    except (OSError, ValueError, KeyError, BadZipFile):  # none, of an older version, or damaged
        return {}


def _save(cache: Path, known: Kept) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    part = cache.with_suffix(".part.npz")
    pooled = np.stack([one for one, _ in known.values()]).astype(np.float16)
    measured = np.stack([other for _, other in known.values()])
    np.savez(part, names=np.array(list(known)), pooled=pooled, measured=measured)
    part.replace(cache)
