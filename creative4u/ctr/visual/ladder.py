"""Train the visual embeddings of each step of the ladder.

off-the-shelf -> S1 -> S1 + S2 of arXiv 2205.04168, all of one width, each dimension scaled to unit
variance, so that a CTR model can be compared on them. The multimodal part beside them are sentence
vectors of title and query, until MOON's take their place (`moon_vectors`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from creative4u.backbone.appearance import Appearance
from creative4u.backbone.sentences import sentence_vectors
from creative4u.ctr.log.shop import Cells, Shop
from creative4u.ctr.visual.click_pool import ClickPool
from creative4u.ctr.visual.embeddings import Embeddings, principal
from creative4u.ctr.visual.encoder import (
    VisualConfig,
    VisualEncoder,
    train_s1,
    train_s2,
)

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
TEXT_WIDTH = 32  # of the stand-in for MOON's vectors


def visual_ladder(
    seen: Appearance,
    augmented: Appearance,
    cells: Cells,
    classes: Ints,
    rows: Ints,
    config: VisualConfig,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Floats]:
    """Embeddings (N, width) by step: "off-the-shelf", "s1" and "s1+s2".

    Args:
        seen: N creatives.
        augmented: the other view of the first M of them; S1 learns from those.
        cells: the training days' counts.
        classes: (N,) categories.
        rows: the creatives that training may see.
        config: widths and steps.
        progress: told of each step's loss.
    """
    known = np.isin(cells.creative, rows) & (cells.query >= 0)
    pool = ClickPool.build(
        cells.query[known], cells.creative[known], cells.shown[known], cells.clicks[known], classes
    )
    torch.manual_seed(config.seed)
    encoder = VisualEncoder.off_the_shelf(seen, config.width, rows, config.dropout)
    found = {"off-the-shelf": encoder.embed(seen)}
    viewed = rows[rows < len(augmented)]
    losses = train_s1(encoder, seen.take(viewed), augmented.take(viewed), config)
    progress(f"S1: 1 - cosine {losses[0]:.3f} to {losses[-1]:.3f}")
    found["s1"] = encoder.embed(seen)
    losses = train_s2(encoder, seen, pool, config)
    progress(f"S2: InfoNCE {losses[0]:.3f} to {losses[-1]:.3f}")
    found["s1+s2"] = encoder.embed(seen)
    return {name: standardised(vectors, rows) for name, vectors in found.items()}


def standardised(vectors: Floats, rows: Ints) -> Floats:
    """Each dimension at mean 0 and variance 1 over `rows`."""
    mean, deviation = vectors[rows].mean(axis=0), vectors[rows].std(axis=0)
    scaled: Floats = ((vectors - mean) / np.maximum(deviation, 1e-6)).astype(np.float32)
    return scaled


def with_texts(shop: Shop, visual: Floats) -> Embeddings:
    """The visual embedding beside sentence vectors of title and query, MOON's stand-in."""
    titles = list(dict.fromkeys(shop.titles))
    texts = sentence_vectors([*titles, *shop.queries])
    turned = principal(texts, TEXT_WIDTH, np.arange(len(texts)))
    place = {title: row for row, title in enumerate(titles)}
    return Embeddings(
        shop.creative_ids,
        shop.query_ids,
        visual,
        turned[[place[title] for title in shop.titles]],
        turned[len(titles) :],
    )
