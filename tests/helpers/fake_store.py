"""Feature rows without any model: each file and text has its own, drawn from its name."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from creative4u.moon.encoder.feature_store import CLASSES, DINO, TEXT_WIDTH, Array, FeatureStore


class FakeStore(FeatureStore):
    """Files of one folder look alike, texts with the same last word sound alike."""

    def files(self, files: Sequence[Path], load: Any) -> Array:
        return np.stack([self._image(path) for path in files])

    def texts(self, texts: Sequence[str]) -> Array:
        rows = np.stack([self._draw(text.split()[-1], TEXT_WIDTH) for text in texts])
        rows += 0.3 * np.stack([self._draw(text, TEXT_WIDTH) for text in texts])
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

    def _image(self, path: Path) -> Array:
        dino = self._draw(path.parent.name, DINO) + 0.3 * self._draw(str(path), DINO)
        shares = np.exp(2 * self._draw(path.parent.name, 2 * CLASSES)).reshape(2, CLASSES)
        shares /= shares.sum(axis=1, keepdims=True)
        return np.concatenate([dino, shares.ravel()]).astype(np.float32)

    def _draw(self, name: str, size: int) -> Array:
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        return rng.normal(size=size).astype(np.float32)
