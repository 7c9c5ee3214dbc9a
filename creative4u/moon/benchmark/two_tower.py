"""Train a plain two-tower encoder on a shop's purchases: the baseline with the same data.

One tower for images and one for texts over the same frozen features; an item is the sum of both.
InfoNCE with in-batch negatives between a query's text or image and the bought item. No experts, no
queue, no alignment, no filtering, no augmentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.feature_store import CLASSES, DINO, TEXT_WIDTH, FeatureStore
from creative4u.moon.encoder.frozen_features import collate
from creative4u.moon.losses.infonce import info_nce
from creative4u.moon.training.triplets import Triplets

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TwoTowerConfig:
    """How the baseline is trained."""

    steps: int = 400
    batch: int = 48
    rate: float = 1e-3
    decay: float = 0.01
    hidden: int = 512
    dim: int = 384
    temperature: float = 0.07
    seed: int = 7


class TwoTower(nn.Module):
    """Maps frozen features to unit vectors, each modality by its own tower."""

    def __init__(self, config: TwoTowerConfig, store: FeatureStore) -> None:
        super().__init__()
        self.store = store

        def tower(width: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Linear(width, config.hidden), nn.GELU(), nn.Linear(config.hidden, config.dim)
            )

        self.image, self.text = tower(DINO + 2 * CLASSES), tower(TEXT_WIDTH)

    def forward(self, image: Tensor, text: Tensor, present: Tensor) -> Tensor:
        """Unit vectors (N, D) of a batch of `frozen_features.collate`."""
        half = DINO // 2
        inputs = torch.cat(
            [
                nn.functional.layer_norm(image[:, :half], (half,)),
                nn.functional.layer_norm(image[:, half:DINO], (half,)),
                image[:, DINO:].clamp_min(0).sqrt(),
            ],
            dim=1,
        )
        visual = nn.functional.normalize(self.image(inputs), dim=-1) * present[:, :1]
        sentence = nn.functional.normalize(self.text(text), dim=-1) * present[:, 1:]
        return nn.functional.normalize(visual + sentence, dim=-1)

    def encode(self, contents: Sequence[Content]) -> Array:
        """(N, D) unit vectors."""
        with torch.inference_mode():
            parts = [
                self(**collate(self.store, contents[start : start + 256]))
                for start in range(0, len(contents), 256)
            ]
        return np.asarray(torch.cat(parts).numpy(), np.float32)


def fit_two_tower(triplets: Triplets, store: FeatureStore, config: TwoTowerConfig) -> TwoTower:
    """Train on the pairs that post-training draws from."""
    torch.manual_seed(config.seed)
    model = TwoTower(config, store)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.rate, weight_decay=config.decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, config.steps))
    for step in range(config.steps):
        batch = triplets.draw(config.batch, np.random.default_rng([config.seed, step]))
        queries = [one.query for one in batch]
        contents = [one.only_text for one in queries] + [one.only_image for one in queries]
        vectors = model(**collate(store, contents + [one.positive.content for one in batch]))
        text, image, item = vectors.split(len(batch))
        keys = torch.tensor([one.key for one in batch])
        losses = [
            info_nce(query, item, temperature=config.temperature, keys=keys).mean()
            for query in (text, image)
        ]
        optimizer.zero_grad()
        loss: Any = torch.stack(losses).mean()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()
