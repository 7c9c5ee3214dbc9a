"""Fit the encoder's visual head with a supervised contrastive loss (SupCon, arXiv 2004.11362).

Images of one product class are each other's positives. The head maps DINOv2's tokens and the
classifier's shares to the visual part of a vector; nothing else is trained. What it learns from the
training classes carries over to new ones. Our choice, before the papers' post-training: it takes
seconds and saves post-training steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from creative4u.moon.catalogue.items import Item
from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.encoder import Encoder
from creative4u.moon.encoder.frozen_features import FeaturesBackbone


@dataclass(frozen=True)
class VisualHeadConfig:
    """Settings of the fit; chosen on the validation cut."""

    steps: int = 200  # 0 leaves the head at its start, DINOv2's CLS token
    classes: int = 128  # in a batch
    per_class: int = 3  # images of each class in a batch
    rate: float = 1e-3
    decay: float = 0.05
    noise: float = 0.1  # dropout of the inputs
    temperature: float = 0.05
    images: int = 9  # of an item, at most
    seed: int = 7


def supervised_contrast(vectors: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """The mean SupCon loss of unit vectors (N, D) with `labels` (N,) that occur at least twice."""
    own = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    scores = (vectors @ vectors.T / temperature).masked_fill(own, float("-inf"))
    same = (labels[:, None] == labels[None]) & ~own
    likelihood = scores.log_softmax(dim=1).masked_fill(~same, 0.0).sum(1) / same.sum(1).clamp_min(1)
    return -likelihood[same.any(1)].mean()


def fit_visual_head(encoder: Encoder, items: Sequence[Item], config: VisualHeadConfig) -> Encoder:
    """Fit the visual head to the training items' images; an encoder without one is unchanged.

    The same settings give the same weights, so a resumed run may repeat the fit.
    """
    backbone = encoder.backbone
    if (
        not isinstance(backbone, FeaturesBackbone)
        or backbone.visual_head is None
        or not config.steps
    ):
        return encoder
    train = [item for item in items if item.split == "train" and item.images]
    names = {name: row for row, name in enumerate(dict.fromkeys(_class_of(i) for i in train))}
    images = [
        (one, names[_class_of(item)]) for item in train for one in item.images[: config.images]
    ]
    rows = backbone.collate([Content(image=one) for one, _ in images])["image"]
    inputs = backbone.visual_inputs(rows).detach()
    labels = np.array([label for _, label in images])
    places = [np.flatnonzero(labels == label) for label in range(len(names))]
    keys = torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(
        backbone.visual_head.parameters(), lr=config.rate, weight_decay=config.decay
    )
    for step in range(config.steps):
        rng = np.random.default_rng([config.seed, step])
        torch.manual_seed(config.seed * 1_000_003 + step)
        some = rng.choice(len(places), min(config.classes, len(places)), replace=False)
        drawn = [rng.choice(places[one], config.per_class, len(places[one]) < config.per_class)
                 for one in some]  # fmt: skip
        batch = torch.from_numpy(np.concatenate(drawn))
        output = backbone.visual_head(nn.functional.dropout(inputs[batch], config.noise))
        loss: Any = supervised_contrast(
            nn.functional.normalize(output, dim=-1), keys[batch], config.temperature
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return encoder


def _class_of(item: Item) -> str:
    """An item's class: its name, or its id where the name is not known."""
    return item.name or item.item_id
