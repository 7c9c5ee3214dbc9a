"""Compare our CTR model with FuxiCTR's and torch-rechub's on the same rows in one run.

    creative4u ctr peers WORLD --out peers.json

All models take the same batches in the same order, a chunk at a time and in turn, so that a loaded
machine is loaded for all of them; only the training steps are timed. Sizes, batch, passes and
learning rate are equal; the test are the log's last days. Intervals are of the paired difference
to the best peer, by bootstrap.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from creative4u.ctr.log.dataset import Batch
from creative4u.ctr.log.grouped_auc import auc_by_group, auc_of_counts, auc_of_places
from creative4u.ctr.log.shop import Shop
from creative4u.ctr.model.ctr_model import ModelConfig
from creative4u.ctr.model.fit import FitConfig, build
from creative4u.ctr.model.train import TrainConfig, batch_loss
from creative4u.ctr.studies.peer_models import Contender, fuxi, rechub
from creative4u.ctr.visual.embeddings import Embeddings
from creative4u.metrics import grouped_bootstrap, log_loss, weighted_ratio

Floats = NDArray[np.float64]
Peers = Callable[[Path, ModelConfig, Batch, float], list[Contender]]
DRAWS = 200  # of the bootstrap


@dataclass(frozen=True)
class PeersConfig:
    """Half-open training days; the test days begin four days after them."""

    days: tuple[int, int] = (0, 24)
    keep: float = 0.1
    batch: int = 4096
    test_rows: int = 200_000
    passes: int = 1
    learning_rate: float = 2e-3
    chunk: int = 8  # batches that a model takes before the next one's turn
    seed: int = 7


def compare_peers(
    shop: Shop,
    embeddings: Embeddings | None,
    config: PeersConfig,
    out: Path,
    progress: Callable[[str], None] = lambda line: None,
    peers: Peers | None = None,
) -> dict[str, Any]:
    """Train all on the same chunks in turn, test all on the same rows, write `out` (JSON).

    `peers` makes the other models; the three real ones by default.
    """
    training = TrainConfig(train_days=config.days, batch=config.batch, seed=config.seed,
                           learning_rate=config.learning_rate)  # fmt: skip
    last = config.days[1]
    chosen = FitConfig(training, keep=config.keep, cube=False)
    predictor, log, _ = build(shop, None, chosen)
    first = next(log.batches(config.batch, config.days))
    mine = [_ours("ours, no images", predictor.model, training, None)]
    if embeddings is not None:
        seeing, _, pairs = build(shop, embeddings, replace(chosen, debias=True))
        mine.append(_ours("ours, with images", seeing.model, training, pairs))
    torch.manual_seed(config.seed)
    made = (peers or real_peers)(out.parent, predictor.model.config, first, config.learning_rate)
    models = [*mine, *made]
    clock = {one.name: [0.0, 0.0] for one in models}
    rows = 0
    for number in range(config.passes):
        batches = log.batches(config.batch, config.days, epoch=number)
        for turn in count():
            chunk = list(islice(batches, config.chunk))
            if not chunk:
                break
            whole = [batch for batch in chunk if len(batch) == config.batch]
            rows += sum(map(len, whole))
            for shift in range(len(models)):
                one = models[(turn + shift) % len(models)]
                ready = one.prepare(whole)
                wall, busy = time.perf_counter(), time.process_time()
                one.steps(ready)
                clock[one.name][0] += time.perf_counter() - wall
                clock[one.name][1] += time.process_time() - busy
        progress(f"pass {number + 1}: {rows:,} rows learnt by {len(models)} models")
    found = _test(models, predictor.reader(shop.log), (last + 4, last + 6), config)
    for one in models:
        wall, busy = clock[one.name]
        found[one.name] |= {"rows_per_second": rows / wall, "rows_per_cpu_second": rows / busy,
                            "parameters": one.parameters}  # fmt: skip
    table = {"rows": rows, "threads": torch.get_num_threads(), "config": asdict(config),
             "models": found}  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(table, indent=1) + "\n", "utf-8")
    return table


def real_peers(folder: Path, config: ModelConfig, first: Batch, rate: float) -> list[Contender]:
    """FuxiCTR's DIN and DCNv2 and torch-rechub's DIN; raises InputError where they are missing."""
    prices = first.numbers[:, 0] if config.numbers else torch.zeros(1)
    return [fuxi("DIN", config, rate, folder), fuxi("DCNv2", config, rate, folder),
            rechub(config, rate, prices)]  # fmt: skip


def _ours(name: str, model: Any, training: TrainConfig, pairs: Any) -> Contender:
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay,
        fused=True,
    )  # fmt: skip

    def steps(chunk: list[Batch]) -> None:
        for batch in chunk:
            loss = batch_loss(model, model, batch, training, pairs)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    @torch.no_grad()
    def score(batch: Batch) -> torch.Tensor:
        logits: torch.Tensor = model.eval()(batch)
        return logits.sigmoid()

    size = sum(parameter.numel() for parameter in model.parameters())
    return Contender(name, list, steps, score, size)


def _test(
    models: Sequence[Contender], log: Any, days: tuple[int, int], config: PeersConfig
) -> dict[str, dict[str, Any]]:
    scores: dict[str, list[Floats]] = {one.name: [] for one in models}
    labels, users, rows = [], [], 0
    user = log.fields.place("user")
    for batch in log.batches(8192, days):
        for one in models:
            scores[one.name].append(one.score(batch).double().numpy())
        labels.append(batch.label.numpy())
        users.append(batch.ids[:, user].numpy())
        rows += len(batch)
        if rows >= config.test_rows:
            break
    label, group = np.concatenate(labels).astype(float), np.concatenate(users)
    each = {name: np.concatenate(parts) for name, parts in scores.items()}
    return figures(each, label, group, config.seed)


def figures(
    scores: dict[str, Floats], label: Floats, group: NDArray[np.int64], seed: int
) -> dict[str, dict[str, Any]]:
    """AUC, gAUC by shopper and log loss of each model, with 95 % intervals, and the paired gaps.

    `auc_gap` and `gauc_gap` are the model's figure less that of the best peer (the first model
    whose name does not begin with "ours"), each [mean, low, high].
    """
    names = list(scores)
    place = [np.unique(scores[n], return_inverse=True)[1] for n in names]
    parts = {n: auc_by_group(scores[n], label, group) for n in names}
    ratios = [_ratio(*parts[n]) for n in names]

    def auc(weights: Floats) -> Floats:  # (draws, models), impressions drawn one by one
        return np.array([[auc_of_places(p, label * w, (1 - label) * w) for p in place]
                         for w in weights])  # fmt: skip

    def gauc(weights: Floats) -> Floats:  # (draws, models), whole shoppers drawn
        return np.stack([ratio(weights) for ratio in ratios], axis=1)

    whole = {n: {"auc": auc_of_counts(scores[n], label, 1 - label),
                 "gauc": _mean(*parts[n]),
                 "log_loss": log_loss(np.clip(scores[n], 1e-6, 1 - 1e-6), label)}
             for n in names}  # fmt: skip
    peers = [n for n in names if not n.startswith("ours")] or names
    found: dict[str, dict[str, Any]] = {n: dict(whole[n]) for n in names}
    groups = len(parts[names[0]][0])
    for figure, drawn, rows in (("auc", auc, len(label)), ("gauc", gauc, groups)):
        best = max(peers, key=lambda peer: whole[peer][figure])
        statistic = _with_gaps(drawn, names.index(best))
        ends = grouped_bootstrap(statistic, range(rows), rounds=DRAWS, seed=[seed, 97])
        for column, n in enumerate(names):
            found[n][f"{figure}_interval"] = ends[:, column].tolist()
            found[n][f"{figure}_gap"] = [whole[n][figure] - whole[best][figure],
                                         *ends[:, len(names) + column].tolist()]  # fmt: skip
    return found


def _with_gaps(statistic: Callable[[Floats], Floats], best: int) -> Callable[[Floats], Floats]:
    """Append to the figures (draws, models) each one's gap to the best peer's in the same draw."""

    def both(weights: Floats) -> Floats:
        figures = statistic(weights)
        return np.concatenate([figures, figures - figures[:, [best]]], axis=1)

    return both


def _ratio(each: Floats, size: Floats) -> Callable[[Floats], Floats]:
    """The gAUC of weighted groups: those without an AUC are left out."""
    known = ~np.isnan(each)
    return weighted_ratio(np.where(known, each, 0.0) * size, known * size)


def show(table: dict[str, Any]) -> str:
    """The comparison as a Markdown table."""
    lines = [
        "| model | AUC | gAUC | log loss | AUC less the best peer's | gAUC less the best peer's "
        "| rows a second | rows a CPU second | parameters |",
        "|" + "---|" * 9,
    ]
    for name, row in table["models"].items():
        gaps = ["{:+.4f} ({:+.4f} to {:+.4f})".format(*row[key]) for key in ("auc_gap", "gauc_gap")]
        lines.append(
            f"| {name} | {row['auc']:.4f} | {row['gauc']:.4f} | {row['log_loss']:.4f} | {gaps[0]} "
            f"| {gaps[1]} | {row['rows_per_second']:,.0f} | {row['rows_per_cpu_second']:,.0f} "
            f"| {row['parameters']:,} |"
        )
    return "\n".join(lines)


def _mean(each: Floats, size: Floats) -> float:
    known = ~np.isnan(each) & (size > 0)
    return float(np.average(each[known], weights=size[known])) if known.any() else float("nan")
