"""Predict the CTR of a creative that has no history from its image and words.

logit = level(words) + w . f(image). f are the frozen appearance features; w is fitted on what tells
the creatives of one product apart (ridge regression on logits of smoothed CTR, features and targets
less their product's mean, rows weighted by impressions), the level on the products' means. That
split is our choice: between products, the image would explain what is the product's and not its
own. It is closed form, a second's work, and a few kilobytes.

The same fit without that split and without the positions (`within=False`, impressions as logged) is
the raw reading: what the log says at face value, exposure bias and all.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from creative4u.backbone.appearance import Appearance
from creative4u.errors import InputError
from creative4u.metrics import CTR_PRIOR

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MEASURE_SCALE = 3.0  # a measure is trusted as much as nine of the 1,920 DINOv2 features


@dataclass(frozen=True)
class NewcomerConfig:
    """Ridge strengths, in units of a mean row; chosen on validation products."""

    image_ridge: float = 1.0
    level_ridge: float = 3.0


@dataclass(frozen=True)
class Newcomer:
    """The fitted weights: of F image features and of W = 384 word dimensions."""

    mean: Floats  # (F,)
    deviation: Floats  # (F,)
    weight: Floats  # (F,)
    words_mean: Floats  # (W,)
    words_weight: Floats  # (W,)
    level: Floats  # (1,)

    def logit(self, seen: Appearance, words: NDArray[np.floating]) -> Floats:
        """N images with their words' vectors (N, W) to (N,) logits."""
        own = ((describe(seen) - self.mean) / self.deviation) @ self.weight
        return np.asarray(self.level + own + (words - self.words_mean) @ self.words_weight)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """By name, to be saved."""
        return {one.name: getattr(self, one.name).astype(np.float32) for one in fields(self)}


def describe(seen: Appearance) -> Floats:
    """(N, F): pooled vectors, each normalised over its own channels, measures and their squares."""
    pooled = seen.pooled.astype(float)
    mean, deviation = pooled.mean(-1, keepdims=True), pooled.std(-1, keepdims=True)
    flat = ((pooled - mean) / np.maximum(deviation, 1e-6)).reshape(len(pooled), -1)
    return np.concatenate([flat, seen.measured, seen.measured.astype(float) ** 2], axis=1)


def target_logits(clicks: Floats, shown: Floats) -> Floats:
    """The logit of each smoothed CTR (`metrics.smoothed_ctr`), (n,)."""
    a, b = CTR_PRIOR
    return np.asarray(np.log((clicks + a) / (np.maximum(shown - clicks, 0) + b)))


def fit_newcomer(
    seen: Appearance,
    words: NDArray[np.floating],
    clicks: Floats,
    shown: Floats,
    products: Ints,
    config: NewcomerConfig,
    within: bool = True,
) -> Newcomer:
    """Fit on N creatives: clicks and (position-corrected) impressions (N,), product rows (N,).

    `words` (N, W) are the vectors of each creative's title and queries; `within` learns the image's
    part inside products, else over all creatives at once. Raises InputError where no product has
    two creatives.
    """
    y, x = target_logits(clicks, shown), describe(seen)
    _, products = np.unique(products, return_inverse=True)
    if len(products) == products.max(initial=-1) + 1:
        raise InputError("no product has two creatives; nothing tells images apart")
    weight = shown / shown.mean()
    mean, deviation = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    z = (x - mean) / deviation
    count = len(describe(seen.take(np.array([0])))[0]) - 2 * seen.measured.shape[1]
    scale = np.where(np.arange(x.shape[1]) < count, 1.0, MEASURE_SCALE)
    groups = products if within else np.zeros_like(products)
    inner = _less_mean(z * scale, groups, weight)
    own = _ridge(inner, _less_mean(y[:, None], groups, weight)[:, 0], weight, config.image_ridge)
    own = own * scale
    left = y - z @ own
    size = np.bincount(products, weight)
    by_product = np.bincount(products, left * weight) / size
    texts = np.stack([np.bincount(products, column * weight) / size for column in words.T], axis=1)
    level = float(np.average(by_product, weights=size))
    words_mean = np.average(texts, axis=0, weights=size)
    share = size / size.mean()
    words_weight = _ridge(
        (texts - words_mean) * np.sqrt(texts.shape[1]), by_product - level, share,
        config.level_ridge,
    ) * np.sqrt(texts.shape[1])  # fmt: skip
    return Newcomer(mean, deviation, own, words_mean, words_weight, np.array([level]))


def _less_mean(rows: Floats, groups: Ints, weight: Floats) -> Floats:
    total = np.bincount(groups, weight)
    sums = np.zeros((len(total), rows.shape[1]))
    np.add.at(sums, groups, rows * weight[:, None])
    return np.asarray(rows - (sums / total[:, None])[groups])


def _ridge(x: Floats, y: Floats, weight: Floats, strength: float) -> Floats:
    """argmin_w sum_i weight_i (y_i - x_i . w)^2 + strength * n * |w|^2."""
    scaled = x * weight[:, None]
    ridge = strength * len(x) * np.eye(x.shape[1])
    return np.asarray(np.linalg.solve(scaled.T @ x + ridge, scaled.T @ y))
