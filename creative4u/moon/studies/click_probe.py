"""Measure the AUC of a logistic click probe on product and query vectors.

The downstream figure of MOON's exchange rate (arXiv 2511.11305), cheap enough for every checkpoint:
logistic regression over position, cos(query, target), the target's first dimensions and its content
interest s_b = cos(r_target, r_b) over the shopper's last clicks b (CUBE, pooled). Fitted on
impressions of training products, evaluated on later ones of test products, which neither the
encoder nor the probe has seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from creative4u.errors import InputError
from creative4u.metrics import auc
from creative4u.moon.catalogue.items import Item

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
POSITIONS = 10
RIDGE = 1e-3  # on the mean log loss of standardised features; the bias is free


@dataclass(frozen=True)
class ProbeConfig:
    """Which impressions: days from `first_day` to fit on, from `last_day` on to evaluate on."""

    first_day: int = 18
    last_day: int = 25
    fit_rows: int = 150_000
    test_rows: int = 300_000
    behaviour: int = 16  # last clicks of the shopper that are used
    dims: int = 32  # of the target's vector
    sharpness: float = 10.0  # W(s_b) = softmax over b of sharpness * s_b (our choice)
    seed: int = 7


@dataclass(frozen=True)
class Impressions:
    """Rows (n,) of a log; `past` (n, L) are earlier clicked products, newest first, -1 for none."""

    query: Ints
    product: Ints
    position: Ints
    click: Ints
    past: Ints


def read_impressions(
    world: Path, items: Sequence[Item], config: ProbeConfig
) -> tuple[Impressions, Impressions]:
    """Draw the rows to fit on and to evaluate on. Raises InputError for too few clicks."""
    files = str(world / "log" / "*.parquet")
    test = [row for row, item in enumerate(items) if item.split == "test" and item.images]
    train = [row for row, item in enumerate(items) if item.split != "test" and item.images]
    with duckdb.connect() as base:
        base.execute("set threads = 1")
        clicks = base.execute(
            "select user_id, day, product_id from read_parquet(?) where click = 1 "
            "order by user_id, day, query_id, product_id",
            [files],
        ).fetchnumpy()
        parts = []
        for products, low, high, count in (
            (train, config.first_day, config.last_day, config.fit_rows),
            (test, config.last_day, 10**6, config.test_rows),
        ):
            rows = base.execute(
                "select user_id, day, query_id, product_id, position, click from read_parquet(?) "
                "where day >= ? and day < ? and list_contains(?, product_id::bigint) "
                "order by hash(day, user_id, query_id, product_id, position, creative_id) limit ?",
                [files, low, high, products, count],
            ).fetchnumpy()
            parts.append({name: np.asarray(one, np.int64) for name, one in rows.items()})
    if not all(len(part["click"]) and part["click"].any() for part in parts):
        raise InputError(
            f"{world}: no click on training products from day {config.first_day} on, or on test "
            f"products from day {config.last_day} on; the probe needs both"
        )
    by_user = np.asarray(clicks["user_id"], np.int64) * 1000 + np.asarray(clicks["day"], np.int64)
    clicked = np.asarray(clicks["product_id"], np.int64)
    first, second = (_with_past(part, by_user, clicked, config.behaviour) for part in parts)
    return first, second


def _with_past(rows: dict[str, Ints], by_user: Ints, clicked: Ints, length: int) -> Impressions:
    """Add the shopper's clicks of earlier days, newest first."""
    user = rows["user_id"] * 1000
    start, end = np.searchsorted(by_user, user), np.searchsorted(by_user, user + rows["day"])
    place = end[:, None] - 1 - np.arange(length)[None]  # (n, L)
    known = place >= start[:, None]
    past = np.where(known, clicked[np.where(known, place, 0)], -1)
    return Impressions(rows["query_id"], rows["product_id"], rows["position"], rows["click"], past)


def features(
    rows: Impressions, queries: Floats, items: Floats, config: ProbeConfig
) -> npt.NDArray[np.float64]:
    """Features (n, F): position, cos(query, target), content interest, first dimensions."""
    target = items[rows.product]
    near = items @ items.T  # (N, N)
    known = rows.past >= 0
    s = np.where(known, near[rows.product[:, None], rows.past], -np.inf)  # (n, L) s_b
    some = known.any(axis=1)
    top = np.where(some, s.max(axis=1, initial=-np.inf), 0.0)
    w = np.exp(config.sharpness * (np.where(known, s, 0.0) - top[:, None])) * known
    total = np.maximum(w.sum(axis=1), 1e-12)
    interest = (w * np.where(known, s, 0.0)).sum(axis=1) / total
    mean = np.where(known, s, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    cosine = (queries[rows.query] * target).sum(axis=1)
    place = np.eye(POSITIONS)[np.clip(rows.position, 1, POSITIONS) - 1]
    columns = [cosine, cosine**2, top, interest, mean, np.log1p(known.sum(axis=1)), ~some]
    return np.concatenate(
        [
            place,
            np.stack([np.asarray(c, float) for c in columns], axis=1),
            target[:, : config.dims],
        ],
        axis=1,
    )


def probe_auc(
    fit: Impressions, test: Impressions, queries: Floats, items: Floats, config: ProbeConfig
) -> float:
    """The probe's AUC on `test`; `queries` (Q, D) and `items` (N, D) are unit vectors."""
    from sklearn.linear_model import LogisticRegression

    x = features(fit, queries, items, config)
    centre, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    model: Any = LogisticRegression(C=1 / (RIDGE * len(x)), solver="newton-cholesky", tol=1e-6)
    model.fit((x - centre) / scale, fit.click)
    other = (features(test, queries, items, config) - centre) / scale
    return auc(model.decision_function(other), test.click)
