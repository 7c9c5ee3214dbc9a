"""Score a query's candidates for one shopper in one pass: calibrated pCTRs with intervals.

What ranks a page of results: N creatives of any products for one shopper, query and behaviour, all
in the first place. Ids that training did not show fall into the unseen bucket; a creative whose
embeddings are at hand is then told by its image alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from creative4u.ctr.log.dataset import Batch
from creative4u.ctr.log.fields import ROLES, UNSEEN
from creative4u.ctr.model.predictor import Predictor
from creative4u.errors import InputError

Floats = NDArray[np.float64]
LEVEL = 0.9


@dataclass(frozen=True)
class Rates:
    """Of N candidates: pCTR, its 90 % interval, and the impressions behind it, all (N,)."""

    pctr: Floats
    low: Floats
    high: Floats
    impressions: Floats


def rate_candidates(
    predictor: Predictor,
    items: Sequence[Any] | NDArray[Any],
    creatives: Sequence[Any] | NDArray[Any],
    query: Any = None,
    user: Any = None,
    behaviour: Sequence[tuple[Any, Any]] = (),
    numbers: NDArray[np.float32] | None = None,
) -> Rates:
    """Rate N candidates.

    Args:
        predictor: trained and calibrated.
        items: N product ids, as the log names them.
        creatives: N creative ids.
        query: a query id; None or one never seen is an unknown query.
        user: a shopper's id, likewise.
        behaviour: (item, creative) ids that the shopper clicked, the latest last.
        numbers: (N, F) standardised number fields; the means without.

    Raises:
        InputError: items and creatives are not equally many, or the model is not calibrated.
    """
    if len(items) != len(creatives):
        raise InputError(f"got {len(items)} items and {len(creatives)} creatives; one each")
    if predictor.calibrator is None:
        raise InputError("the model is not calibrated; run `creative4u ctr calibrate` first")
    fields, words, count = predictor.fields, predictor.vocabularies, len(items)
    ids = np.full((count, len(fields.ids)), UNSEEN, np.int64)
    columns: dict[str, Any] = {"item": items, "creative": creatives}
    columns |= {"user": [user], "query": [query]}
    for name, values in columns.items():
        known = np.asarray([-1 if value is None else value for value in values])
        ids[:, fields.place(name)] = words[name].numbers(known)
    past = np.zeros((1, fields.behaviour, 2), np.int64)
    clicked = list(behaviour)[-fields.behaviour :] if fields.behaviour else []
    if clicked:
        for side, name in enumerate(("item", "creative")):
            number = words[name].numbers(np.asarray([pair[side] for pair in clicked]))
            past[0, -len(clicked) :, side] = number
    batch = Batch(
        torch.from_numpy(ids),
        torch.zeros(count, len(fields.numbers)) if numbers is None else torch.from_numpy(numbers),
        torch.ones(count, dtype=torch.long),
        torch.from_numpy(past).expand(count, -1, -1),
        torch.zeros(count),
    )
    model = predictor.model.eval()
    with torch.inference_mode():
        logit = model(batch).double().numpy()
    shown = model.get_buffer("shown_creative").numpy()[ids[:, fields.place("creative")]]
    shown = np.where(ids[:, fields.place("creative")] == UNSEEN, 0, shown).astype(float)
    p = predictor.calibrator(1 / (1 + np.exp(-logit)))
    low, high = predictor.calibrator.interval(p, shown, LEVEL)
    return Rates(p, low, high, shown)


def latency(
    predictor: Predictor, candidates: int = 500, calls: int = 300, seed: int = 7
) -> dict[str, float]:
    """Milliseconds of `calls` requests of so many candidates each: median, p99 and the worst.

    By the clock, and beside it of CPU time of all threads: on a machine that others use as well,
    that alone is what a request costs.

    Items, creatives, shoppers, queries and behaviour are drawn from the model's own vocabularies.
    """
    rng = np.random.default_rng([seed, 83])
    known = {name: predictor.vocabularies[name].ids for name in ROLES}
    if any(not len(ids) for ids in known.values()):
        raise InputError("the model knows no users, queries, items or creatives to draw from")
    took, busy = [], []
    for call in range(calls + 10):
        draw = {name: rng.choice(ids, candidates) for name, ids in known.items()}
        clicked = list(zip(draw["item"][:20], draw["creative"][:20], strict=True))
        start, work = time.perf_counter(), time.process_time()
        rate_candidates(predictor, draw["item"], draw["creative"], draw["query"][0],
                        draw["user"][0], clicked)  # fmt: skip
        if call >= 10:  # the first ones warm up
            busy.append(1000 * (time.process_time() - work))
            took.append(1000 * (time.perf_counter() - start))
    return {
        "candidates": candidates,
        "calls": calls,
        "threads": torch.get_num_threads(),
        "median_ms": float(np.median(took)),
        "p99_ms": float(np.quantile(took, 0.99)),
        "worst_ms": max(took),
        "median_cpu_ms": float(np.median(busy)),
        "p99_cpu_ms": float(np.quantile(busy, 0.99)),
    }
