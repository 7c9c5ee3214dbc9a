"""The listings' benchmark by vectors that are known, its intervals, and what counts as bought."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np
import pytest
from fake_store import FakeStore

from creative4u.errors import InputError
from creative4u.moon.benchmark.compare import compare_encoders, rank_queries
from creative4u.moon.benchmark.gallery import build_gallery
from creative4u.moon.benchmark.two_tower import TwoTowerConfig, fit_two_tower
from creative4u.moon.catalogue.behaviour import Behaviour, read_behaviour
from creative4u.moon.catalogue.items import Item
from creative4u.moon.encoder.baselines import baselines
from creative4u.moon.encoder.content import Content
from creative4u.moon.training.triplets import Triplets

THINGS = ("boot", "lamp", "drum", "sofa")
TITLES = [(f"good {thing}", f"hot sale {thing}", thing) for thing in THINGS]


def items() -> list[Item]:
    return [
        Item(thing, f"good {thing}", images=tuple(Path(f"{thing}/{n}.jpg") for n in range(3)),
             name=thing, brand="b", split="test" if thing in ("boot", "lamp") else "train")
        for thing in THINGS
    ]  # fmt: skip


def behaviour() -> Behaviour:
    return Behaviour(
        queries=("cheap boot", "cheap lamp", "cheap drum", "boot or drum"),
        bought=np.array([[0, 0], [1, 1], [2, 2], [3, 0], [3, 2]]),
        purchases=np.full(5, 4),
        not_clicked={},
        exposure=np.full(4, 10),
    )


class Things:
    """Everything's vector is the thing that it shows or names; `blind` sees no images."""

    def __init__(self, blind: bool = False) -> None:
        self.blind = blind

    def can_search(self, ask: str, of: str) -> bool:
        return not (self.blind and "i" in (ask, of))

    def encode(self, contents: Sequence[Content]) -> np.ndarray:
        rows = np.zeros((len(contents), len(THINGS)), np.float32)
        for row, one in enumerate(contents):
            words = (one.text or "").split()
            shown = one.image.parent.name if isinstance(one.image, Path) else ""
            for place, thing in enumerate(THINGS):
                rows[row, place] = (thing in words) + (thing == shown and not self.blind)
        return rows


def test_the_gallery_holds_every_test_listing_and_some_of_the_others() -> None:
    gallery = build_gallery(items(), TITLES, behaviour(), train_listings=2)
    assert [one.product for one in gallery.listings] == [0, 0, 0, 1, 1, 1, 2, 2, 3, 3]
    assert [one.title for one in gallery.listings[:3]] == ["good boot", "hot sale boot", "boot"]
    texts, images, both = (gallery.queries[one] for one in ("t", "i", "mm"))
    # a query after which a training product was bought too is not asked
    assert [one.text for one in texts.contents] == ["cheap boot", "cheap lamp"]
    assert texts.positive[0].tolist() == [True] * 3 + [False] * 7
    assert len(images.contents) == 6
    assert images.excluded.sum(axis=1).tolist() == [1] * 6
    assert [one.text for one in both.contents] == ["cheap boot", "cheap lamp"]
    assert both.contents[1].image == Path("lamp/1.jpg")
    with pytest.raises(InputError, match="test product"):
        build_gallery([one for one in items() if one.split == "train"], TITLES[2:], behaviour())


def test_ranks_and_the_lead_over_the_best_other() -> None:
    gallery = build_gallery(items(), TITLES, behaviour(), train_listings=2)
    assert rank_queries(Things(), gallery, "t", "mm").rank.tolist() == [1, 1]
    # blind to images, all ten listings tie at 0 where an image asks: 10 - 3 wrong ones before
    assert rank_queries(Things(blind=True), gallery, "i", "mm").rank.tolist() == [8] * 6
    found = compare_encoders({"moon": Things(), "words": Things(blind=True)}, gallery, k=5)
    assert found["i->i"]["gallery"] == 10
    assert "words" not in found["i->i"]
    assert found["t->mm"]["lead"] == {"over": "words", "by": 0.0, "interval": [0.0, 0.0]}
    assert found["i->t"]["moon"] == {"R@1": 1.0, "R@5": 1.0, "R@5 interval": [1.0, 1.0]}


def test_a_chance_purchase_is_not_bought(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    duckdb.sql("select 0 as query_id, 'a boot' as text").write_parquet(
        str(tmp_path / "queries.parquet")
    )
    rows = [(0, 20), (1, 4), (2, 6), (3, 1)]  # product, purchases
    table = " union all ".join(
        f"select 0 as query_id, {product} as product_id, 1 as click, 1 as purchase from range({n})"
        for product, n in rows
    )
    duckdb.sql(table).write_parquet(str(tmp_path / "log" / "day.parquet"))
    every = read_behaviour(tmp_path, 4)
    assert every.bought[:, 1].tolist() == [0, 1, 2, 3]
    believed = read_behaviour(tmp_path, 4, min_purchases=3, min_purchase_share=0.25)
    assert believed.bought[:, 1].tolist() == [0, 2]  # 4 is under a quarter of 20
    assert believed.purchases.tolist() == [20, 6]


def test_two_towers_learn_what_is_bought() -> None:
    shop = [Item(one.item_id, one.title, "c", one.images, name=one.name, brand="b", split="train")
            for one in items()]  # fmt: skip
    triplets = Triplets(shop, behaviour())
    store = FakeStore()
    model = fit_two_tower(triplets, store, TwoTowerConfig(steps=40, batch=4, hidden=32, dim=16))
    asked = model.encode([Content(f"cheap {thing}") for thing in ("boot", "lamp", "drum")])
    scores = asked @ model.encode([one.content for one in shop]).T
    assert scores.argmax(axis=1).tolist() == [0, 1, 2]
    assert baselines(store)["concat"].can_search("t", "i") is False
