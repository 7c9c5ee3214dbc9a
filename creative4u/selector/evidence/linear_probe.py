"""Predict an image's degrees from DINOv2 tokens with a linear probe.

What a frozen vision encoder already knows is read directly (a linear probe beats
what a small language model learns to say through a fresh connector in the same time). It costs one
matrix product an image and cannot be forgotten while the language model learns to compare.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from creative4u.errors import InputError
from creative4u.selector.evidence.properties import NAMES, TOP

FILE_NAME = "probe.safetensors"
Array = npt.NDArray[np.float32]


def pooled(tokens: Array) -> Array:
    """(N, 1 + patches, D) tokens, CLS first, to (N, 3 D): CLS, the patches' mean and deviation."""
    patches = tokens[:, 1:]
    return np.concatenate([tokens[:, 0], patches.mean(1), patches.std(1)], axis=1)


@dataclass(frozen=True)
class Probe:
    """One line a property: `weight` (properties, 3 D) and `bias` (properties,), facts in 0..1."""

    weight: Array
    bias: Array

    def facts(self, features: Array) -> Array:
        """(N, 3 D) pooled features to (N, properties) facts, clipped to 0..1."""
        told: Array = np.clip(features @ self.weight.T + self.bias, 0.0, 1.0)
        return told

    def degrees(self, tokens: Array) -> list[dict[str, float]]:
        """(N, 1 + patches, D) tokens to one row of degrees 0..9 an image."""
        rows = TOP * self.facts(pooled(tokens))
        return [dict(zip(NAMES, map(float, row), strict=True)) for row in rows]

    def save(self, folder: Path) -> None:
        """Write `folder`/probe.safetensors."""
        save_file({"weight": self.weight, "bias": self.bias}, folder / FILE_NAME)


def load_probe(folder: Path) -> Probe:
    """The probe that stands beside a model's weights; raises InputError where there is none."""
    path = folder / FILE_NAME
    if not path.is_file():
        raise InputError(f"{folder} has no {FILE_NAME}; make it with `creative4u rft probe`")
    return Probe(**load_file(path))
