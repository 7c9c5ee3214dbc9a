"""Fingerprints and splits: near-duplicates are found exactly and never cross the splits."""

from __future__ import annotations

import random
from itertools import combinations
from pathlib import Path

from PIL import Image, ImageDraw

from data.creative_pair.mining.image_hashes import (
    Fingerprint,
    fingerprint,
    fingerprints,
    is_near,
    near_pairs,
)
from data.creative_pair.mining.splits import product_groups, split_products


def picture(seed: int, side: int = 96) -> Image.Image:
    dice = random.Random(seed)
    image = Image.new("RGB", (side, side), (dice.randrange(256), 120, 90))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = dice.randrange(side), dice.randrange(side)
        draw.rectangle((x, y, x + dice.randrange(8, 50), y + dice.randrange(8, 50)),
                       fill=tuple(dice.randrange(256) for _ in range(3)))
    return image


def test_a_recompressed_copy_is_near_and_another_picture_is_not(tmp_path: Path) -> None:
    picture(1).save(tmp_path / "one.jpg", quality=95)
    picture(1).save(tmp_path / "copy.jpg", quality=70)
    picture(2).save(tmp_path / "other.jpg", quality=95)
    one, copy, other = (fingerprint(tmp_path, f"{name}.jpg") for name in ("one", "copy", "other"))
    assert one.sha != copy.sha
    assert is_near(one, copy)
    assert not is_near(one, other)


def test_the_bands_find_what_comparing_all_with_all_finds() -> None:
    dice = random.Random(3)
    rows = []
    for number in range(60):
        base = dice.getrandbits(64)
        rows.append(Fingerprint(f"{number}", f"sha{number}", base, 0))
        flipped = base
        for bit in dice.sample(range(64), dice.randrange(1, 6)):
            flipped ^= 1 << bit
        rows.append(Fingerprint(f"{number}+", f"sha{number}+", flipped, 0))
    brute = {frozenset((x.image, y.image)) for x, y in combinations(rows, 2) if is_near(x, y)}
    banded = {frozenset((x.image, y.image)) for x, y in near_pairs(rows)}
    assert banded == brute
    assert 20 < len(brute) < 60


def test_a_bad_image_is_data_and_a_cut_line_is_read_again(tmp_path: Path) -> None:
    picture(1).save(tmp_path / "good.jpg")
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff no picture")
    cache = tmp_path / "cache.jsonl"
    first = fingerprints(tmp_path, ["good.jpg", "bad.jpg", "gone.jpg"], cache, 1)
    assert first["good.jpg"].error == ""
    assert first["bad.jpg"].error.startswith("bad image: ")
    assert first["gone.jpg"].error == "missing image"
    whole = cache.read_bytes()
    cache.write_bytes(whole[:-20])
    assert fingerprints(tmp_path, first, cache, 1) == first
    assert cache.read_bytes() == whole
    (tmp_path / "gone.jpg").write_bytes((tmp_path / "good.jpg").read_bytes())
    (tmp_path / "good.jpg").write_bytes(b"another")  # a cache knows what it was made from
    again = fingerprints(tmp_path, first, cache, 1)
    assert again["gone.jpg"].sha == first["good.jpg"].sha
    assert again["good.jpg"].error.startswith("bad image: ")


def test_products_that_share_a_picture_go_to_one_split() -> None:
    far = [1 << 40, 0xFFFF << 20, 0xF0F0F0F0F0F0F0F0, 0x123456789ABCDEF]
    marks = {f"{n}.jpg": Fingerprint(f"{n}.jpg", f"s{n}", far[n], far[n]) for n in range(4)}
    marks["twin.jpg"] = Fingerprint("twin.jpg", "twin", far[0] ^ 1, far[0] ^ 2)
    owners = {"0.jpg": {"p0"}, "1.jpg": {"p1"}, "2.jpg": {"p2", "p3"}, "3.jpg": {"p4"},
              "twin.jpg": {"p5"}}
    groups = product_groups(marks, owners)
    assert groups["p0"] == groups["p5"]
    assert groups["p2"] == groups["p3"]
    assert len(set(groups.values())) == 4


def test_shares_are_shares_of_pairs_and_groups_stay_whole() -> None:
    groups = {f"p{n}": f"g{n // 2}" for n in range(200)}
    weight = dict.fromkeys(groups, 10)
    split = split_products(groups, weight, seed=5)
    assert all(split[f"p{n}"] == split[f"p{n + 1}"] for n in range(0, 200, 2))
    sizes = {name: list(split.values()).count(name) for name in ("train", "validation", "test")}
    assert sizes == {"train": 140, "validation": 20, "test": 40}
    assert split == split_products(groups, weight, seed=5)
    assert split != split_products(groups, weight, seed=6)
