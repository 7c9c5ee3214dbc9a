"""A shop in, how losses fall with samples, negatives and behaviour out: MOON's scaling laws.

    creative4u moon study scaling --world DIR --out runs/moon/scaling

Samples: training runs of growing length, each with its own schedule. Negatives: queues of growing
size, the rest alike. Behaviour: the click probe reads more of the shopper's last clicks. The loss
of the first two is the contrast of queries of test products against the whole gallery, of the
third 1 - AUC. Each curve gets a power law fitted on all points but the largest, which is then
predicted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logsumexp

from creative4u.moon.benchmark.compare import ranked
from creative4u.moon.benchmark.gallery import Gallery, read_gallery
from creative4u.moon.encoder.baselines import Embeds
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
from creative4u.moon.training.visual_head import LooksConfig

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


def held_out_loss(encoder: Embeds, gallery: Gallery) -> float:
    """The mean contrast, in nats, of what is asked as t, i and mm against all listings (mm)."""
    there = encoder.encode(gallery.contents("mm"))
    losses = []
    for asked in gallery.asked.values():
        scores = encoder.encode(asked.contents) @ there.T / TEMPERATURE
        scores = np.where(asked.excluded, -np.inf, scores)
        right = np.where(asked.right & ~asked.excluded, scores, -np.inf)
        losses.append(float((logsumexp(scores, axis=1) - logsumexp(right, axis=1)).mean()))
    return float(np.mean(losses))


def main(config: ScalingConfig) -> dict[str, Any]:
    """All three curves; returns what their JSON files hold."""
    lab = _Lab(config)
    return {
        "samples": lab.samples(),
        "negatives": lab.negatives(),
        "behaviour": lab.behaviour(),
    }


class _Lab:
    def __init__(self, config: ScalingConfig) -> None:
        self.config, self.out = config, Path(config.out)
        self.store = FeatureStore(Path(config.features))
        self.gallery = read_gallery(Path(config.world))

    def trained(self, name: str, **settings: Any) -> Embeds:
        base = PosttrainConfig(
            out=str(self.out / name), world=self.config.world, features=self.config.features,
            start="conse", batch=self.config.batch, seed=self.config.seed,
            looks=LooksConfig(steps=0), meaning_rate=1.0,  # all is learnt from behaviour
        )  # fmt: skip
        file = self.out / name / "encoder.safetensors"
        config = replace(base, **settings)
        return load_encoder(file if file.is_file() else posttrain(config), self.store)

    def measured(self, encoder: Embeds, size: int, unit: str) -> dict[str, Any]:
        loss = held_out_loss(encoder, self.gallery)
        recall = float(
            np.mean([ranked(encoder, self.gallery, ask, "mm").recall(10) for ask in ("t", "i")])
        )
        log.info("%s %d: loss %.4f, R@10 %.4f", unit, size, loss, recall)
        return {unit: size, "loss": round(loss, 5), "R@10 (t, i to mm)": round(recall, 4)}

    def samples(self) -> dict[str, Any]:
        """Longer and longer runs, step one and two in the same proportion."""
        rows = []
        for steps in self.config.steps:
            first = round(0.375 * steps)
            encoder = self.trained(
                f"steps-{steps}", steps=steps, first_steps=first, warmup=min(20, steps // 4)
            )
            rows.append(self.measured(encoder, steps * self.config.batch, "triplets"))
            rows[-1]["tokens"] = rows[-1]["triplets"] * TOKENS_A_SAMPLE
        return self.written("samples", "triplets", "loss", rows)

    def negatives(self) -> dict[str, Any]:
        """Larger and larger queues; the batch's own negatives count too."""
        rows = []
        for size in self.config.queues:
            steps = self.config.queue_steps
            encoder = self.trained(
                f"queue-{size}", queue=size, steps=steps, first_steps=round(0.375 * steps)
            )
            count = size + 2 * self.config.batch - 1
            rows.append(self.measured(encoder, count, "negatives"))
        return self.written("negatives", "negatives", "loss", rows)

    def behaviour(self) -> dict[str, Any]:
        """The probe with more and more of the shopper's last clicks, under the shipped encoder."""
        world, longest = Path(self.config.world), max(self.config.behaviours)
        encoder = load_encoder(None, self.store)
        fit, judge = read_impressions(world, self.gallery.items, ProbeConfig(behaviour=longest))
        items = encoder.encode([item.content for item in self.gallery.items])
        queries = encoder.encode([Content(text) for text in self.texts(world)])
        rows = []
        for length in self.config.behaviours:
            found = probe_auc(
                _last(fit, length), _last(judge, length), queries, items, ProbeConfig()
            )
            rows.append({"clicks read": length, "1 - AUC": round(1 - found, 5)})
            log.info("behaviour %d: AUC %.5f", length, found)
        return self.written("behaviour", "clicks read", "1 - AUC", rows)

    def texts(self, world: Path) -> list[str]:
        import duckdb

        sql = "select text from read_parquet(?) order by query_id"
        return [t for (t,) in duckdb.execute(sql, [str(world / "queries.parquet")]).fetchall()]

    def written(self, name: str, x: str, y: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        sizes, losses = [row[x] for row in rows], [row[y] for row in rows]
        law, told = hold_out(sizes, losses)
        line: Callable[[float], float] = lambda size: float(law.at(size))  # noqa: E731
        grid = [float(one) for one in np.geomspace(min(sizes), max(sizes), 60)]
        low, high = told.interval
        plot = Plot(
            [
                Curve("measured", sizes, losses),
                Curve("power law without the last point", grid, [line(g) for g in grid], line=True),
                Curve("predicted", [told.size * 1.04], [told.said], [low], [high]),
            ],
            x, y, log="x",
        )  # fmt: skip
        notes = {
            "floor": round(law.floor, 5),
            "exponent": round(law.exponent, 4),
            "exponent interval": [round(one, 4) for one in law.interval],
            "last point": round(told.seen, 5),
            "predicted": round(told.said, 5),
            "prediction interval": [round(one, 5) for one in told.interval],
            "inside": bool(told.interval[0] <= told.seen <= told.interval[1]),
        }
        return write_study(self.out, name, rows, plot, notes)


def _last(rows: Impressions, length: int) -> Impressions:
    return replace(rows, past=rows.past[:, :length])
