"""Train and calibrate a CTR predictor on a shop folder and report its figures.

creative4u ctr train WORLD --out DIR [--embeddings FILE] [--debias] [--keep 0.3]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from numpy.typing import NDArray

from creative4u.ctr.log.dataset import ClickLog
from creative4u.ctr.log.fields import Counts, Vocabulary, read_fields
from creative4u.ctr.log.position_bias import attraction
from creative4u.ctr.log.shop import Shop
from creative4u.ctr.model.calibration import fit_isotonic, fit_strength, pcoc, pcoc_by_decile
from creative4u.ctr.model.ctr_model import CTRModel, ModelConfig
from creative4u.ctr.model.debias import Pairs, head_tail_pairs
from creative4u.ctr.model.predictor import Predictor, read_scale, read_vocabularies
from creative4u.ctr.model.train import Scored, TrainConfig, score_log, train
from creative4u.ctr.visual.embeddings import Embeddings, by_number

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class FitConfig:
    """Days are half-open: training, validation (in `training`), calibration, test."""

    training: TrainConfig = field(default_factory=TrainConfig)
    calibration_days: tuple[int, int] = (26, 28)
    test_days: tuple[int, int] = (28, 30)
    keep: float = 1.0  # share of the training rows
    cube: bool = True  # where embeddings have a multimodal part
    debias: bool = False  # S3, where embeddings have a visual part
    fields: Path | None = None
    rows: int | None = None  # of the calibration and of the test days, the first ones
    tested: bool = True  # a study tests for itself


def fit(
    shop: Shop,
    embeddings: Embeddings | None,
    config: FitConfig,
    out: Path,
    hidden: tuple[int, ...] = (),
    progress: Callable[[str], None] = lambda line: None,
) -> Predictor:
    """Build, train and calibrate; `hidden` creative ids are kept out of all of it."""
    predictor, log, pairs = build(shop, embeddings, config, hidden)
    told = progress if first_process() else lambda line: None
    state = train(predictor.model, log, config.training, out, pairs, told)
    predictor.report = {"validation_gauc": state.best, "counts": asdict(log.counts)}
    calibrate(predictor, shop.log, config.calibration_days, hidden, config.rows)
    if config.tested:
        found = evaluate(predictor, shop.log, config.test_days, hidden, config.rows)
        predictor.report["test"] = found
    if first_process():
        predictor.save(out)
    return predictor


def build(
    shop: Shop, embeddings: Embeddings | None, config: FitConfig, hidden: tuple[int, ...] = ()
) -> tuple[Predictor, ClickLog, Pairs | None]:
    """A model with its tables and impression counts, its training log, and S3's pairs."""
    torch.manual_seed(config.training.seed)
    fields = read_fields(config.fields)
    days = config.training.train_days
    vocabularies = read_vocabularies(
        shop.log, fields, days, {"creative": shop.creative_ids.tolist()}
    )
    counts = Counts()
    visual = embeddings.visual.shape[1] if embeddings else 0
    multimodal = embeddings.multimodal.shape[1] if embeddings and config.cube else 0
    sizes = {name: vocabulary.size for name, vocabulary in vocabularies.items()}
    model = CTRModel(ModelConfig.of(fields, sizes, visual, multimodal, config.debias))
    if embeddings is not None:
        creative = vocabularies["creative"]
        model.visual = by_number(embeddings.visual, embeddings.creative_ids, creative, counts)
        if multimodal:
            model.multimodal = by_number(embeddings.multimodal, embeddings.creative_ids, creative)
            model.query = by_number(embeddings.query, embeddings.query_ids, vocabularies["query"])
    predictor = Predictor(model, fields, vocabularies, read_scale(shop.log, fields, days))
    log = predictor.reader(shop.log, config.keep, hidden)
    log.counts.missing_images = counts.missing_images
    by_position = count_shown(predictor, shop.log, days, hidden, config.keep)
    pairs = None
    if model.debias is not None:
        classes = by_class(shop, vocabularies["creative"])
        shown = model.get_buffer("shown_creative").numpy()
        pairs = head_tail_pairs(
            model.visual.numpy() * (shown > 0)[:, None], shown, attraction(*by_position), classes,
            config.training.debias,
        )  # fmt: skip
    return predictor, log, pairs


def first_process() -> bool:
    """Whether this is the process that writes; all of them compute the same."""
    return bool(PartialState(cpu=not torch.cuda.is_available()).is_main_process)


def count_shown(
    predictor: Predictor, log: Path, days: tuple[int, int], hidden: tuple[int, ...], keep: float
) -> tuple[Ints, Ints]:
    """Fill the model's impression counts by id from the training days.

    Impressions and clicks by creative number and position, (V, positions + 1) each, come back.
    """
    reader = predictor.reader(log, keep, hidden)
    reader = replace(reader, fields=replace(predictor.fields, behaviour=0))
    place, width = predictor.fields.place("creative"), predictor.fields.positions + 1
    count = predictor.vocabularies["creative"].size
    shown_at, clicks_at = np.zeros((2, count * width), np.int64)
    for batch in reader.batches(262_144, days):
        for column, one in enumerate(predictor.fields.ids):
            shown = predictor.model.get_buffer(f"shown_{one.name}")
            shown += torch.bincount(batch.ids[:, column], minlength=len(shown))
        cell = (batch.ids[:, place] * width + batch.position).numpy()
        shown_at += np.bincount(cell, minlength=len(shown_at))
        clicks_at += np.bincount(cell[batch.label.numpy() == 1], minlength=len(shown_at))
    return shown_at.reshape(count, width), clicks_at.reshape(count, width)


def by_class(shop: Shop, creatives: Vocabulary) -> Ints:
    """(V,) the category number of each creative number; -1 for the unseen bucket."""
    classes = np.full(creatives.size, -1, np.int64)
    classes[creatives.numbers(shop.creative_ids)] = shop.classes
    classes[0] = -1
    return classes


def calibrate(
    predictor: Predictor,
    log: Path,
    days: tuple[int, int],
    hidden: tuple[int, ...] = (),
    rows: int | None = None,
) -> None:
    """Fit the predictor's calibrator on held-out days; `strength` from the creatives' clicks."""
    found = score_log(predictor.model, predictor.reader(log, 1.0, hidden), days, limit=rows)
    fitted = fit_isotonic(found.probability, found.label)
    p = fitted(found.probability)
    shown = np.bincount(found.creative).astype(float)
    known = shown > 0
    mean = np.bincount(found.creative, p)[known] / shown[known]
    clicks = np.bincount(found.creative, found.label)[known]
    strength = fit_strength(mean, clicks, shown[known])
    predictor.calibrator = type(fitted)(fitted.raw, fitted.calibrated, strength)


def evaluate(
    predictor: Predictor,
    log: Path,
    days: tuple[int, int],
    hidden: tuple[int, ...] = (),
    rows: int | None = None,
) -> dict[str, Any]:
    """Figures on some days: all rows, and PCOC overall and by decile after calibration."""
    reader = predictor.reader(log, 1.0, hidden)
    found = score_log(predictor.model, reader, days, limit=rows)
    return {**figures(predictor, found), "counts": asdict(reader.counts)}


def figures(predictor: Predictor, found: Scored) -> dict[str, Any]:
    """AUC, gAUC, log loss (calibrated where possible), PCOC and PCOC by decile."""
    result: dict[str, Any] = found.figures()
    if predictor.calibrator is not None and len(found.label):
        p = predictor.calibrator(found.probability)
        result["pcoc"] = pcoc(p, found.label)
        result["pcoc_deciles"] = pcoc_by_decile(p, found.label)
    return result
