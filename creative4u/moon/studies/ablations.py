"""Measure what each part of the method is worth: a table with intervals and a plot.

    creative4u moon study ablations --world DIR --out runs/moon/ablations

Every variant starts from the same encoder (ConSE with a fitted visual head) and trains on the same
pairs for as many steps, once for each seed. Its figure is R@10 of the benchmark. Its change is the
mean over seeds and queries of hits gained or lost against the whole method; the interval draws
whole products.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from creative4u.metrics import grouped_bootstrap
from creative4u.moon.benchmark.compare import rank_queries
from creative4u.moon.benchmark.gallery import Gallery, read_gallery
from creative4u.moon.benchmark.items import DIRECTIONS
from creative4u.moon.encoder.baselines import Embedder
from creative4u.moon.encoder.encoder import RESIDUAL, EncoderConfig, load_encoder
from creative4u.moon.encoder.feature_store import FeatureStore
from creative4u.moon.studies.report import Curve, Plot, write_study
from creative4u.moon.training.posttrain import main as posttrain
from creative4u.moon.training.posttrain_config import PosttrainConfig
from creative4u.moon.training.visual_head import VisualHeadConfig

log = logging.getLogger(__name__)
K = 10
WHOLE = "whole method"
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    WHOLE: {},
    "without MoE": {"encoder": replace(RESIDUAL, experts=0)},
    "with guided experts": {"encoder": replace(RESIDUAL, experts=6, guided=2)},
    "text map trained too": {"encoder": replace(RESIDUAL, freeze_text=False)},
    "visual head not fitted first": {"visual_head": VisualHeadConfig(steps=0)},
    "without visual head": {"encoder": EncoderConfig(), "semantic_rate": 1.0},
    "shared part at the full rate": {"semantic_rate": 1.0},
    "without alignment": {"alignment": False},
    "without co-augmentation": {"augment": False, "views": ""},
    "without filtering": {"filter": False},
    "without queue": {"queue": 0},
    "in-batch negatives only": {"queue": 0, "hard": 0, "circle": 0.0, "not_clicked": False},
    "every purchase a positive": {"min_purchases": 1, "min_purchase_share": 0.0},
}
Hits = dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]


@dataclass(frozen=True)
class AblationConfig:
    """Which variants are trained, for how long and how often."""

    world: str = ""
    out: str = "runs/moon/ablations"
    features: str = "runs/moon/features"
    views: str = ""
    steps: int = 200
    first_steps: int = 75
    seeds: int = 2
    only: tuple[str, ...] = ()  # names of VARIANTS; all by default


def hits(encoder: Embedder, gallery: Gallery) -> Hits:
    """By direction, (Q,) 1.0 where a positive is among the first K."""
    return {
        f"{ask}->{of}": (rank_queries(encoder, gallery, ask, of).rank <= K).astype(float)
        for ask, of in DIRECTIONS
    }


def train_variant(config: AblationConfig, variant: str, seed: int) -> Path:
    """The encoder's file of one variant and seed; trains it if it does not exist."""
    folder = Path(config.out) / f"{variant.replace(' ', '-')}-{seed}"
    base = PosttrainConfig(
        out=str(folder), world=config.world, features=config.features, views=config.views,
        start="conse", steps=config.steps, first_steps=config.first_steps, seed=seed,
    )  # fmt: skip
    file = folder / "encoder.safetensors"
    return file if file.is_file() else posttrain(replace(base, **VARIANTS[variant]))


def main(config: AblationConfig) -> dict[str, Any]:
    """Train missing variants, measure all, write the study; returns its JSON content."""
    gallery = read_gallery(Path(config.world))
    store = FeatureStore(Path(config.features))
    names = [name for name in VARIANTS if not config.only or name in (*config.only, WHOLE)]
    found: dict[str, list[Hits]] = {}
    for name in names:
        for seed in range(config.seeds):
            file = train_variant(config, name, seed)
            found.setdefault(name, []).append(hits(load_encoder(file, store), gallery))
            log.info("measured %s, seed %d", name, seed)
    rows = [_row(name, found[name], found[WHOLE], gallery) for name in names]
    return write_study(
        Path(config.out), "ablations", rows, _plot(rows),
        {"gallery": len(gallery.listings), "seeds": config.seeds, "steps": config.steps},
    )  # fmt: skip


def _row(
    name: str, runs: Sequence[Hits], whole: Sequence[Hits], gallery: Gallery
) -> dict[str, Any]:
    row: dict[str, Any] = {"variant": name}
    gains, groups = [], []
    for ask, of in DIRECTIONS:
        key = f"{ask}->{of}"
        row[key] = round(float(np.mean([run[key].mean() for run in runs])), 4)
        change = np.mean([a[key] - b[key] for a, b in zip(runs, whole, strict=True)], axis=0)
        gains.append(change / len(change))  # each direction weighs the same
        groups.append(np.array(gallery.queries[ask].group))
    row["change"] = round(float(sum(gain.sum() for gain in gains)) / len(DIRECTIONS), 4)
    row["interval"] = [round(float(end), 4) for end in _spread(gains, groups)]
    seeds = [float(np.mean([a[k].mean() - b[k].mean() for k in a]))
             for a, b in zip(runs, whole, strict=True)]  # fmt: skip
    row["by seed"] = [round(one, 4) for one in seeds]
    return row


def _spread(gains: Sequence[Any], groups: Sequence[Any]) -> Any:
    """The interval of the mean change over directions, which share their draws of products."""
    change = np.concatenate(gains) / len(gains)
    return grouped_bootstrap(lambda weights: weights @ change, np.concatenate(groups))


def _plot(rows: Sequence[Mapping[str, Any]]) -> Plot:
    curve = Curve(
        f"change of mean R@{K} against the whole method",
        list(range(len(rows))),
        [row["change"] for row in rows],
        [row["interval"][0] for row in rows],
        [row["interval"][1] for row in rows],
    )
    return Plot([curve], "", "change of R@10", labels=[str(row["variant"]) for row in rows])
