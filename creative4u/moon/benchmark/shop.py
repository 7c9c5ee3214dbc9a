"""Evaluate an encoder on a shop, beside every baseline.

    creative4u moon evaluate --world DIR --json

The directions over listings (`compare`), and zero-shot categories and attributes of the test
products. The two-tower baseline is trained here, on the purchases of the training products, for as
many steps as post-training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from creative4u.moon.benchmark.compare import compare_encoders
from creative4u.moon.benchmark.gallery import MIN_PURCHASE_SHARE, MIN_PURCHASES, read_gallery
from creative4u.moon.benchmark.items import attributes, categories
from creative4u.moon.benchmark.two_tower import TwoTowerConfig, fit_two_tower
from creative4u.moon.catalogue.behaviour import read_behaviour
from creative4u.moon.encoder.baselines import Embedder, baselines
from creative4u.moon.encoder.feature_store import FeatureStore
from creative4u.moon.training.triplets import Triplets


def evaluate_shop(
    encoder: Embedder,
    world: Path,
    store: FeatureStore,
    with_baselines: bool = True,
    validation: bool = False,
) -> dict[str, Any]:
    """Figures {direction: {name: recalls, "lead": ...}, "category": share, "attribute": share}.

    `validation`: measure on a cut of the training classes in place of the test classes.
    """
    gallery = read_gallery(world, validation=validation)
    encoders: dict[str, Embedder] = {"moon": encoder}
    if with_baselines:
        behaviour = read_behaviour(
            world,
            len(gallery.items),
            min_purchases=MIN_PURCHASES,
            min_purchase_share=MIN_PURCHASE_SHARE,
        )
        encoders |= baselines(store)
        encoders["two-tower"] = fit_two_tower(
            Triplets(gallery.items, behaviour), store, TwoTowerConfig()
        )
    found: dict[str, Any] = dict(compare_encoders(encoders, gallery))
    items = [item for item in gallery.items if item.split == "test" and item.images]
    images = [item.content.only_image for item in items]
    for name, figure in (("category", categories), ("attribute", attributes)):
        share = figure(encoder, items, images)
        if share is not None:
            found[name] = share
    return found
