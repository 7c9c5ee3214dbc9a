"""Draw virtual images of the classifier's classes: feature rows without any pixels.

A virtual image is a draw of class probabilities: much of the class itself, some of the classes with
near names, some of any. Under a shop-like title (a made-up brand, added words) it teaches the text
side which words name the product. Our choice: it distils ConSE's knowledge where photographs are
few.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from creative4u.backbone.classifier import class_names
from creative4u.backbone.conse import ConSE
from creative4u.moon.encoder.feature_store import CLASSES, DINO

Floats = npt.NDArray[np.float32]
SYLLABLES = ("ba", "cor", "del", "fen", "gra", "hul", "ki", "lo", "mer", "nor", "pa", "qui", "ros",
             "sal", "tor", "ul", "ven", "wil", "xa", "zen")  # fmt: skip
ADDED = ("classic", "deluxe", "new", "original", "premium", "series", "special", "standard",
         "ultra", "for men", "for women", "for kids", "gift", "set", "large", "small", "2 pack",
         "x1", "v2", "black", "white", "red", "blue", "green", "modern", "vintage",
         "light")  # fmt: skip


def shop_title(name: str, rng: np.random.Generator) -> str:
    """Write a title as shops do: a made-up brand, the name, added words before or after it."""
    brand = "".join(rng.choice(SYLLABLES, int(rng.integers(2, 4)))).capitalize()
    added = [str(word) for word in rng.choice(ADDED, int(rng.integers(0, 4)), replace=False)]
    front = [brand] if rng.random() < 0.7 else []
    cut = int(rng.integers(0, len(added) + 1))
    return " ".join([*front, *added[:cut], name, *added[cut:]])


class VirtualImages:
    """Draws rows as of `feature_store.image_features`; DINOv2's part is zero."""

    def __init__(self) -> None:
        self.names: Sequence[str] = class_names()
        vectors = ConSE(top_k=1).from_probabilities(np.eye(CLASSES, dtype=np.float32))
        near = np.exp((vectors @ vectors.T - 1) / 0.1)
        np.fill_diagonal(near, 0)
        self.near = near / near.sum(axis=1, keepdims=True)  # (1000, 1000), rows sum to 1

    def draw(self, classes: Sequence[int], rng: np.random.Generator) -> Floats:
        """(N, 2768): image and crop of each class, at random confidences."""
        rows = np.zeros((len(classes), DINO + 2 * CLASSES), np.float32)
        for row, one in enumerate(classes):
            for view in range(2):
                sure = float(rng.beta(1.5, 1.5))
                likely = rng.choice(CLASSES, 12, p=self.near[one])
                spread = np.bincount(likely, rng.dirichlet(np.ones(12)), CLASSES)
                anything = np.bincount(
                    rng.integers(0, CLASSES, 30), rng.dirichlet(np.full(30, 0.3)), CLASSES
                )
                p = sure * np.eye(1, CLASSES, one)[0] + (1 - sure) * (0.6 * spread + 0.4 * anything)
                start = DINO + view * CLASSES
                rows[row, start : start + CLASSES] = p
        return rows
