"""Measure attribution on product words before and after training, on a shop's test items.

    creative4u moon study heatmaps --world DIR --out DIR

Before: the encoder's start (ConSE over the same features); after: the trained one. Titles are the
stuffed ones, which have filler words; the similarity is of title and image.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from creative4u.backbone.saliency import saliency
from creative4u.images import load_image
from creative4u.metrics import grouped_bootstrap, weighted_ratio
from creative4u.moon.benchmark.gallery import QUALITIES, titles_of
from creative4u.moon.catalogue.items import read_world
from creative4u.moon.encoder.baselines import Embedder
from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.encoder import Encoder, load_encoder
from creative4u.moon.encoder.feature_store import FeatureStore
from creative4u.moon.studies.heatmap import draw_heatmap, patch_drops, share_on_mask, word_drops
from creative4u.moon.studies.report import Curve, Plot, write_study


def study_heatmaps(
    world: Path, out: Path, encoder: Path | None, store: FeatureStore, figures: int = 3
) -> dict[str, Any]:
    """Write the study over all test items; draw the patches of the first `figures` items."""
    every = read_world(world)
    stuffed = [titles[QUALITIES.index("stuffed")] for titles in titles_of(world)]
    rows = [row for row, item in enumerate(every) if item.split == "test" and item.images]
    items, titles = [every[row] for row in rows], [stuffed[row] for row in rows]
    after = load_encoder(encoder, store)
    encoders: dict[str, Embedder] = {
        "before": Encoder(after.config, store).start(), "after": after
    }  # fmt: skip
    images = [item.content.only_image for item in items]
    words = {n: word_drops(one, titles, images, items) for n, one in encoders.items()}
    shares = {n: np.array([one.share for one in some]) for n, some in words.items()}
    known = ~np.isnan(shares["before"]) & ~np.isnan(shares["after"])
    product = float(np.mean([np.mean(one.product) for one in words["after"]]))
    table = [_row(name, some[known], product) for name, some in shares.items()]
    gain = shares["after"][known] - shares["before"][known]
    ends = grouped_bootstrap(weighted_ratio(gain), range(len(gain)))
    out.mkdir(parents=True, exist_ok=True)
    patches: dict[str, list[float]] = {name: [] for name in encoders}
    for place, item in enumerate(items[:figures]):
        image = load_image(item.images[0])
        mask = saliency([image])[0]
        for name, one in encoders.items():
            drops = patch_drops(one, image, Content(titles[place]))
            patches[name].append(share_on_mask(drops, mask))
            draw_heatmap(
                image, drops, words[name][place], out / f"{item.item_id}-{name}.png", f"{name}:"
            )
    plot = Plot(
        [
            Curve(
                "share of attribution on product words",
                [0, 1],
                [row["product words"] for row in table],
                [row["interval"][0] for row in table],
                [row["interval"][1] for row in table],
            )
        ],
        "", "share", labels=["before", "after"],
    )  # fmt: skip
    notes = {
        "items": int(known.sum()),
        "gain": round(float(gain.mean()), 4),
        "gain interval": [round(float(end), 4) for end in ends],
        "product words among all words": round(product, 4),
        "patch attribution on the product": {
            name: round(float(np.mean(some)), 4) for name, some in patches.items() if some
        },
    }
    return write_study(out, "heatmaps", table, plot, notes)


def _row(name: str, shares: np.ndarray[Any, Any], product: float) -> dict[str, Any]:
    ends = grouped_bootstrap(weighted_ratio(shares), range(len(shares)))
    return {
        "encoder": name,
        "product words": round(float(shares.mean()), 4),
        "interval": [round(float(end), 4) for end in ends],
        "filler words": round(1 - float(shares.mean()), 4),
    }
