"""The correction of what images mean: the ridge by hand, what it is fitted to, how it is heard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fake_store import FakeStore
from PIL import Image

from creative4u.moon.catalogue.items import Item
from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.encoder import RESIDUAL, Encoder
from creative4u.moon.training.text_alignment import TextAlignmentConfig, fit_text_alignment, ridge
from data.images.named_images import stamps

THINGS = ("boot", "lamp", "drum", "sofa", "kite")


def fresh() -> Encoder:
    torch.manual_seed(1)
    return Encoder(replace(RESIDUAL, layers=1, experts=2, rank=2), FakeStore()).start()


def shop(split: str = "train") -> list[Item]:
    return [Item(thing, f"A {thing}", name=thing, brand="Avelo", split=split,
                 images=tuple(Path(f"{thing}/{n}.jpg") for n in range(3)))
            for thing in THINGS]  # fmt: skip


def test_the_ridge_is_the_one_worked_out() -> None:
    inputs, wanted = torch.tensor([[0.0], [2.0], [9.0]]), torch.tensor([[1.0], [3.0], [7.0]])
    # the third weighs nothing: means 1 and 2, gram 2, with strength 1 of its own mean: 4; slope 1/2
    slope, offset = ridge(inputs, wanted, torch.tensor([1.0, 1.0, 0.0]), 1.0)
    assert slope.tolist() == [[pytest.approx(0.5)]]
    assert offset.tolist() == [pytest.approx(-0.5)]


def test_names_come_nearer_and_test_things_are_not_looked_at() -> None:
    images = [Content(image=item.images[2]) for item in shop()]
    names = [Content(thing) for thing in THINGS]
    before, after = fresh(), fit_text_alignment(fresh(), shop(), 2, TextAlignmentConfig())
    first, second = ((one.encode(images, 384) * one.encode(names, 384)).sum(1)
                     for one in (before, after))  # fmt: skip
    assert (second > first + 0.1).all()
    assert after.encode(names) == pytest.approx(before.encode(names), abs=1e-6)
    looks = after.encode(images)[:, 384:]
    assert looks == pytest.approx(before.encode(images)[:, 384:], abs=1e-6)
    for items, config in (
        (shop("test"), TextAlignmentConfig()),
        (shop(), TextAlignmentConfig(ridge=0)),
    ):
        left = fit_text_alignment(fresh(), items, 2, config)
        assert not left.backbone.text_correction.weight.any()


def test_stamps_are_named_by_what_is_said_of_them(tmp_path: Path) -> None:
    for name, said in {
        "food/pear.png": "A ripe pear. Very sweet!",
        "food/pear_mirror.png": "A ripe pear.",
        "symbols/a.png": "The letter A.",
        "town/far.png": "The big old house that stands at the end.",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        Image.new("RGBA", (80, 70), (200, 30, 30, 255)).save(file)
        file.with_suffix(".txt").write_text(said, "utf-8")
    found = list(stamps(tmp_path))
    assert [(title, group) for _, title, group in found] == [("ripe pear", "food")]
    assert found[0][0].size == (384, 384)
    assert found[0][0].getpixel((192, 192)) == (200, 30, 30)
