"""Encoders and a gallery of listings in, recalls with intervals side by side out.

    creative4u moon evaluate --world DIR --json

The directions are MBE2.0's (arXiv 2511.12449) and i->i, the image-based search recall of MOON's
exchange rate. Positives: the listings of the products that were bought after the query, or of the
product in the image; listings of the same title count with them where titles alone are the gallery.
The best positive's rank counts, ties count against the query. Intervals draw whole products.
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
from creative4u.moon.encoder.baselines import Embeds

Ranks = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Answer:
    """One encoder's ranks in one direction, and the product that each query asks for."""

    rank: Ranks
    group: npt.NDArray[np.int64]

    def recall(self, k: int) -> float:
        """R@k."""
        return float((self.rank <= k).mean())


def ranked(encoder: Embeds, gallery: Gallery, ask: str, of: str) -> Answer:
    """The ranks of `encoder` where contents of modality `ask` search among those of `of`."""
    asked = gallery.asked[ask]
    scores = encoder.encode(asked.contents) @ encoder.encode(gallery.contents(of)).T  # (Q, G)
    right = _same_words(gallery, asked.right) if of == "t" else asked.right
    return Answer(best_ranks(scores, right, asked.excluded), np.array(asked.group))


def _same_words(gallery: Gallery, right: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Right titles, wherever they stand: (Q, G) and every listing that reads the same."""
    _, words = np.unique([one.title.lower() for one in gallery.listings], return_inverse=True)
    said = np.zeros((len(right), words.max() + 1), bool)
    for row, some in enumerate(right):
        said[row, words[some]] = True
    return np.asarray(said[:, words])


def benchmark(
    encoders: Mapping[str, Embeds], gallery: Gallery, k: int = 10, first: str = "moon"
) -> dict[str, dict[str, Any]]:
    """{direction: {"gallery", "queries", name: {"R@1", "R@10", "R@10 interval"}, "lead": ...}}.

    An encoder that has `answers` is asked only where it has vectors. "lead" is `first`'s R@k less
    that of the best other encoder, with the interval of the difference on the same queries.
    """
    found: dict[str, dict[str, Any]] = {}
    for ask, of in DIRECTIONS:
        answers = {
            name: ranked(one, gallery, ask, of)
            for name, one in encoders.items()
            if getattr(one, "answers", lambda *_: True)(ask, of)
        }
        table: dict[str, Any] = {
            "gallery": len(gallery.listings), "queries": len(gallery.asked[ask].contents)
        }  # fmt: skip
        for name, answer in answers.items():
            ends = grouped_bootstrap(weighted_ratio(answer.rank <= k), answer.group)
            table[name] = {
                "R@1": round(answer.recall(1), 4),
                f"R@{k}": round(answer.recall(k), 4),
                f"R@{k} interval": [round(float(end), 4) for end in ends],
            }
        found[f"{ask}->{of}"] = table | _lead(answers, k, first)
    return found


def _lead(answers: Mapping[str, Answer], k: int, first: str) -> dict[str, Any]:
    others = {name: one for name, one in answers.items() if name != first}
    if first not in answers or not others:
        return {}
    best = max(others, key=lambda name: others[name].recall(k))
    own = answers[first]
    gain = (own.rank <= k).astype(float) - (others[best].rank <= k)
    ends = [round(float(end), 4) for end in grouped_bootstrap(weighted_ratio(gain), own.group)]
    return {"lead": {"over": best, "by": round(float(gain.mean()), 4), "interval": ends}}
