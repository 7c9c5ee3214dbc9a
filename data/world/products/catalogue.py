"""Draw the shop's products from a seed: cut-out, colour, brand, price, titles."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np

from data.world.products.cutouts import DYES

BRANDS = (
    "Avelo", "Northpeak", "Lumiva", "Kestrel", "Orbita", "Maruko", "Fjordline", "Tamsin",
    "Veyra", "Quillon", "Sundara", "Bexley", "Haruka", "Zentro", "Olmeda", "Pico&Co",
    "Ridgeway", "Solenne", "Tokimi", "Umbra Lane", "Wrenfield", "Yarrow", "Corvex", "Dalmore",
)  # fmt: skip
# What is really sold is mostly dark or muted: the first five of DYES half of the time.
DYE_SHARES = [0.18, 0.1, 0.1, 0.05, 0.07] + [0.5 / (len(DYES) - 5)] * (len(DYES) - 5)
PUFFERY = (
    "hot sale", "2026 new", "free shipping", "best gift", "factory price", "top quality",
    "fashion", "official store", "wholesale", "limited offer",
)  # fmt: skip


@dataclass(frozen=True)
class Sellable:
    """A kind of thing that can be sold: one row of sellable.json."""

    code: str
    name: str
    category: str
    attributes: tuple[str, ...]
    dyeable: bool
    price_range: tuple[float, float]
    chinese: str  # the category's name in Chinese


@dataclass(frozen=True)
class Product:
    """One listing; `titles` holds the qualities "bare", "good" and "stuffed"."""

    product_id: str
    code: str
    name: str
    category: str
    attributes: tuple[str, ...]
    colour: str  # a name in DYES, or "" for the render's own colours
    brand: str
    price: float
    titles: dict[str, str]
    chinese: str

    @property
    def title(self) -> str:
        return self.titles["good"]


@lru_cache(maxsize=1)
def sellables() -> tuple[Sellable, ...]:
    """All rows of sellable.json, in its order."""
    table = json.loads(files("data.world").joinpath("sellable.json").read_text("utf-8"))
    rows = []
    for row in table["products"]:
        about = table["categories"][row["category"]]
        rows.append(
            Sellable(
                code=row["code"],
                name=row["name"],
                category=row["category"],
                attributes=tuple(row["attributes"]),
                dyeable=row.get("dyeable", about["dyeable"]),
                price_range=(float(about["price"][0]), float(about["price"][1])),
                chinese=about["chinese"],
            )
        )
    return tuple(rows)


def draw_product(base: Sellable, product_id: str, rng: np.random.Generator) -> Product:
    """One listing of `base`: its colour, brand, price (log-uniform) and titles drawn from `rng`."""
    colour = ""
    if base.dyeable and rng.random() < 0.65:
        colour = str(rng.choice(list(DYES), p=DYE_SHARES))
    brand = str(rng.choice(BRANDS))
    low, high = base.price_range
    price = round(float(np.exp(rng.uniform(np.log(low), np.log(high)))), 2)
    thing = f"{colour} {base.name}".strip()
    first, *rest = rng.permutation(base.attributes).tolist()
    good = f"{brand} {thing}, {', '.join([first, *rest])}"
    stuffing = rng.permutation(PUFFERY)[:4].tolist()
    stuffed = " ".join([*stuffing[:2], brand, thing, first, base.name, *rest, *stuffing[2:]])
    titles = {"bare": base.name, "good": good, "stuffed": stuffed}
    return Product(
        product_id, base.code, base.name, base.category, base.attributes, colour, brand, price,
        titles, base.chinese,
    )  # fmt: skip


def draw_catalogue(count: int, seed: int) -> tuple[Product, ...]:
    """`count` products; every kind of thing appears once before any appears twice."""
    rng = np.random.default_rng([seed, 1])
    bases = sellables()
    order = [int(i) for _ in range(-(-count // len(bases))) for i in rng.permutation(len(bases))]
    return tuple(
        draw_product(bases[i], f"p{number:05d}", rng) for number, i in enumerate(order[:count])
    )
