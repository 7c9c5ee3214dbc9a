"""Fit the encoder's text correction: a ridge regression from image features to name vectors.

ConSE places an image by the classifier's thousand class names alone. The correction maps all
features of an image (DINOv2's tokens, the classifier's shares) onto the sentence vector of its
name. A contrastive fit to the few hundred names of a shop would pull every new image towards those
names; a ridge does so far less. Our choice, before the papers' steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from creative4u.moon.catalogue.items import Item
from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.encoder import Encoder
from creative4u.moon.encoder.frozen_features import FeaturesBackbone


@dataclass(frozen=True)
class TextAlignmentConfig:
    """Strength of the correction; chosen on the validation cut."""

    ridge: float = 1.0  # times the mean weighted variance of the inputs; 0: no correction
    share: float = 0.65  # weight of the correction beside ConSE's two vectors, 1 each


def ridge(inputs: Tensor, wanted: Tensor, weight: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """Ridge regression of `wanted` (N, D) on `inputs` (N, F) with weights (N,).

    Returns the slope (D, F) and the offset (D,).
    """
    from sklearn.linear_model import Ridge

    x, y, w = inputs.numpy(), wanted.numpy(), weight.numpy()
    middle = np.average(x, axis=0, weights=w)
    spread = float((w[:, None] * (x - middle) ** 2).sum(axis=0).mean())
    model: Any = Ridge(alpha=strength * spread, solver="cholesky").fit(x, y, sample_weight=w)
    slope = torch.from_numpy(model.coef_).reshape(y.shape[1], -1).to(inputs)  # (D, F)
    return slope, -slope @ torch.from_numpy(middle).to(inputs)


def fit_text_alignment(
    encoder: Encoder, items: Sequence[Item], images: int, config: TextAlignmentConfig
) -> Encoder:
    """Fit the correction to the training items' images and names; each item weighs the same.

    The offset centres the correction on the shop's own items (those with a brand), as
    `FeaturesBackbone.centre` does. An encoder without a correction is unchanged.
    """
    backbone = encoder.backbone
    if (
        not isinstance(backbone, FeaturesBackbone)
        or backbone.text_correction is None
        or not config.ridge
    ):
        return encoder
    pairs = [(item, one) for item in items for one in item.images[:images]
             if item.name and item.split not in ("test", "excluded")]  # fmt: skip
    if not pairs:
        return encoder
    rows = backbone.collate([Content(image=one) for _, one in pairs])["image"]
    inputs = backbone.visual_inputs(rows)
    names = backbone.collate([Content(item.name) for item, _ in pairs])
    with torch.no_grad():
        wanted = torch.nn.functional.normalize(backbone.text(names["text"]), dim=-1)
        weight = torch.tensor([1 / min(images, len(item.images)) for item, _ in pairs])
        slope, offset = ridge(inputs, wanted, weight, config.ridge)
        shop = torch.tensor([bool(item.brand) for item, _ in pairs])
        if shop.any():
            offset = -slope @ inputs[shop].mean(0)
        backbone.text_correction.weight.copy_(config.share * slope)
        backbone.text_correction.bias.copy_(config.share * offset)
    return encoder
