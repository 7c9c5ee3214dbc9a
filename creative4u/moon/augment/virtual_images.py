"""Class names in, virtual pictures out: what ConSE knows of real things, without any image.

A virtual picture of a class is a draw of what the classifier might say of it: much of the class
itself, some of the classes whose names are near, some of anything. Under a dressed title (a made-up
brand, what shops add, attributes) it teaches the text side what in a title names the thing. Our
choice: the teacher's knowledge in its own coordinates (few photographs are at hand to distil over).
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


def dressed(name: str, random: np.random.Generator) -> str:
    """A title as shops write them: brand, added words, the thing, in that or another order."""
    brand = "".join(random.choice(SYLLABLES, int(random.integers(2, 4)))).capitalize()
    added = [str(word) for word in random.choice(ADDED, int(random.integers(0, 4)), replace=False)]
    front = [brand] if random.random() < 0.7 else []
    cut = int(random.integers(0, len(added) + 1))
    return " ".join([*front, *added[:cut], name, *added[cut:]])


class VirtualPictures:
    """Feature rows as `features.image_features` gives them, of classes; DINOv2's part is zero."""

    def __init__(self) -> None:
        self.names: Sequence[str] = class_names()
        vectors = ConSE(top_k=1).from_probabilities(np.eye(CLASSES, dtype=np.float32))
        near = np.exp((vectors @ vectors.T - 1) / 0.1)
        np.fill_diagonal(near, 0)
        self.near = near / near.sum(axis=1, keepdims=True)  # (1000, 1000), rows sum to 1

    def draw(self, classes: Sequence[int], random: np.random.Generator) -> Floats:
        """(N, 2768): two views of each class, surer and less sure ones."""
        rows = np.zeros((len(classes), DINO + 2 * CLASSES), np.float32)
        for row, one in enumerate(classes):
            for view in range(2):
                sure = float(random.beta(1.5, 1.5))
                likely = random.choice(CLASSES, 12, p=self.near[one])
                spread = np.bincount(likely, random.dirichlet(np.ones(12)), CLASSES)
                anything = np.bincount(
                    random.integers(0, CLASSES, 30), random.dirichlet(np.full(30, 0.3)), CLASSES
                )
                p = sure * np.eye(1, CLASSES, one)[0] + (1 - sure) * (0.6 * spread + 0.4 * anything)
                start = DINO + view * CLASSES
                rows[row, start : start + CLASSES] = p
        return rows
