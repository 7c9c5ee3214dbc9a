"""Compare encoders on a gallery of listings: recalls with intervals, and the lead.

    creative4u moon evaluate --world DIR --json

The directions are MBE2.0's (arXiv 2511.12449) and i->i, the image search of MOON's exchange rate.
Positives are the listings of the products that were bought after the query, or of the product in
the image; in a gallery of titles alone, listings with the same title too. The best positive's rank
counts, ties count against the query. Intervals draw whole products.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from creative4u.metrics import grouped_bootstrap, weighted_ratio
from creative4u.moon.benchmark.gallery import Gallery
from creative4u.moon.benchmark.items import DIRECTIONS
from creative4u.moon.benchmark.ranks import best_ranks
from creative4u.moon.encoder.baselines import Embedder

Ranks = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RankedQueries:
    """One encoder's ranks (Q,) in one direction, and each query's product (Q,)."""

    rank: Ranks
    group: npt.NDArray[np.int64]

    def recall(self, k: int) -> float:
        """R@k."""
        return float((self.rank <= k).mean())


def rank_queries(encoder: Embedder, gallery: Gallery, query: str, of: str) -> RankedQueries:
    """Rank the gallery in modality `of` for its queries of modality `query`."""
    queries = gallery.queries[query]
    scores = encoder.encode(queries.contents) @ encoder.encode(gallery.contents(of)).T  # (Q, G)
    positive = _same_titles(gallery, queries.positive) if of == "t" else queries.positive
    return RankedQueries(best_ranks(scores, positive, queries.excluded), np.array(queries.group))


def _same_titles(gallery: Gallery, positive: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Extend positives (Q, G) to every listing with the same title."""
    _, title = np.unique([one.title.lower() for one in gallery.listings], return_inverse=True)
    found = np.zeros((len(positive), title.max() + 1), bool)
    for row, some in enumerate(positive):
        found[row, title[some]] = True
    return np.asarray(found[:, title])


def compare_encoders(
    encoders: Mapping[str, Embedder], gallery: Gallery, k: int = 10, ours: str = "moon"
) -> dict[str, dict[str, Any]]:
    """{direction: {"gallery", "queries", name: {"R@1", "R@10", "R@10 interval"}, "lead": ...}}.

    An encoder with `can_search` is measured only where it has vectors. "lead" is the R@k of `ours`
    less that of the best other encoder, with the paired interval on the same queries.
    """
    found: dict[str, dict[str, Any]] = {}
    for query, of in DIRECTIONS:
        answers = {
            name: rank_queries(one, gallery, query, of)
            for name, one in encoders.items()
            if getattr(one, "can_search", lambda *_: True)(query, of)
        }
        table: dict[str, Any] = {
            "gallery": len(gallery.listings), "queries": len(gallery.queries[query].contents)
        }  # fmt: skip
        for name, answer in answers.items():
            ends = grouped_bootstrap(weighted_ratio(answer.rank <= k), answer.group)
            table[name] = {
                "R@1": round(answer.recall(1), 4),
                f"R@{k}": round(answer.recall(k), 4),
                f"R@{k} interval": [round(float(end), 4) for end in ends],
            }
        found[f"{query}->{of}"] = table | _lead(answers, k, ours)
    return found


def _lead(answers: Mapping[str, RankedQueries], k: int, ours: str) -> dict[str, Any]:
    others = {name: one for name, one in answers.items() if name != ours}
    if ours not in answers or not others:
        return {}
    best = max(others, key=lambda name: others[name].recall(k))
    own = answers[ours]
    gain = (own.rank <= k).astype(float) - (others[best].rank <= k)
    ends = [round(float(end), 4) for end in grouped_bootstrap(weighted_ratio(gain), own.group)]
    return {"lead": {"over": best, "by": round(float(gain.mean()), 4), "interval": ends}}
