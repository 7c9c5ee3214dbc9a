"""Measure what each step of visual training adds to the CTR model (the ladder).

    creative4u ctr study WORLD --out DIR

ID only -> off-the-shelf visual -> S1 -> S1+S2 -> +S3 -> +CUBE, each a CTR model on the same rows.
Two tests: the log's last days, as biased as the log; and the unbiased one, every creative under
every query that its product answers, in the first place, for a shopper unknown (expected clicks
from the world's truth). Both are split into creatives most shown (head), least shown (tail) and
never shown in training (new). Every rung is trained `runs` times, by seeds that follow each other:
one run's chance is as large as a step of the ladder. A run that is done is kept in DIR/rungs.jsonl.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from creative4u.ctr.log.dataset import Batch
from creative4u.ctr.log.grouped_auc import auc_of_counts, gauc_of_counts
from creative4u.ctr.log.shop import Shop
from creative4u.ctr.model.fit import FitConfig, figures, fit
from creative4u.ctr.model.predictor import Predictor
from creative4u.ctr.model.train import Scored, score_log
from creative4u.ctr.visual.embeddings import Embeddings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SLICES = ("all", "head", "tail", "new")


@dataclass(frozen=True)
class StudyConfig:
    """Shares by impressions; `rows` limits each biased test."""

    fit: FitConfig = field(default_factory=FitConfig)
    hidden: float = 0.1  # share of creatives never shown in training
    head: float = 0.3
    tail: float = 0.3
    rows: int = 400_000
    seed: int = 7  # of the hidden creatives; the first one of the models is `fit.training.seed`
    runs: int = 1


@dataclass(frozen=True)
class Unbiased:
    """R pairs of creative and query with their true CTR; ids as the log names them."""

    creative: NDArray[Any]
    query: NDArray[Any]
    item: NDArray[Any]
    ctr: Floats


@dataclass(frozen=True)
class Rung:
    """One step of the ladder; None stands for a model without images."""

    name: str
    embeddings: Embeddings | None
    debias: bool = False
    cube: bool = False


def hidden_creatives(shop: Shop, config: StudyConfig) -> tuple[int, ...]:
    """The creative ids that training must not see, a fixed draw."""
    dice = np.random.default_rng([config.seed, 71]).random(len(shop.creative_ids))
    return tuple(int(one) for one in shop.creative_ids[dice < config.hidden])


def study(
    shop: Shop,
    rungs: list[Rung],
    truth: Unbiased,
    config: StudyConfig,
    out: Path,
    progress: Callable[[str], None] = lambda line: None,
    most: int | None = None,
) -> list[dict[str, Any]]:
    """Fit and measure every run that DIR/rungs.jsonl does not hold yet; rows by rung, in order.

    A row holds the runs' mean figures, their standard deviations under "sd", and "runs". `most`
    stops after so many new runs, to go on another time.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / "rungs.jsonl"
    done: dict[tuple[str, int], dict[str, Any]] = {}
    if path.exists():
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        done = {(row["rung"], row["seed"]): row for row in rows}
    hidden = hidden_creatives(shop, config)
    first = config.fit.training.seed
    asked = [(rung, first + run) for run in range(config.runs) for rung in rungs]
    for rung, seed in [one for one in asked if (one[0].name, one[1]) not in done][:most]:
        chosen = replace(
            config.fit, debias=rung.debias, cube=rung.cube, rows=config.rows, tested=False,
            training=replace(config.fit.training, seed=seed),
        )  # fmt: skip
        folder = out / f"{rung.name.replace(' ', '-').replace('+', 'and')}-{seed}"
        predictor = fit(shop, rung.embeddings, chosen, folder, hidden, progress)
        found = measure(predictor, shop, truth, hidden, config)
        row = _without_nan({"rung": rung.name, "seed": seed, **found})
        done[rung.name, seed] = row
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        progress(f"{rung.name}, seed {seed}: gAUC {row['log']['all']['gauc']:.4f}")
    each = [
        [done[rung.name, seed] for one, seed in asked
         if one.name == rung.name and (one.name, seed) in done]
        for rung in rungs
    ]  # fmt: skip
    return [mean_of(runs) for runs in each if runs]


def mean_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """One row a rung: the mean of every figure of its runs, and under "sd" how they scatter."""
    whole: dict[str, Any] = {"rung": runs[0]["rung"], "runs": len(runs), "sd": {}}
    for test in ("log", "unbiased"):
        whole[test], whole["sd"][test] = {}, {}
        for name, figures_of in runs[0][test].items():
            whole[test][name], whole["sd"][test][name] = {}, {}
            for figure in figures_of:
                values = np.array([run[test][name][figure] for run in runs], float)
                whole[test][name][figure] = values.mean(axis=0).tolist()
                whole["sd"][test][name][figure] = (
                    values.std(axis=0, ddof=1).tolist() if len(runs) > 1 else None
                )
    return _without_nan(whole)


def measure(
    predictor: Predictor,
    shop: Shop,
    truth: Unbiased,
    hidden: tuple[int, ...],
    config: StudyConfig,
) -> dict[str, Any]:
    """Figures by test ("log", "unbiased") and slice."""
    reader = predictor.reader(shop.log, hidden=hidden)
    days, limit = config.fit.test_days, config.rows
    shown = score_log(predictor.model, reader, days, limit=limit)
    new = score_log(predictor.model, reader, days, hidden_only=True, limit=limit)
    both = Scored(*(np.concatenate([getattr(one, name) for one in (shown, new)])
                    for name in Scored.__dataclass_fields__))  # fmt: skip
    log = {
        name: figures(predictor, _rows(both, part))
        for name, part in slices(predictor, both.creative, config).items()
    }
    return {"log": log, "unbiased": measure_unbiased(predictor, truth, config)}


def measure_unbiased(
    predictor: Predictor, truth: Unbiased, config: StudyConfig
) -> dict[str, dict[str, float]]:
    """AUC, and gAUC among the creatives of one product under one query."""
    ids, logit = score_unbiased(predictor, truth)
    place = predictor.model.place
    creative = ids[:, place["creative"]]
    group = ids[:, place["query"]] * predictor.vocabularies["item"].size + ids[:, place["item"]]
    found = {}
    for name, part in slices(predictor, creative, config).items():
        s, p = logit[part], truth.ctr[part]
        found[name] = {
            "auc": auc_of_counts(s, p, 1 - p),
            "gauc": gauc_of_counts(s, p, 1 - p, group[part]),
            "pairs": float(part.sum()),
        }
    return found


@torch.no_grad()
def score_unbiased(predictor: Predictor, truth: Unbiased) -> tuple[Ints, Floats]:
    """Numbers (R, F) and logits (R,): an unknown shopper without behaviour, first place."""
    predictor.model.eval()
    fields, words = predictor.fields, predictor.vocabularies
    ids = np.zeros((len(truth.ctr), len(fields.ids)), np.int64)
    for name in ("creative", "query", "item"):
        ids[:, fields.place(name)] = words[name].numbers(getattr(truth, name))
    logits = []
    for start in range(0, len(ids), 8192):
        part = torch.from_numpy(ids[start : start + 8192])
        count = len(part)
        logits.append(
            predictor.model(
                Batch(
                    part,
                    torch.zeros(count, len(fields.numbers)),
                    torch.ones(count, dtype=torch.long),
                    torch.zeros(count, fields.behaviour, 2, dtype=torch.long),
                    torch.zeros(count),
                )
            )
        )
    return ids, torch.cat(logits).double().numpy()


def slices(
    predictor: Predictor, creative: Ints, config: StudyConfig
) -> dict[str, NDArray[np.bool_]]:
    """Which rows are of creatives most shown, least shown and never shown in training."""
    shown = predictor.model.get_buffer("shown_creative").numpy()
    known = shown[shown > 0]
    high, low = np.quantile(known, [1 - config.head, config.tail])
    count = shown[creative]
    parts = (np.ones(len(creative), bool), count >= high, (count > 0) & (count <= low), count == 0)
    return dict(zip(SLICES, parts, strict=True))


def show(rows: list[dict[str, Any]]) -> str:
    """The ladder as a Markdown table."""
    head = "| rung | log AUC | gAUC | log loss | PCOC | unbiased AUC: all | head | tail | new | gAUC: all | new |"  # noqa: E501
    lines = [head, "|" + "---|" * (head.count("|") - 1)]
    for row in rows:
        log, free = row["log"]["all"], row["unbiased"]
        figures_of = [log["auc"], log["gauc"], log["log_loss"], log.get("pcoc")]
        figures_of += [free[name]["auc"] for name in SLICES]
        figures_of += [free[name]["gauc"] for name in ("all", "new")]
        said = ["" if figure is None else f"{figure:.4f}" for figure in figures_of]
        lines.append(f"| {row['rung']} | {' | '.join(said)} |")
    return "\n".join(lines)


def _without_nan(row: dict[str, Any]) -> dict[str, Any]:
    """A figure that had nothing to count is null in JSON."""
    found: dict[str, Any] = json.loads(json.dumps(row), parse_constant=lambda _: None)
    return found


def _rows(found: Scored, part: NDArray[np.bool_]) -> Scored:
    return Scored(*(getattr(found, name)[part] for name in Scored.__dataclass_fields__))
