"""Compute and cache frozen features of images and texts, the inputs of MOON's encoder.

One DINOv2 pass gives the CLS token, the saliency map and the product's patches. EfficientNet
classifies the whole image and the product crop. MiniLM embeds texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from PIL import Image

from creative4u.backbone import sentences, vision
from creative4u.backbone.classifier import class_names, class_probabilities
from creative4u.backbone.saliency import look
from creative4u.files.origin import MISSING, file_hash
from creative4u.images import image_hash
from creative4u.moon.encoder.product_crop import product_crop

CLASSES = 1000
DINO = 2 * vision.WIDTH  # CLS and the product's mean patch
IMAGE_WIDTH = DINO + 2 * CLASSES  # then class probabilities of the image and of its product crop
TEXT_WIDTH = sentences.WIDTH
RECIPE = 1  # raised whenever a row's content changes, so that older caches are ignored

Array = npt.NDArray[np.float32]


def image_features(images: Sequence[Image.Image]) -> Array:
    """Features (N, 2768) of RGB images.

    CLS token (384), mean patch of the product (384), class probabilities of the image (1000) and of
    its product crop (1000).
    """
    if not images:
        return np.empty((0, IMAGE_WIDTH), np.float32)
    assert len(class_names()) == CLASSES
    tokens, maps = look(images)  # (N, 257, 384), (N, 224, 224)
    blocks = maps.reshape(len(maps), vision.GRID, vision.PATCH, vision.GRID, vision.PATCH)
    weight = blocks.mean(axis=(2, 4)).reshape(len(maps), -1, 1)  # (N, 256, 1) saliency by patch
    product = (tokens[:, 1:] * weight).sum(axis=1) / weight.sum(axis=1)  # (N, 384)
    crops = [product_crop(image, one) for image, one in zip(images, maps, strict=True)]
    parts = (tokens[:, 0], product, class_probabilities(images), class_probabilities(crops))
    return np.concatenate(parts, axis=1).astype(np.float32)


def text_features(texts: Sequence[str]) -> Array:
    """MiniLM's unit vectors (N, 384) of texts."""
    return sentences.sentence_vectors(texts)


class FeatureStore:
    """A cache of feature rows, in memory and in one folder.

    Rows are float16, in one `.npz` file for each batch computed, written atomically.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = None if folder is None else folder / f"r{RECIPE}"
        self._rows: dict[str, npt.NDArray[np.float16]] = {}
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            for part in sorted(self.folder.glob("*.npz")):
                self._read(part)

    def __len__(self) -> int:
        return len(self._rows)

    def images(self, images: Sequence[Image.Image]) -> Array:
        """(N, 2768) rows of RGB images; the key is the hash of the pixels."""
        keys = [f"i-{image_hash(image)}" for image in images]
        return self._get(keys, lambda rows: image_features([images[row] for row in rows]))

    def files(self, files: Sequence[Path], load: Callable[[Path], Image.Image]) -> Array:
        """(N, 2768) rows of image files by the hash of their bytes; a cached one is not decoded."""
        keys = [self._key(path, load) for path in files]
        return self._get(keys, lambda rows: image_features([load(files[row]) for row in rows]))

    def texts(self, texts: Sequence[str]) -> Array:
        """(N, 384) rows of texts."""
        keys = [f"t-{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}" for text in texts]
        return self._get(keys, lambda rows: text_features([texts[row] for row in rows]), 1024)

    @staticmethod
    def _key(path: Path, load: Callable[[Path], Image.Image]) -> str:
        """The key of a file's bytes; raises ImageError where it cannot be read."""
        digest = file_hash(path)
        if digest == MISSING:
            load(path)  # says why
        return f"f-{digest}"

    def _get(
        self, keys: Sequence[str], compute: Callable[[list[int]], Array], chunk: int = 64
    ) -> Array:
        first = {key: row for row, key in reversed(list(enumerate(keys))) if key not in self._rows}
        missing = sorted(first.values())
        for start in range(0, len(missing), chunk):
            rows = missing[start : start + chunk]
            fresh = compute(rows).astype(np.float16)
            names = [keys[row] for row in rows]
            self._rows.update(zip(names, fresh, strict=True))
            self._write(names, fresh)
        width = TEXT_WIDTH if keys and keys[0].startswith("t-") else IMAGE_WIDTH
        if not keys:
            return np.empty((0, width), np.float32)
        return np.stack([self._rows[key] for key in keys]).astype(np.float32)

    def _write(self, names: list[str], rows: npt.NDArray[np.float16]) -> None:
        if self.folder is None:
            return
        digest = hashlib.blake2b("".join(names).encode(), digest_size=8).hexdigest()
        part = self.folder / f"{digest}.part"
        with part.open("wb") as file:
            np.savez_compressed(file, names=np.array(names), rows=rows)
        part.replace(self.folder / f"{digest}.npz")

    def _read(self, part: Path) -> None:
        try:
            with np.load(part, allow_pickle=False) as found:
                self._rows.update(zip(found["names"].tolist(), found["rows"], strict=True))
        except (OSError, ValueError, KeyError, BadZipFile):
            part.unlink(missing_ok=True)  # damaged: its rows are computed again
