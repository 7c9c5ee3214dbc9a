"""Named pictures in, a correction of what images mean out: a ridge regression, in closed form.

ConSE says what an image means by the classifier's thousand names alone. The correction maps all
that is known of an image (DINOv2's tokens, the classifier's shares) onto the sentence of the
picture's name. A contrast over the few hundred names of a shop would learn those names and pull
every new image towards them; a ridge does so far less. Our choice, before the papers' steps.
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
class MeaningConfig:
    """How strong the correction is; chosen on a validation cut of the training things."""

    ridge: float = 1.0  # of the mean variance of the inputs; 0 leaves the correction out
    share: float = 0.65  # what the correction counts, where ConSE's two vectors count 1 each


def ridge(inputs: Tensor, wanted: Tensor, weight: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """(N, F), (N, D) and (N,) to the map (D, F) and its offset (D,), inputs centred."""
    from sklearn.linear_model import Ridge

    x, y, w = inputs.numpy(), wanted.numpy(), weight.numpy()
    middle = np.average(x, axis=0, weights=w)
    spread = float((w[:, None] * (x - middle) ** 2).sum(axis=0).mean())
    model: Any = Ridge(alpha=strength * spread, solver="cholesky").fit(x, y, sample_weight=w)
    slope = torch.from_numpy(model.coef_).reshape(y.shape[1], -1).to(inputs)  # (D, F)
    return slope, -slope @ torch.from_numpy(middle).to(inputs)


def fit_meaning(
    encoder: Encoder, items: Sequence[Item], images: int, config: MeaningConfig
) -> Encoder:
    """Fit the correction to the training items' pictures and names; each item weighs the same.

    What all a shop's own items (those with a brand) mean alike by it is taken off, as in `centre`.
    """
    backbone = encoder.backbone
    if not isinstance(backbone, FeaturesBackbone) or backbone.told is None or not config.ridge:
        return encoder
    shown = [(item, one) for item in items for one in item.images[:images]
             if item.name and item.split not in ("test", "away")]  # fmt: skip
    if not shown:
        return encoder
    rows = backbone.collate([Content(image=one) for _, one in shown])["image"]
    inputs = backbone.look_inputs(rows)
    names = backbone.collate([Content(item.name) for item, _ in shown])
    with torch.no_grad():
        wanted = torch.nn.functional.normalize(backbone.text(names["text"]), dim=-1)
        weight = torch.tensor([1 / min(images, len(item.images)) for item, _ in shown])
        slope, offset = ridge(inputs, wanted, weight, config.ridge)
        shop = torch.tensor([bool(item.brand) for item, _ in shown])
        if shop.any():
            offset = -slope @ inputs[shop].mean(0)
        backbone.told.weight.copy_(config.share * slope)
        backbone.told.bias.copy_(config.share * offset)
    return encoder
