"""Fit the relevance score on a shop's log and evaluate it beside text alone.

    creative4u moon relevance --world DIR --json

Fitted on the pairs of training products that were shown often enough, evaluated on those of test
products: by the log and, if the caller gives it, by the truth (which query an item answers).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from creative4u.moon.benchmark.gallery import MIN_PURCHASE_SHARE, MIN_PURCHASES
from creative4u.moon.catalogue.items import read_world
from creative4u.moon.encoder.baselines import Embedder, FrozenBaseline
from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.feature_store import FeatureStore
from creative4u.moon.studies.relevance import cosines, fit_relevance, relevance_metrics

MIN_IMPRESSIONS = 20
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ShownPairs:
    """The (query, product) pairs that were shown often enough, and whether they were bought."""

    query: Ints
    product: Ints
    bought: npt.NDArray[np.bool_]
    texts: tuple[str, ...]

    def where(self, kept: npt.NDArray[np.bool_]) -> ShownPairs:
        """The pairs (n,) that are kept."""
        return ShownPairs(self.query[kept], self.product[kept], self.bought[kept], self.texts)


def shown_pairs(world: Path) -> ShownPairs:
    """Aggregate the log under `world` by pair."""
    with duckdb.connect() as base:
        base.execute("set threads = 1")
        found = base.execute(
            "select query_id, product_id, sum(purchase) from read_parquet(?) "
            "group by 1, 2 having count(*) >= ? order by 1, 2",
            [str(world / "log" / "*.parquet"), MIN_IMPRESSIONS],
        ).fetchnumpy()
        texts = base.execute(
            "select text from read_parquet(?) order by query_id",
            [str(world / "queries.parquet")],
        ).fetchall()
    query, product, bought = (np.asarray(column, np.int64) for column in found.values())
    most = np.zeros(len(texts), np.int64)
    np.maximum.at(most, query, bought)
    answers = (bought >= MIN_PURCHASES) & (bought >= MIN_PURCHASE_SHARE * most[query])
    return ShownPairs(query, product, answers, tuple(text for (text,) in texts))


def study_relevance(
    world: Path,
    encoder: Embedder,
    store: FeatureStore,
    truth: npt.NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """The figures of each score. `truth` (queries, products) is for evaluation only."""
    items, pairs = read_world(world), shown_pairs(world)
    has_image = np.array([bool(item.images) for item in items])
    pairs = pairs.where(has_image[pairs.product])
    test = np.array([item.split == "test" for item in items])[pairs.product]
    queries = [Content(text) for text in pairs.texts]
    some = next(item for item in items if item.images)  # a placeholder, in no pair
    contents = [item.content if item.images else some.content for item in items]
    ours = cosines(
        encoder.encode(queries),
        encoder.encode([one.only_text for one in contents]),
        encoder.encode([one.only_image for one in contents]),
        encoder.encode(contents),
    )
    words = FrozenBaseline("minilm", store)
    text = (words.encode(queries) @ words.encode([c.only_text for c in contents]).T)[..., None]
    tables: Mapping[str, tuple[npt.NDArray[Any], tuple[str, ...]]] = {
        "moon": (ours, ("title", "image", "both")),
        "moon, image only": (ours[..., 1:2], ("image",)),
        "text only (MiniLM)": (text, ("title",)),
        "moon and text": (
            np.concatenate([ours, text], axis=-1),
            ("title", "image", "both", "words"),
        ),
    }
    figures: dict[str, Any] = {}
    for name, (table, parts) in tables.items():
        rows = table[pairs.query, pairs.product]  # (pairs, parts)
        score = fit_relevance(rows[~test], pairs.bought[~test], parts)
        p = score.score(rows[test])
        figures[name] = {"by the log": relevance_metrics(p, pairs.bought[test], pairs.query[test])}
        if truth is not None:
            right = truth[pairs.query, pairs.product][test]
            figures[name]["by the truth, shown pairs"] = relevance_metrics(
                p, right, pairs.query[test]
            )
            columns = np.array([item.split == "test" for item in items]) & has_image
            every = score.score(table[:, columns])
            query = np.broadcast_to(np.arange(len(every))[:, None], every.shape)
            figures[name]["by the truth, all pairs"] = relevance_metrics(
                every.ravel(), truth[:, columns].ravel(), query.ravel()
            )
    return figures


def true_answers(
    creative: Ints,
    query: Ints,
    rate: npt.NDArray[np.float64],
    product_of: Ints,
    shape: tuple[int, int],
) -> npt.NDArray[np.bool_]:
    """Which product answers which query, (queries, products), from the world's unbiased rates.

    A creative's logit is lower, by a fixed step, for a query of its category than for one that
    names the product, unless the creative meets the query's intent. So the pair answers if even its
    least lifted creative stands above its own lowest logit. For evaluation only.
    """
    logit = np.log(rate) - np.log1p(-rate)
    lowest = np.full(len(product_of), np.inf)
    np.minimum.at(lowest, creative, logit)
    lift = np.full(shape, np.inf)
    np.minimum.at(lift, (query, product_of[creative]), logit - lowest[creative])
    return np.asarray(np.isfinite(lift) & (lift > 0.2))
