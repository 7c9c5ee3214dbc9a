"""Embed images and texts in one space without training (ConSE).

ConSE (Norouzi et al. 2014, arXiv 1312.5650): an image stands where the names of its most probable
classes stand in a text space, weighted by probability. Here the classes are EfficientNet-Lite2's,
the text space is MiniLM's, and two things are our choice: the weight is the square root of the
probability, and the mean of the 1,000 class-name vectors is taken off everything (sentence
vectors share a direction that says nothing).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image
from safetensors.numpy import load_file, save_file

from creative4u.backbone.atomic import built_once
from creative4u.backbone.classifier import class_names, class_probabilities
from creative4u.backbone.sentences import sentence_vectors
from creative4u.backbone.wheels import home

FILE = "vectors.safetensors"

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ConSE:
    """The bridge; `top_k` is how many class names describe an image."""

    top_k: int = 10

    def __post_init__(self) -> None:
        if not 1 <= self.top_k <= len(class_names()):
            raise ValueError(f"top_k is 1 to {len(class_names())}, not {self.top_k}")

    def image_vectors(self, images: Sequence[Image.Image]) -> Array:
        """RGB images to unit vectors (N, 384)."""
        return self.from_probabilities(class_probabilities(images))

    def from_probabilities(self, probabilities: Array) -> Array:
        """Class probabilities (N, 1000) to unit vectors (N, 384)."""
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, : self.top_k]  # (N, k)
        weight = np.sqrt(np.take_along_axis(probabilities, best, axis=1))
        return _unit((weight[:, :, None] * _class_vectors()[best]).sum(axis=1))

    def text_vectors(self, texts: Sequence[str]) -> Array:
        """Texts to unit vectors (N, 384) in the same space."""
        return _unit(sentence_vectors(texts) - _class_mean())


def mean_of_names() -> Array:
    """The mean (384,) of the class names' vectors, which ConSE takes off everything."""
    return _class_mean()


@cache
def _class_sentences() -> Array:
    """MiniLM vectors (1000, 384) of the class names, computed once and kept in the cache folder."""
    digest = hashlib.sha256("\n".join(class_names()).encode()).hexdigest()
    folder = home() / "derived" / f"class-sentences-{digest[:12]}"
    with built_once(folder) as building:
        if building is not None:
            save_file({"vectors": sentence_vectors(class_names())}, building / FILE)
    vectors: Array = load_file(folder / FILE)["vectors"]
    return vectors


@cache
def _class_mean() -> Array:
    mean: Array = _class_sentences().mean(axis=0)
    return mean


@cache
def _class_vectors() -> Array:
    """Unit vectors (1000, 384) of the class names, less their mean."""
    return _unit(_class_sentences() - _class_mean())


def _unit(vectors: Array) -> Array:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
