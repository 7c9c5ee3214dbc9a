"""Answer the protocol's questions from the facts of two images, without clicks.

How much a fact counts is our choice, made from what the protocol asks (arXiv 2508.12628) and not
from the world's effects: props always count for a creative here, whatever they do in a category.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from creative4u.schema import Comparison, ProtocolAnswers, Side
from data.creative_pair.facts import DEGREES, Facts
from data.world.market.intents import query_text

DEAD_ZONE = {"query_hit": 0.1, "title_hit": 0.5, "text": 0.2, "props": 0.2, "layout": 0.2,
             "subject": 0.2, "background": 0.2}
WEIGHT = {"query_hit": 0.8, "title_hit": 1.5, "text": 0.8, "props": 0.1, "layout": 0.2,
          "subject": 1.0, "background": 1.0}  # of a question in the overall lean
SIMILAR = 0.1  # no degree further apart than this: too similar to tell


def met_queries(facts: Facts, queries: Sequence[str]) -> list[str]:
    """The queries whose interest the image's words or scene speak to."""
    if facts.wrong:
        return []
    asked = {query_text(facts.product, intent): intent for intent in facts.intents}
    return [query for query in queries if query in asked]


def scores(facts: Facts, queries: Sequence[str]) -> dict[str, float]:
    """How well one image does on each compared question, in units of its own."""
    useful = 1.0 if facts.points else 0.0
    unreadable = any(not text.legible for text in facts.texts)
    over = any(text.over for text in facts.texts)
    near = 1 - math.exp(-3 * facts.size)
    share = len(met_queries(facts, queries)) / max(1, len(queries))
    return {
        "query_hit": share - 2.0 * facts.wrong,
        "title_hit": -1.0 * facts.wrong,
        "text": 0.6 * useful - 0.4 * over - 0.3 * unreadable - 1.5 * max(0.0, facts.text - 0.55),
        "props": facts.props,
        "layout": -facts.frame,
        "subject": 1.3 * near + 0.8 * facts.whole - facts.cover - facts.dark - facts.blur,
        "background": 0.8 * facts.stand_out - 0.8 * facts.clutter,
    }


def too_similar(a: Facts, b: Facts) -> bool:
    """No degree differs plainly, nor what is shown, nor what is said."""
    return (a.shown == b.shown and set(a.intents) == set(b.intents)
            and all(abs(getattr(a, name) - getattr(b, name)) <= SIMILAR for name in DEGREES))


def compare(a: Facts, b: Facts, queries: Sequence[str]) -> dict[str, Comparison]:
    """The seven comparisons; within a question's dead zone it is A=B."""
    of_a, of_b = scores(a, queries), scores(b, queries)
    said: dict[str, Comparison] = {}
    for key, zone in DEAD_ZONE.items():
        gap = of_a[key] - of_b[key]
        said[key] = "A=B" if abs(gap) <= zone else "A>B" if gap > 0 else "A<B"
    return said


def answers(a: Facts, b: Facts, queries: Sequence[str], click: Side) -> ProtocolAnswers:
    """All ten answers; `click` is the label."""
    return ProtocolAnswers(
        same_image="yes" if a.image == b.image else "no",
        too_similar="yes" if too_similar(a, b) else "no",
        **compare(a, b, queries), click=click)


def lean(a: Facts, b: Facts, queries: Sequence[str]) -> float:
    """Which way the facts point altogether: positive for A."""
    of_a, of_b = scores(a, queries), scores(b, queries)
    return sum(weight * (of_a[key] - of_b[key]) for key, weight in WEIGHT.items())
