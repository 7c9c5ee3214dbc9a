"""Embed contents with frozen features alone: the baselines that MOON has to beat.

All read the same features as MOON's own encoder. A baseline without a vector for a modality is not
measured in that modality's directions.
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


class Embedder(Protocol):
    """The part of an encoder that evaluation uses."""

    def encode(self, contents: Sequence[Content]) -> Array: ...


@dataclass(frozen=True)
class FrozenBaseline:
    """One baseline, by `kind`.

    conse: image and text in one space; an item is the mean of both unit vectors.
    minilm: text only. dino: image only. concat: DINOv2 and MiniLM side by side.
    """

    kind: str
    store: FeatureStore

    @property
    def modalities(self) -> frozenset[str]:
        """The modalities (t, i, mm) that it has vectors for."""
        return {
            "conse": frozenset(MODALITIES),
            "minilm": frozenset({"t", "mm"}),
            "dino": frozenset({"i", "mm"}),
            "concat": frozenset({"t", "i", "mm"}),
        }[self.kind]

    def can_search(self, query: str, gallery: str) -> bool:
        """Whether its vectors of modality `query` are comparable with those of `gallery`."""
        if self.kind == "concat" and {query, gallery} == {"t", "i"}:
            return False  # no part in common
        return query in self.modalities and gallery in self.modalities

    def encode(self, contents: Sequence[Content]) -> Array:
        """(N, D) unit vectors."""
        batch = collate(self.store, contents)
        image, text = batch["image"].numpy(), batch["text"].numpy()
        present = batch["present"].numpy().astype(np.float32)
        if self.kind == "minilm":
            return _unit(text)
        dino = _unit(image[:, : DINO // 2])
        if self.kind == "dino":
            return dino
        if self.kind == "concat":
            return _unit(np.concatenate([dino * present[:, :1], _unit(text)], axis=1))
        names = ConSE(top_k=50).from_probabilities(image[:, DINO : DINO + CLASSES])
        sentence = _unit(text - mean_of_names())
        return _unit(names * present[:, :1] + sentence * present[:, 1:])


def baselines(store: FeatureStore) -> Mapping[str, FrozenBaseline]:
    """Every baseline by its name."""
    return {kind: FrozenBaseline(kind, store) for kind in ("conse", "minilm", "dino", "concat")}


def _unit(vectors: Array) -> Array:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
