"""Measure how losses fall with samples, negatives and behaviour: MOON's scaling laws.

    creative4u moon study scaling --world DIR --out runs/moon/scaling

Samples: training runs of growing length, each with its own schedule. Negatives: queues of growing
size. Behaviour: the click probe reads more of the shopper's last clicks. The loss of the first two
is the contrast of queries of test products against the whole gallery, of the third 1 - AUC. Each
curve gets a power law fitted on all points but the largest, which it then predicts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logsumexp

from creative4u.moon.benchmark.compare import rank_queries
from creative4u.moon.benchmark.gallery import Gallery, read_gallery
from creative4u.moon.encoder.baselines import Embedder
from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.encoder import load_encoder
from creative4u.moon.encoder.feature_store import FeatureStore
from creative4u.moon.studies.click_probe import (
    Impressions,
    ProbeConfig,
    probe_auc,
    read_impressions,
)
from creative4u.moon.studies.power_law import hold_out
from creative4u.moon.studies.report import Curve, Plot, write_study
from creative4u.moon.training.posttrain import main as posttrain
from creative4u.moon.training.posttrain_config import PosttrainConfig
from creative4u.moon.training.visual_head import VisualHeadConfig

log = logging.getLogger(__name__)
TEMPERATURE = 0.07
TOKENS_A_SAMPLE = 9 * 5  # nine contents a triplet, up to five tokens each


@dataclass(frozen=True)
class ScalingConfig:
    """The points of each curve."""

    world: str = ""
    out: str = "runs/moon/scaling"
    features: str = "runs/moon/features"
    steps: tuple[int, ...] = (10, 20, 40, 80, 160, 320)
    queues: tuple[int, ...] = (16, 64, 256, 1024, 4096)
    queue_steps: int = 160
    behaviours: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    batch: int = 48
    seed: int = 7


def held_out_loss(encoder: Embedder, gallery: Gallery) -> float:
    """The mean InfoNCE, in nats, of t, i and mm queries against all listings (mm)."""
    vectors = encoder.encode(gallery.contents("mm"))
    losses = []
    for queries in gallery.queries.values():
        scores = encoder.encode(queries.contents) @ vectors.T / TEMPERATURE
        scores = np.where(queries.excluded, -np.inf, scores)
        positive = np.where(queries.positive & ~queries.excluded, scores, -np.inf)
        losses.append(float((logsumexp(scores, axis=1) - logsumexp(positive, axis=1)).mean()))
    return float(np.mean(losses))


def main(config: ScalingConfig) -> dict[str, Any]:
    """Measure all three curves; returns the content of their JSON files."""
    study = _Study(config)
    return {
        "samples": study.samples(),
        "negatives": study.negatives(),
        "behaviour": study.behaviour(),
    }


class _Study:
    def __init__(self, config: ScalingConfig) -> None:
        self.config, self.out = config, Path(config.out)
        self.store = FeatureStore(Path(config.features))
        self.gallery = read_gallery(Path(config.world))

    def train(self, name: str, **settings: Any) -> Embedder:
        base = PosttrainConfig(
            out=str(self.out / name), world=self.config.world, features=self.config.features,
            start="conse", batch=self.config.batch, seed=self.config.seed,
            visual_head=VisualHeadConfig(steps=0), semantic_rate=1.0,  # trains on behaviour alone
        )  # fmt: skip
        file = self.out / name / "encoder.safetensors"
        config = replace(base, **settings)
        return load_encoder(file if file.is_file() else posttrain(config), self.store)

    def measure(self, encoder: Embedder, size: int, unit: str) -> dict[str, Any]:
        loss = held_out_loss(encoder, self.gallery)
        recall = float(
            np.mean(
                [rank_queries(encoder, self.gallery, ask, "mm").recall(10) for ask in ("t", "i")]
            )
        )
        log.info("%s %d: loss %.4f, R@10 %.4f", unit, size, loss, recall)
        return {unit: size, "loss": round(loss, 5), "R@10 (t, i to mm)": round(recall, 4)}

    def samples(self) -> dict[str, Any]:
        """Runs of growing length, step one and two in the same proportion."""
        rows = []
        for steps in self.config.steps:
            first = round(0.375 * steps)
            encoder = self.train(
                f"steps-{steps}", steps=steps, first_steps=first, warmup=min(20, steps // 4)
            )
            rows.append(self.measure(encoder, steps * self.config.batch, "triplets"))
            rows[-1]["tokens"] = rows[-1]["triplets"] * TOKENS_A_SAMPLE
        return self.write("samples", "triplets", "loss", rows)

    def negatives(self) -> dict[str, Any]:
        """Queues of growing size; the batch's own negatives count too."""
        rows = []
        for size in self.config.queues:
            steps = self.config.queue_steps
            encoder = self.train(
                f"queue-{size}", queue=size, steps=steps, first_steps=round(0.375 * steps)
            )
            count = size + 2 * self.config.batch - 1
            rows.append(self.measure(encoder, count, "negatives"))
        return self.write("negatives", "negatives", "loss", rows)

    def behaviour(self) -> dict[str, Any]:
        """The probe with more of the shopper's last clicks, on the shipped encoder."""
        world, longest = Path(self.config.world), max(self.config.behaviours)
        encoder = load_encoder(None, self.store)
        fit, test = read_impressions(world, self.gallery.items, ProbeConfig(behaviour=longest))
        items = encoder.encode([item.content for item in self.gallery.items])
        queries = encoder.encode([Content(text) for text in self.texts(world)])
        rows = []
        for length in self.config.behaviours:
            found = probe_auc(
                _last(fit, length), _last(test, length), queries, items, ProbeConfig()
            )
            rows.append({"clicks read": length, "1 - AUC": round(1 - found, 5)})
            log.info("behaviour %d: AUC %.5f", length, found)
        return self.write("behaviour", "clicks read", "1 - AUC", rows)

    def texts(self, world: Path) -> list[str]:
        import duckdb

        sql = "select text from read_parquet(?) order by query_id"
        return [t for (t,) in duckdb.execute(sql, [str(world / "queries.parquet")]).fetchall()]

    def write(self, name: str, x: str, y: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        sizes, losses = [row[x] for row in rows], [row[y] for row in rows]
        law, point = hold_out(sizes, losses)
        line: Callable[[float], float] = lambda size: float(law.at(size))  # noqa: E731
        grid = [float(one) for one in np.geomspace(min(sizes), max(sizes), 60)]
        low, high = point.interval
        plot = Plot(
            [
                Curve("measured", sizes, losses),
                Curve("power law without the last point", grid, [line(g) for g in grid], line=True),
                Curve("predicted", [point.size * 1.04], [point.predicted], [low], [high]),
            ],
            x, y, log="x",
        )  # fmt: skip
        notes = {
            "floor": round(law.floor, 5),
            "exponent": round(law.exponent, 4),
            "exponent interval": [round(one, 4) for one in law.interval],
            "last point": round(point.measured, 5),
            "predicted": round(point.predicted, 5),
            "prediction interval": [round(one, 5) for one in point.interval],
            "inside": bool(point.interval[0] <= point.measured <= point.interval[1]),
        }
        return write_study(self.out, name, rows, plot, notes)


def _last(rows: Impressions, length: int) -> Impressions:
    return replace(rows, past=rows.past[:, :length])
