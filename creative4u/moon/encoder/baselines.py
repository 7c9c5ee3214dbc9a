"""Contents in, unit vectors out, by encoders that MOON has to beat: nothing in them is trained.

All read the same frozen features as the practical encoder. A baseline that has no vector for a
modality says so in `modalities`, and its directions are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from creative4u.backbone.conse import ConSE, mean_of_names
from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.experts import MODALITIES
from creative4u.moon.encoder.feature_store import CLASSES, DINO, FeatureStore
from creative4u.moon.encoder.frozen_features import collate

Array = npt.NDArray[np.float32]


class Embeds(Protocol):
    """What evaluation asks of an encoder."""

    def encode(self, contents: Sequence[Content]) -> Array: ...


@dataclass(frozen=True)
class Frozen:
    """A baseline: `kind` is conse (image and text), minilm (text), dino (image) or concat (both).

    An item's vector is the mean of its parts' unit vectors; for `concat` parts stand side by side.
    """

    kind: str
    store: FeatureStore

    @property
    def modalities(self) -> frozenset[str]:
        """Whose vectors can be compared with each other, as directions: what is asked, what of."""
        return {
            "conse": frozenset(MODALITIES),
            "minilm": frozenset({"t", "mm"}),
            "dino": frozenset({"i", "mm"}),
            "concat": frozenset({"t", "i", "mm"}),
        }[self.kind]

    def answers(self, asked: str, gallery: str) -> bool:
        """Whether this baseline can ask `asked` of `gallery`."""
        if self.kind == "concat" and {asked, gallery} == {"t", "i"}:
            return False  # no part in common
        return asked in self.modalities and gallery in self.modalities

    def encode(self, contents: Sequence[Content]) -> Array:
        """(N, D) unit vectors."""
        batch = collate(self.store, contents)
        image, text = batch["image"].numpy(), batch["text"].numpy()
        there = batch["there"].numpy().astype(np.float32)
        if self.kind == "minilm":
            return _unit(text)
        dino = _unit(image[:, : DINO // 2])
        if self.kind == "dino":
            return dino
        if self.kind == "concat":
            return _unit(np.concatenate([dino * there[:, :1], _unit(text)], axis=1))
        names = ConSE(top_k=50).from_probabilities(image[:, DINO : DINO + CLASSES])
        said = _unit(text - mean_of_names())
        return _unit(names * there[:, :1] + said * there[:, 1:])


def baselines(store: FeatureStore) -> Mapping[str, Frozen]:
    """All of them, by name."""
    return {kind: Frozen(kind, store) for kind in ("conse", "minilm", "dino", "concat")}


def _unit(vectors: Array) -> Array:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
