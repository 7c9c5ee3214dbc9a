"""Measure how often the world's truth agrees with mined labels.

This is the best that any selector can do on the labels; it is evaluation and nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb

from creative4u.schema import CreativePair
from data.creative_pair.mining.image_metadata import read_shop
from data.creative_pair.mining.mine import QUERIES_DECIDE
from data.world.market.truth import read_truth


def truth_agreement(pairs: Iterable[CreativePair], world: Path) -> dict[str, float]:
    """The share of labels that the unbiased CTR bears out: over all, and by kind of pair.

    A pair that its queries decide is judged by the CTR under its own query, all others by the
    CTR over the product's queries. Images are matched by their last two path parts.
    """
    names = {shown.image: int(name) for name, shown in
             read_shop(world / "images").creatives.items()}
    overall = _column(world, "creatives", ("creative_id",))
    by_query = _column(world, "queries", ("creative_id", "query_id"))
    spelt = {text: number for number, text in duckdb.execute(
        "SELECT query_id, text FROM read_parquet(?)", [str(world / "queries.parquet")]).fetchall()}
    hits: dict[str, list[bool]] = defaultdict(list)
    for pair in pairs:
        keys = [names["/".join(image.parts[-2:])] for image in (pair.image_a, pair.image_b)]
        decided = QUERIES_DECIDE in pair.tags
        if decided:
            ctr_a, ctr_b = (by_query[key, spelt[pair.queries[0]]] for key in keys)
        else:
            ctr_a, ctr_b = (overall[key,] for key in keys)
        hit = (ctr_a > ctr_b) == (pair.label == "A")
        hits["all"].append(hit)
        hits[QUERIES_DECIDE if decided else "all queries"].append(hit)
    return {kind: sum(found) / len(found) for kind, found in sorted(hits.items())}


def _column(world: Path, table: str, keys: tuple[str, ...]) -> Mapping[tuple[int, ...], float]:
    found = read_truth(world / "truth", table, "evaluation")
    columns = [found[name].to_pylist() for name in keys]
    return dict(zip(zip(*columns, strict=True), found["unbiased_ctr"].to_pylist(), strict=True))
