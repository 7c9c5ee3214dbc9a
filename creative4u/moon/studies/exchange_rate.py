"""Measure how far gains in image search turn into gains in click AUC, over a run's checkpoints.

    creative4u moon study exchange --world DIR --out runs/moon/exchange
    creative4u moon study exchange --world DIR --out runs/moon/exchange --clicks CLICKS/rungs.jsonl

Exchange rate (MOON, arXiv 2511.11305): the least-squares slope of delta-AUC on delta-recall of
image search over model iterations, both against the first checkpoint. The interval is Student's t
over the checkpoints, which are of one run and so not quite independent. The AUC is the logistic
click probe's or, with `--clicks`, that of the CTR model which `creative4u ctr checkpoints` fitted
to the embeddings of each checkpoint.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from creative4u.errors import InputError
from creative4u.moon.benchmark.compare import rank_queries
from creative4u.moon.benchmark.gallery import read_gallery
from creative4u.moon.catalogue.items import Item
from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.encoder import Encoder, EncoderConfig, load_encoder
from creative4u.moon.encoder.feature_store import FeatureStore
from creative4u.moon.studies.click_probe import ProbeConfig, probe_auc, read_impressions
from creative4u.moon.studies.report import Curve, Plot, write_study
from creative4u.moon.training.posttrain import main as posttrain
from creative4u.moon.training.posttrain_config import PosttrainConfig

log = logging.getLogger(__name__)
MIN_CHECKPOINTS = 8


@dataclass(frozen=True)
class ExchangeConfig:
    """The run whose checkpoints are compared."""

    world: str = ""
    out: str = "runs/moon/exchange"
    features: str = "runs/moon/features"
    steps: int = 200
    first_steps: int = 75
    every: int = 20  # steps between two checkpoints
    start: str = "scratch"  # as in post-training; "scratch": random maps
    clicks: str = ""  # rungs.jsonl of `ctr checkpoints`, folders named by step; else the probe
    test: str = "log"  # of `clicks`: "log" (its last days) or "unbiased"
    part: str = "all"  # of that test: all, head, tail or new creatives
    seed: int = 7

    @property
    def name(self) -> str:
        """The name of the study's files."""
        return f"exchange-{self.test}-{self.part}" if self.clicks else "exchange"


@dataclass(frozen=True)
class ExchangeRate:
    """The slope of delta-AUC on delta-recall, its 95 % interval, and the correlation."""

    slope: float
    interval: tuple[float, float]
    correlation: float


def exchange_rate(recall: Sequence[float], auc: Sequence[float]) -> ExchangeRate:
    """The rate over checkpoints (n,), n at least 3. Raises InputError."""
    if len(recall) < 3 or len(set(recall)) < 2:
        raise InputError(
            f"got {len(recall)} checkpoints with {len(set(recall))} different recalls; an exchange "
            "rate needs three checkpoints of different recall"
        )
    fit: Any = stats.linregress(recall, auc)
    reach = float(stats.t.ppf(0.975, len(recall) - 2)) * float(fit.stderr)
    slope = float(fit.slope)
    return ExchangeRate(slope, (slope - reach, slope + reach), float(fit.rvalue))


def read_clicks(file: Path, test: str, part: str) -> dict[int, float]:
    """The CTR model's AUC by step, averaged over seeds. Raises InputError."""
    found: dict[int, list[float]] = {}
    try:
        for line in file.read_text("utf-8").splitlines():
            row = json.loads(line)
            found.setdefault(int(row["rung"]), []).append(float(row[test][part]["auc"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: no figures of `ctr checkpoints`: {error!r}") from error
    return {step: float(np.mean(each)) for step, each in found.items()}


def save_random_encoder(file: Path, store: FeatureStore, seed: int) -> Path:
    """Write an encoder with random maps from features to vectors, the first iteration."""
    import torch

    torch.manual_seed(seed)
    encoder = Encoder(EncoderConfig(), store)
    for name in ("dino", "classes", "text"):
        layer = getattr(encoder.backbone, name)
        torch.nn.init.normal_(layer.weight, std=layer.weight.shape[1] ** -0.5)
    return encoder.save(file)


def main(config: ExchangeConfig) -> dict[str, Any]:
    """Train with snapshots, measure each, write the study; returns its JSON content."""
    out, world = Path(config.out), Path(config.world)
    if config.steps // config.every < MIN_CHECKPOINTS:
        raise InputError(
            f"got {config.steps // config.every} checkpoints (steps / every); at least "
            f"{MIN_CHECKPOINTS} are needed"
        )
    store = FeatureStore(Path(config.features))
    start = config.start
    if start == "scratch":
        start = str(save_random_encoder(out / "encoder-000000.safetensors", store, config.seed))
    posttrain(
        PosttrainConfig(
            out=str(out), world=config.world, features=config.features, start=start,
            steps=config.steps, first_steps=config.first_steps, snapshot_steps=config.every,
            checkpoint_steps=config.every, seed=config.seed, semantic_rate=1.0,
        )
    )  # fmt: skip
    gallery = read_gallery(world)
    clicks, test, part = Path(config.clicks), config.test, config.part
    by_step = read_clicks(clicks, test, part) if config.clicks else {}
    probe = None if by_step else _Probe(world, gallery.items)
    rows: list[dict[str, Any]] = []
    for file in sorted(out.glob("encoder-*.safetensors")):
        encoder, step = load_encoder(file, store), int(file.stem[-6:])
        if probe is None and step not in by_step:
            raise InputError(f"{config.clicks}: no figure for step {step}")
        recall = rank_queries(encoder, gallery, "i", "i").recall(10)
        found = by_step[step] if probe is None else probe.auc(encoder)
        rows.append({"step": step, "image search R@10": recall, "AUC": found})
        log.info("step %d: R@10 %.4f, AUC %.4f", step, recall, found)
    tested = len(probe.test.click) if probe else None
    return _write(out, config.name, rows, len(gallery.listings), tested)


class _Probe:
    """The logistic click probe on one shop's log."""

    def __init__(self, world: Path, items: Sequence[Item]) -> None:
        self.config = ProbeConfig()
        self.fit, self.test = read_impressions(world, items, self.config)
        self.texts = _queries(world)
        self.items = [item.content for item in items]

    def auc(self, encoder: Encoder) -> float:
        queries, items = encoder.encode(self.texts), encoder.encode(self.items)
        return probe_auc(self.fit, self.test, queries, items, self.config)


def _write(
    out: Path, name: str, rows: list[dict[str, Any]], listings: int, tested: int | None
) -> dict[str, Any]:
    first = rows[0]
    for row in rows:
        row["delta R@10"] = round(row["image search R@10"] - first["image search R@10"], 4)
        row["delta AUC"] = round(row["AUC"] - first["AUC"], 5)
        row["image search R@10"], row["AUC"] = (
            round(row["image search R@10"], 4), round(row["AUC"], 5)
        )  # fmt: skip
    x, y = [row["delta R@10"] for row in rows], [row["delta AUC"] for row in rows]
    rate = exchange_rate(x, y)
    ends = [min(x), max(x)]
    middle = [float(np.mean(y) + rate.slope * (one - np.mean(x))) for one in ends]
    plot = Plot(
        [Curve("checkpoints", x, y), Curve(f"slope {rate.slope:.4f}", ends, middle, line=True)],
        "delta R@10 of image-based search",
        f"delta AUC of the {'CTR model' if tested is None else 'click probe'}",
    )  # fmt: skip
    notes = {
        "slope": round(rate.slope, 5),
        "interval": [round(one, 5) for one in rate.interval],
        "correlation": round(rate.correlation, 4),
        "gallery": listings,
        "impressions judged": tested,
    }
    return write_study(out, name, rows, plot, notes)


def _queries(world: Path) -> list[Content]:
    import duckdb

    rows = duckdb.execute(
        "select text from read_parquet(?) order by query_id", [str(world / "queries.parquet")]
    ).fetchall()
    return [Content(text) for (text,) in rows]
