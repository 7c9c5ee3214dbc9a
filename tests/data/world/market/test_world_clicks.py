"""People, exposure and clicks: drawn shares are the stated ones, and a log resumes to the byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from data.world.market.clicks import (
    Market,
    build_market,
    click_logit,
    draw_clicks,
    expected_ctr,
    sigmoid,
)
from data.world.market.effects import (
    FACTORS,
    MATCH,
    attractiveness,
    draw_effects,
    features,
    saturate,
)
from data.world.market.exposure import POSITION_BIAS, build_shelf, policy_of_day
from data.world.market.impression_log import write_log
from data.world.market.intents import intents_of, query_text
from data.world.market.shoppers import Goods, build_people, cumulate_rows, draw_rows

GOODS = Goods(["boot", "boot", "hat"], ["shoes", "shoes", "clothes"],
              [["warm"], ["light"], ["warm"]], [50.0, 80.0, 20.0])
INTENTS = [{"deal"}, {"quality"}, set(), {"deal", "scene"}, {"quality"}, set()]
PRODUCT_OF = np.array([0, 0, 1, 1, 2, 2])


def market(seed: int = 3) -> Market:
    carried = [sorted(INTENTS[0] | INTENTS[1]), sorted(INTENTS[3]), ["quality"]]
    people = build_people(GOODS, carried, 500, seed)
    shelf = build_shelf(GOODS, people.queries, PRODUCT_OF, seed)
    wrong = np.array([False, False, False, False, False, True])
    return build_market(GOODS, people, shelf, np.linspace(2.5, 3.5, 6), INTENTS, wrong)


def test_rows_are_drawn_by_their_weights() -> None:
    table = cumulate_rows(np.array([[1.0, 3.0, 0.0], [0.0, 0.0, 2.0]]))
    np.testing.assert_allclose(table, [0.25, 1.0, 1.0, 1.0, 1.0, 2.0])
    rng = np.random.default_rng(0)
    first = draw_rows(table, 3, np.zeros(20_000, np.int64), rng)
    assert set(first) == {0, 1}
    assert np.mean(first) == pytest.approx(0.75, abs=0.01)
    assert set(draw_rows(table, 3, np.ones(100, np.int64), rng)) == {2}


def test_queries_ask_for_what_creatives_carry() -> None:
    asked = {query.text: query.kind for query in market().people.queries}
    assert asked == {"boot": "plain", "cheap boot": "price", "durable boot": "need",
                     "boot ideas": "scene", "hat": "plain", "cheap hat": "price",
                     "durable hat": "need"}
    assert query_text("boot", "attribute: warm") == "warm boot"


def test_a_creative_meets_the_interests_that_it_says_or_shows() -> None:
    said = [("point", "WARM"), ("point", "鞋靴限时抢购"), ("call", "BUY NOW")]
    assert intents_of(said, ["warm"], "flat") == {"attribute: warm", "deal"}
    assert intents_of([("price", "$5")], [], "shelf") == {"deal", "scene"}


def test_features_and_effects_by_hand() -> None:
    facts = {name: np.array([0.5]) for name in ("size", "whole", "text", "cover", "clutter", "dark",
                                                "blur", "props", "frame", "stand_out", "useful",
                                                "wrong")}
    row = dict(zip(FACTORS, features(facts)[0], strict=True))
    assert row["size"] == pytest.approx((1 - np.exp(-1.5)) / (1 - np.exp(-3)))
    assert row["useful_text"] == 0.25
    assert row["long_text"] == 0.0
    assert row["dark_stand_out"] == 0.25
    assert saturate(np.array([0.0, 1.0])).tolist() == [0.0, 1.0]
    effects = draw_effects(4, seed=1)
    blur = effects.table[:, FACTORS.index("blur")]
    assert (blur < 0).all()
    assert blur.std() > 0  # what hurts, hurts more in some categories
    total, parts = attractiveness(facts, np.array([2]), effects, seed=1)
    chance = np.random.default_rng([1, 17]).normal(0, 0.12)
    assert total[0] == pytest.approx(parts.sum() + chance)


def test_the_logit_adds_the_match_and_loses_with_the_position() -> None:
    shop = market()
    deal = next(query.query_id for query in shop.people.queries if query.text == "cheap boot")
    rows = [np.array([1, 1]), np.full(2, deal), np.zeros(2, np.int64)]
    met, unmet = click_logit(shop, *rows, np.array([0, 1]), np.ones(2, np.int64))
    assert met - unmet == pytest.approx(MATCH + shop.attraction[0] - shop.attraction[1])
    first, third = click_logit(shop, *rows, np.zeros(2, np.int64), np.array([1, 3]))
    assert first - third == pytest.approx(2 * POSITION_BIAS)


def test_nobody_buys_without_a_click_and_the_wrong_product_is_never_met() -> None:
    shop = market()
    assert not shop.match[5].any()
    rng = np.random.default_rng(1)
    user, query = shop.people.draw(rng, 5000)
    product, creative, position = policy_of_day(
        shop.shelf, np.zeros(6, int), np.zeros(6, int)).draw(query, rng)
    click, purchase = draw_clicks(shop, user, query, product, creative, position, rng)
    assert (PRODUCT_OF[creative] == product).all()
    assert position.min() >= 1
    assert position.max() <= 10
    assert purchase.sum() > 0
    assert not (purchase & ~click).any()


def test_what_was_clicked_is_shown_more() -> None:
    shelf = market().shelf
    cold = policy_of_day(shelf, np.full(6, 1000), np.full(6, 50))
    warm = policy_of_day(shelf, np.full(6, 1000), np.array([150, 50, 50, 50, 50, 50]))
    width = shelf.slots.shape[1]

    def share(creatives: np.ndarray) -> float:
        return float(creatives.reshape(-1, width)[0, 0])

    assert share(warm.creatives) > share(cold.creatives)


def test_the_unbiased_ctr_is_the_mean_over_shoppers() -> None:
    shop = market()
    rates = expected_ctr(shop, PRODUCT_OF, 400, seed=5)
    rng = np.random.default_rng([5, 23])
    user, _ = shop.people.draw(rng, 400)
    luck = 0.15 * rng.standard_normal(400)
    ones = np.ones(400, np.int64)
    logit = click_logit(shop, user, 0 * ones, 0 * ones, 0 * ones, ones)
    assert rates[0, 0] == pytest.approx(sigmoid(logit + luck).mean(), rel=1e-4)
    assert np.isnan(rates[4, 0])  # a hat's creative under a boot's query


def test_a_killed_log_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    shop = market()
    whole = write_log(shop, tmp_path / "whole", 9001, 4, 3, lambda line: None)
    files = sorted(path.name for path in whole.iterdir())
    assert len(files) == 4
    assert sum(pq.read_metadata(whole / name).num_rows for name in files) == 9001
    cut = write_log(shop, tmp_path / "cut", 9001, 4, 3, lambda line: None)
    (cut / files[3]).unlink()
    (cut / files[2]).unlink()
    (cut / "day-002.part").write_bytes(b"half")
    write_log(shop, tmp_path / "cut", 9001, 4, 3, lambda line: None)
    assert [(whole / name).read_bytes() for name in files] == [
        (cut / name).read_bytes() for name in files]
