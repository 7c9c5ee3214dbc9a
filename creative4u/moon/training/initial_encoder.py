"""Load or fit the encoder that post-training starts from.

    creative4u moon posttrain --world DIR --start conse --set steps=0

A new encoder starts as ConSE and DINOv2. Its text correction and its visual head are fitted to the
training items here, in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from creative4u.moon.catalogue.items import Item
from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.encoder import Encoder, load_encoder
from creative4u.moon.encoder.feature_store import FeatureStore
from creative4u.moon.training.posttrain_config import PosttrainConfig
from creative4u.moon.training.pretrain import read_named_images
from creative4u.moon.training.text_alignment import fit_text_alignment
from creative4u.moon.training.visual_head import fit_visual_head


def initial_encoder(config: PosttrainConfig, store: FeatureStore, items: Sequence[Item]) -> Encoder:
    """Load the encoder that post-training starts from, or fit a new one to the training items."""
    if config.start == "conse":
        torch.manual_seed(config.seed)
        train_items = [item for item in items if item.split == "train"]
        images = [
            Content(image=one) for item in train_items for one in item.images[: config.images]
        ]
        encoder = Encoder(config.encoder, store).start_from(images)
        excluded = {item.name for item in items if item.split != "train"}
        pictures = [
            one for one in read_named_images(config.pictures, excluded) if one.split != "test"
        ]
        fit_text_alignment(encoder, [*train_items, *pictures], config.images, config.text_alignment)
        return fit_visual_head(encoder, items, config.visual_head)
    return load_encoder(Path(config.start) if config.start else None, store)
