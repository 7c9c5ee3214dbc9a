"""Build reasoned pairs of a creative and itself with one defect (RankIQA's idea).

Run: creative4u data defects --out DIR --count 800

Few pairs of a log differ by one defect alone, so a judge hardly learns that a blur, a cut or
another product decides. Here the undamaged side is the label by construction (no clicks behind it,
which the tag `defect: ...` says), and one pair in twenty shows one creative twice. All are for
training; DIR is a folder like that of mined pairs. Source: our choice, after RankIQA (ICCV 2017).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from creative4u.schema import CreativePair, Side
from data.creative_pair.facts import Facts, write_facts
from data.creative_pair.reasoning.add_reasoning import Grounded, Reasoned
from data.creative_pair.reasoning.from_facts import reason
from data.creative_pair.rows import write_pairs
from data.world.drawing.creative_spec import CreativeSpec, draw_creative, variant
from data.world.drawing.render import Stock, render
from data.world.drawing.render_catalogue import facts_of, open_stock
from data.world.products.catalogue import Product, draw_catalogue

DEFECTS = ("blur", "low_resolution", "dark", "clutter", "cut", "cover", "wrong")
SAME = 20  # one pair in so many shows one creative twice
PRODUCTS = 200


def defect_pairs(out: Path, count: int, seed: int = 11, stock: Stock | None = None) -> int:
    """Write `out`/images, facts.jsonl and pairs.jsonl; returns how many pairs have reasoning."""
    catalogue = draw_catalogue(PRODUCTS, seed)
    stock = stock or open_stock(catalogue)
    (out / "images").mkdir(parents=True, exist_ok=True)
    pairs: list[CreativePair] = []
    facts: dict[str, Facts] = {}
    for number in range(count):
        rng = np.random.default_rng([seed, 53, number])
        product = catalogue[int(rng.integers(PRODUCTS))]
        clean = draw_creative(rng, defects=0.0)
        defect = "" if number % SAME == 0 else str(rng.choice(DEFECTS))
        shown = [_shot(out, f"images/{number:05d}-0.jpg", clean, product, stock, facts)]
        if defect:
            harmed = replace(variant(clean, defect, rng), quality=clean.quality)
            shown.append(_shot(out, f"images/{number:05d}-1.jpg", harmed, product, stock, facts))
        label: Side = "A" if rng.random() < 0.5 else "B"
        good, bad = shown[0], shown[-1]
        trait = f"{rng.choice(product.attributes)} {product.name}".lower()
        queries = (product.name, trait)[: int(rng.integers(1, 3))]
        pairs.append(CreativePair(
            pair_id=f"defect-{seed}-{number:05d}", product_id=product.product_id,
            product_title=product.title,
            queries=queries,
            image_a=Path(good if label == "A" else bad),
            image_b=Path(bad if label == "A" else good), label=label, split="train",
            tags=(f"defect: {defect}" if defect else "same image",)))
    rows = [row for row in (_reasoned(pair, facts, seed) for pair in pairs) if row is not None]
    write_facts(list(facts.values()), out)
    write_pairs(rows, out)
    return len(rows)


def _reasoned(pair: CreativePair, facts: dict[str, Facts], seed: int) -> CreativePair | None:
    """The pair with its answers and reasoning, or None where the facts oppose the label."""
    if pair.image_a == pair.image_b:
        one = facts[str(pair.image_a)]
        assert pair.label is not None
        answers, said = reason(one, one, pair.queries, pair.label, f"{seed}:{pair.pair_id}")
        return pair.model_copy(update={"answers": answers, "reasoning": said})
    outcome = Grounded(facts, seed).one(pair)
    if not isinstance(outcome, Reasoned):
        return None
    return pair.model_copy(update={"answers": outcome.answers, "reasoning": outcome.reasoning})


def _shot(out: Path, name: str, spec: CreativeSpec, product: Product, stock: Stock,
          facts: dict[str, Facts]) -> str:
    """Render one image into the folder and note its facts; its name is returned."""
    shot = render(spec, product, stock)
    (out / name).write_bytes(shot.jpeg(spec.quality))
    facts[name] = facts_of(name, spec, product, shot)
    return name
