"""Build a simulated shop from a seed: catalogue, creatives, shoppers, log, and its truth apart.

Run: creative4u data world --out DIR --seed 7 --products 400 --users 50000 --impressions 12000000

    DIR/products.parquet, users.parquet, queries.parquet, world.json
    DIR/images/<product>/<nn>.jpg, metadata.jsonl, facts.jsonl
    DIR/log/day-<nnn>.parquet
    DIR/truth/  (see `truth`)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from creative4u.errors import InputError
from data.creative_pair.facts import DEGREES, Facts, read_facts
from data.world.drawing.render import Stock
from data.world.drawing.render_catalogue import shoot
from data.world.market.clicks import Market, build_market, expected_ctr
from data.world.market.effects import FACTORS, Effects, Ints, attractiveness, draw_effects
from data.world.market.exposure import build_shelf
from data.world.market.impression_log import write_log, write_parquet
from data.world.market.shoppers import Goods, People, build_people
from data.world.market.truth import write_truth
from data.world.products.catalogue import Product, draw_catalogue

DAYS = 30
TRUTH_SAMPLES = 2000  # shoppers that the unbiased CTR is averaged over


@dataclass(frozen=True)
class WorldConfig:
    """What a world is drawn from; two worlds with the same config are the same, byte for byte."""

    seed: int = 7
    products: int = 400
    users: int = 50_000
    impressions: int = 12_000_000
    creatives_per_product: int = 13
    days: int = DAYS


def build_world(
    out: Path,
    seed: int = 7,
    products: int = 400,
    users: int = 50_000,
    impressions: int = 12_000_000,
    creatives_per_product: int = 13,
    days: int = DAYS,
    workers: int = 2,
    stock: Stock | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, int]:
    """Build the world under `out`, or go on where a killed run stopped.

    `stock` replaces the packages' renders and photographs (tests give their own; it then draws in
    this process). Returns counts. Raises InputError where `out` holds a world of another config,
    AssetError where the renders cannot be fetched.
    """
    config = WorldConfig(seed, products, users, impressions, creatives_per_product, days)
    _claim(out, config)
    catalogue = draw_catalogue(products, seed)
    progress(f"catalogue: {len(catalogue)} products")
    shoot(out / "images", catalogue, creatives_per_product, seed, workers, stock, progress)
    facts = list(read_facts(out / "images").values())
    goods = Goods(
        [p.name for p in catalogue],
        [p.category for p in catalogue],
        [p.attributes for p in catalogue],
        [p.price for p in catalogue],
    )
    number = {product.product_id: row for row, product in enumerate(catalogue)}
    product_of = np.array([number[fact.image.split("/")[0]] for fact in facts])
    people = build_people(goods, _carried(facts, product_of, len(catalogue)), users, seed)
    market, parts, effects = _market(goods, people, facts, product_of, seed)
    _write_tables(out, catalogue, people)
    truth = out / "truth"
    if not (truth / "effects.truth").exists():
        rates = expected_ctr(market, product_of, TRUTH_SAMPLES, seed)
        _write_truth(truth, market, rates, product_of, parts, effects)
    progress("people and truth: done")
    write_log(market, out / "log", impressions, days, seed, progress)
    return {
        "products": len(catalogue),
        "creatives": len(facts),
        "queries": len(people.queries),
        "impressions": impressions,
    }


def _claim(out: Path, config: WorldConfig) -> None:
    """One folder, one config: a second config must not be mixed into the first one's files."""
    path = out / "world.json"
    if path.exists():
        if (found := json.loads(path.read_text("utf-8"))) != asdict(config):
            raise InputError(f"{out} holds the world {found}; give another folder for this one")
        return
    out.mkdir(parents=True, exist_ok=True)
    part = path.with_name("world.json.part")
    part.write_text(json.dumps(asdict(config), indent=1) + "\n", "utf-8")
    part.replace(path)


def _carried(facts: list[Facts], product_of: Ints, products: int) -> list[list[str]]:
    carried: list[list[str]] = [[] for _ in range(products)]
    for fact, product in zip(facts, product_of, strict=True):
        carried[product] += fact.intents
    return carried


def fact_columns(facts: list[Facts]) -> dict[str, NDArray[np.float64]]:
    """Facts by name, (N,) each, as `effects.features` reads them."""
    columns = {name: np.array([getattr(fact, name) for fact in facts]) for name in DEGREES}
    columns["useful"] = np.array([float(bool(fact.points)) for fact in facts])
    columns["wrong"] = np.array([float(fact.wrong) for fact in facts])
    return columns


def _market(
    goods: Goods, people: People, facts: list[Facts], product_of: Ints, seed: int
) -> tuple[Market, NDArray[np.float64], Effects]:
    effects = draw_effects(len(people.categories), seed)
    category = np.array([people.categories.index(name) for name in goods.categories])
    attraction, parts = attractiveness(fact_columns(facts), category[product_of], effects, seed)
    market = build_market(
        goods,
        people,
        build_shelf(goods, people.queries, product_of, seed),
        attraction,
        [set(fact.intents) for fact in facts],
        np.array([fact.wrong for fact in facts]),
    )
    return market, parts, effects


def _write_tables(out: Path, catalogue: tuple[Product, ...], people: People) -> None:
    rows = [
        {"product": row, **asdict(product), "titles": json.dumps(product.titles)}
        for row, product in enumerate(catalogue)
    ]
    write_parquet(pa.Table.from_pylist(rows), out / "products.parquet")
    write_parquet(
        pa.Table.from_pylist(
            [
                {"query_id": query.query_id, "text": query.text, "category": query.category}
                for query in people.queries
            ]
        ),
        out / "queries.parquet",
    )
    write_parquet(
        pa.table(
            {
                "user_id": np.arange(len(people.leaning), dtype=np.int32),
                "budget": np.exp(people.budget).astype(np.float32),
                "favourite": pa.array([people.attributes[row] for row in people.favourite]),
            }
        ),
        out / "users.parquet",
    )


def _write_truth(
    folder: Path,
    market: Market,
    rates: NDArray[np.float64],
    product_of: Ints,
    parts: NDArray[np.float64],
    effects: Effects,
) -> None:
    """By creative: logit, each factor's part, CTR over its product's queries; and CTR by query."""
    creative, query = np.nonzero(~np.isnan(rates))
    people = market.people
    user_share = np.diff(people.activity, prepend=0.0)
    rows = np.diff(people.query_table.reshape(-1, len(people.queries)), prepend=0.0, axis=1)
    rows[:, 0] %= 1.0  # cumulative rows start at their own number
    weights = np.zeros(len(people.queries))
    shares = np.diff(people.interests, prepend=0.0, axis=1) * user_share[:, None]  # (U, C)
    width = len(people.categories)
    for leaning in range(len(rows) // width):
        mass = shares[people.leaning == leaning].sum(axis=0)  # (C,)
        weights += mass @ rows[leaning * width : (leaning + 1) * width]
    asked = weights * np.exp(4 * market.shelf.relevance[:, product_of].T)
    asked = np.where(np.isnan(rates), 0.0, asked)
    ctr = np.nansum(asked * np.nan_to_num(rates), axis=1) / asked.sum(axis=1)
    creatives = pa.table(
        {
            "creative_id": np.arange(len(product_of)),
            "product": product_of,
            "attraction": market.attraction,
            "unbiased_ctr": ctr,
            **{f"part_{name}": parts[:, column] for column, name in enumerate(FACTORS)},
        }
    )
    queries = pa.table(
        {
            "creative_id": creative.astype(np.int32),
            "query_id": query.astype(np.int32),
            "unbiased_ctr": rates[creative, query].astype(np.float32),
        }
    )
    write_truth(folder, creatives, queries, effects, people.categories)
