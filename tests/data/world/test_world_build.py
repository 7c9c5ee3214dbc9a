"""A whole small world from a drawn stock: the same bytes, kills included, and a guarded truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_stock import COLOURS
from PIL import Image, ImageDraw

from creative4u.errors import InputError
from creative4u.files.pairs_file import good_pairs
from creative4u.images import load_image
from data.creative_pair.ceiling.truth_agreement import truth_agreement
from data.creative_pair.facts import read_facts
from data.creative_pair.mining.image_metadata import read_shop
from data.creative_pair.mining.mine import mine
from data.creative_pair.reasoning.add_reasoning import reason_grounded
from data.world.build import build_world
from data.world.drawing.render import Stock
from data.world.market.truth import read_truth
from data.world.products.catalogue import draw_catalogue

SIZE = {"seed": 11, "products": 4, "users": 200, "impressions": 60_000,
        "creatives_per_product": 6, "days": 3}


def stock() -> Stock:
    """Striped squares in place of the renders of the four products."""
    catalogue = draw_catalogue(4, 11)
    cutouts = {}
    for product, colour in zip(catalogue, COLOURS.values(), strict=True):
        image = Image.new("RGBA", (120, 120), (*colour, 255))
        ImageDraw.Draw(image).rectangle([30, 10, 50, 110], fill=(250, 250, 250, 255))
        cutouts[product.code] = image
    return Stock(cutouts, catalogue)


def every_byte(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    build_world(folder, stock=stock(), **SIZE)
    return folder


def test_the_same_seed_gives_the_same_bytes_also_after_a_kill(world: Path, tmp_path: Path) -> None:
    build_world(tmp_path, stock=stock(), **SIZE)
    first = every_byte(world)
    assert every_byte(tmp_path) == first
    for name in ("images/p00002/facts.json", "images/p00002/03.jpg", "images/metadata.jsonl",
                 "log/day-001.parquet", "log/day-002.parquet", "truth/effects.truth"):
        (tmp_path / name).unlink()
    build_world(tmp_path, stock=stock(), **SIZE)
    assert every_byte(tmp_path) == first


def test_a_folder_holds_one_world(world: Path) -> None:
    with pytest.raises(InputError, match="another folder"):
        build_world(world, stock=stock(), **{**SIZE, "seed": 12})


def test_images_metadata_and_facts_belong_together(world: Path) -> None:
    shop, facts = read_shop(world / "images"), read_facts(world / "images")
    assert len(shop.creatives) == len(facts) == 24
    varied = [shown for shown in shop.creatives.values() if shown.variant_of]
    assert len(varied) == 4 * 2  # a third of six
    for shown in shop.creatives.values():
        load_image(world / "images" / shown.image)
        assert facts[shown.image].image == shown.image
    for shown in varied:
        assert shop.creatives[shown.variant_of].product_id == shown.product_id
        assert shown.factor


def test_the_truth_is_guarded_and_agrees_with_what_is_mined(world: Path, tmp_path: Path) -> None:
    assert not list((world / "truth").glob("*.parquet"))
    with pytest.raises(InputError, match="evaluation"):
        read_truth(world / "truth", "creatives", "training")  # type: ignore[arg-type]
    truth = read_truth(world / "truth", "creatives", "evaluation")
    assert np.isfinite(truth["unbiased_ctr"].to_numpy()).all()
    mine(str(world / "log"), world / "images", tmp_path)
    pairs = list(good_pairs(tmp_path))
    assert len(pairs) > 10
    assert truth_agreement(pairs, world)["all"] >= 0.95
    assert all(query and not query.isdigit() for pair in pairs for query in pair.queries)
    report = reason_grounded(tmp_path, world / "images", tmp_path)
    told = [pair for pair in good_pairs(tmp_path) if pair.reasoning]
    assert len(told) == report.kept > 0
    assert len(told) + sum(report.dropped.values()) == len(pairs)
    assert all(pair.answers and pair.answers.click == pair.label for pair in told)
