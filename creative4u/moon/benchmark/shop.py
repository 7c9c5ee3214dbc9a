"""An encoder and a shop in, all its benchmark figures beside every baseline's out.

    creative4u moon evaluate --world DIR --json

Beside the listings' directions (`benchmark`): category classification and attribute prediction over
the test products, zero-shot. The two-tower is trained here, on the purchases of the training
products alone, for as many steps as post-training takes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from creative4u.moon.benchmark.compare import benchmark
from creative4u.moon.benchmark.gallery import BOUGHT_SHARE, LEAST_BOUGHT, read_gallery
from creative4u.moon.benchmark.items import attributes, categories
from creative4u.moon.benchmark.two_tower import TwoTowerConfig, fit_two_tower
from creative4u.moon.catalogue.behaviour import read_behaviour
from creative4u.moon.encoder.baselines import Embeds, baselines
from creative4u.moon.encoder.feature_store import FeatureStore
from creative4u.moon.training.triplets import Triplets


def evaluate_shop(
    encoder: Embeds,
    world: Path,
    store: FeatureStore,
    beside: bool = True,
    validation: bool = False,
) -> dict[str, Any]:
    """{direction: {name: recalls, "lead": ...}, "category": share, "attribute": share}.

    `validation`: a cut of the training things asks in place of the test things (`items`).
    """
    gallery = read_gallery(world, validation=validation)
    encoders: dict[str, Embeds] = {"moon": encoder}
    if beside:
        behaviour = read_behaviour(
            world, len(gallery.items), least_bought=LEAST_BOUGHT, bought_share=BOUGHT_SHARE
        )
        encoders |= baselines(store)
        encoders["two-tower"] = fit_two_tower(
            Triplets(gallery.items, behaviour), store, TwoTowerConfig()
        )
    found: dict[str, Any] = dict(benchmark(encoders, gallery))
    items = [item for item in gallery.items if item.split == "test" and item.images]
    shown = [item.content.only_image for item in items]
    for name, figure in (("category", categories), ("attribute", attributes)):
        share = figure(encoder, items, shown)
        if share is not None:
            found[name] = share
    return found
