"""Ranks and recalls by encoders whose vectors are known: one-hot mocks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from creative4u.moon.benchmark.items import (
    attributes,
    categories,
    distorted_view,
    positives,
    queries_and_gallery,
    recalls_by_direction,
)
from creative4u.moon.benchmark.ranks import best_ranks, recalls
from creative4u.moon.catalogue.items import Item
from creative4u.moon.encoder.content import Content


class OneHot:
    """Each text and image file has its own axis; an item's vector is their sum, not normalised."""

    def __init__(self, axes: dict[str, int], size: int) -> None:
        self.axes, self.size = axes, size

    def encode(self, contents: Sequence[Content]) -> np.ndarray:
        rows = np.zeros((len(contents), self.size), np.float32)
        for row, one in enumerate(contents):
            names = [one.text] if one.text else []
            names += [one.image.stem] if isinstance(one.image, Path) else []
            for name in names:
                rows[row, self.axes[name]] = 1
        return rows


def shop() -> list[Item]:
    images = [(Path(f"{one}.jpg"), Path(f"{one}2.jpg")) for one in "abc"]
    titles = ("red shoe", "blue hat", "red shoe")
    kinds = ("shoes", "hats", "shoes")
    words = (("red", "leather"), ("blue",), ())
    return [
        Item(str(n), t, k, i, w)
        for n, (t, k, i, w) in enumerate(zip(titles, kinds, images, words, strict=True))
    ]


def test_best_ranks_count_ties_against_and_take_the_best_positive() -> None:
    scores = [[0.9, 0.5, 0.5], [0.1, 0.7, 0.9], [0.2, 0.2, 0.2]]
    right = [[False, True, False], [True, False, True], [True, False, False]]
    assert best_ranks(scores, right).tolist() == [3, 1, 3]
    itself = np.eye(3, dtype=bool)
    assert best_ranks(scores, [[0, 1, 0], [1, 0, 1], [1, 0, 0]], itself).tolist() == [2, 1, 2]
    with pytest.raises(ValueError, match="positive"):
        best_ranks(scores, itself, itself)


def test_recalls() -> None:
    found = recalls([1, 2, 5, 11], 20)
    assert found == {"R@1": 0.25, "R@5": 0.75, "R@10": 0.75, "gallery": 20, "queries": 4}


def test_every_direction_by_one_hot_vectors() -> None:
    # a's two images look alike, b's second looks like c's first, c's second like nothing
    axes = {"red shoe": 0, "blue hat": 1, "a": 2, "a2": 2, "b": 3, "b2": 4, "c": 4, "c2": 5}
    queries, gallery = queries_and_gallery(shop())
    found = recalls_by_direction(OneHot(axes, 6), queries, gallery, positives(shop()))
    # i->i: a right; b2 finds c before b; c2 ties with all three at 0, a and c are right: 1 before
    assert found["i->i"]["R@1"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["i->i"]["gallery"] == 3
    # t->mm: each title is in its own item's vector
    assert found["t->mm"]["R@1"] == 1.0
    # t->i: no text axis in an image: all tie at 0; a and c have one wrong one before them, b two
    assert found["t->i"]["R@1"] == 0.0
    # mm->mm: b2's image speaks for c and its title for b: a tie, which counts against it
    assert found["mm->mm"]["R@1"] == pytest.approx(2 / 3, abs=1e-4)


def test_categories_and_attributes_zero_shot() -> None:
    axes = {"shoes": 0, "hats": 1, "a": 0, "b": 1, "c": 1, "red": 0, "leather": 0, "blue": 1}
    items = shop()
    asked = [Content(image=item.images[0]) for item in items]
    mock = OneHot(axes, 2)
    assert categories(mock, items, asked) == pytest.approx(2 / 3)  # c looks like a hat
    assert attributes(mock, items, asked) == pytest.approx(1.0)


def test_other_view_is_another_picture_of_the_same_size_class() -> None:
    image = Image.new("RGB", (100, 60), (100, 100, 100))
    image.paste((0, 0, 200), (10, 10, 40, 50))
    view = distorted_view(image)
    assert view.size == (90, 54)
    left, right = view.getpixel((20, 27)), view.getpixel((70, 27))
    assert right[2] > left[2] + 50  # mirrored
    assert abs(left[0] - 123) < 6  # 100 * 1.12 * 1.1
