"""Pictures of known things in, an encoder whose looks tell things apart out.

What a thing's pictures have in common is learnt from the training things and carries over to things
never seen. Only the map of looks moves: from DINOv2's tokens and the classifier's shares to the
look part of a vector, by a supervised contrast (SupCon, arXiv 2004.11362): pictures of one thing
are each other's positives. An idea of ours, before the papers' post-training: it costs seconds,
and post-training spends no step on finding it out.
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
class LooksConfig:
    """How the map is learnt; chosen on a validation cut of the training things."""

    steps: int = 200  # 0 leaves DINOv2's CLS token as it is
    things: int = 128  # in a batch
    pictures: int = 3  # of each
    rate: float = 1e-3
    decay: float = 0.05
    noise: float = 0.1  # the share of inputs that are dropped
    temperature: float = 0.05
    images: int = 9  # the first images of an item that are learnt from
    seed: int = 7


def supervised_contrast(vectors: Tensor, things: Tensor, temperature: float) -> Tensor:
    """The loss of unit vectors (N, D) of things (N,), over those with another of their kind."""
    own = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    scores = (vectors @ vectors.T / temperature).masked_fill(own, float("-inf"))
    same = (things[:, None] == things[None]) & ~own
    said = scores.log_softmax(dim=1).masked_fill(~same, 0.0).sum(1) / same.sum(1).clamp_min(1)
    return -said[same.any(1)].mean()


def fit_looks(encoder: Encoder, items: Sequence[Item], config: LooksConfig) -> Encoder:
    """Fit `encoder`'s look to the training items' pictures; an encoder without one is left alone.

    The same settings always give the same weights, so that a resumed run may do it again.
    """
    backbone = encoder.backbone
    if not isinstance(backbone, FeaturesBackbone) or backbone.look is None or not config.steps:
        return encoder
    learnt = [item for item in items if item.split == "train" and item.images]
    names = {name: row for row, name in enumerate(dict.fromkeys(_thing(i) for i in learnt))}
    shown = [(one, names[_thing(item)]) for item in learnt for one in item.images[: config.images]]
    rows = backbone.collate([Content(image=one) for one, _ in shown])["image"]
    inputs = backbone.look_inputs(rows).detach()
    things = np.array([thing for _, thing in shown])
    places = [np.flatnonzero(things == thing) for thing in range(len(names))]
    keys = torch.from_numpy(things)
    optimizer = torch.optim.AdamW(
        backbone.look.parameters(), lr=config.rate, weight_decay=config.decay
    )
    for step in range(config.steps):
        random = np.random.default_rng([config.seed, step])
        torch.manual_seed(config.seed * 1_000_003 + step)
        some = random.choice(len(places), min(config.things, len(places)), replace=False)
        drawn = [random.choice(places[one], config.pictures, len(places[one]) < config.pictures)
                 for one in some]  # fmt: skip
        batch = torch.from_numpy(np.concatenate(drawn))
        seen = backbone.look(nn.functional.dropout(inputs[batch], config.noise))
        loss: Any = supervised_contrast(
            nn.functional.normalize(seen, dim=-1), keys[batch], config.temperature
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return encoder


def _thing(item: Item) -> str:
    """What an item is; one without a known name stands for itself."""
    return item.name or item.item_id
