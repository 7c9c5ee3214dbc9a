"""Rankers on features whose order is known; the ceiling on a set that only one thing decides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from creative4u.backbone.appearance import Appearance
from creative4u.errors import InputError
from creative4u.schema import CreativePair
from data.creative_pair.ceiling import ceiling as room
from data.creative_pair.ceiling.rankers import Fit, Sides, fit_pairwise, fit_pointwise
from data.creative_pair.rows import write_pairs


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Matrices this small gain nothing from threads and lose much where cores are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def sides(seed: int, count: int = 300) -> Sides:
    """The side with the larger second feature is the label; the others say nothing."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, count, 5)).astype(np.float32)
    return Sides(a, b, a[:, 1] > b[:, 1])


def test_a_tie_counts_one_half_and_a_swap_turns_the_choice() -> None:
    one = sides(0)
    other = Sides(one.b, one.a, ~one.label_a)
    assert one.accuracy(lambda rows: 0 * rows[:, 0]) == 0.5
    assert one.accuracy(lambda rows: rows[:, 1]) == 1.0
    assert one.accuracy(lambda rows: rows[:, 0]) == other.accuracy(lambda rows: rows[:, 0])


@pytest.mark.parametrize("hidden", [0, 16])
def test_a_pairwise_ranker_finds_what_decides(hidden: int) -> None:
    score = fit_pairwise(sides(0), sides(1), Fit(hidden=hidden, steps=300, rate=1e-2))
    assert sides(2).accuracy(score) > 0.9


def test_a_pointwise_ranker_finds_it_in_the_rates() -> None:
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(400, 5)).astype(np.float32)
    rate = (1 / (1 + np.exp(3 - rows[:, 1]))).astype(np.float32)
    score = fit_pointwise(rows, rate, np.ones(400, np.float32), sides(1),
                          Fit(steps=300, rate=1e-2))
    assert sides(2).accuracy(score) > 0.9


def test_the_ceiling_ranks_by_sharpness_where_sharpness_decides(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    pairs = []
    for number in range(60):
        sharp = Image.fromarray(rng.integers(0, 256, (48, 48, 3), dtype=np.uint8))
        sharp.save(tmp_path / f"{number}s.png")
        sharp.filter(ImageFilter.GaussianBlur(3)).save(tmp_path / f"{number}b.png")
        names = (f"{number}s.png", f"{number}b.png")[::1 if number % 2 else -1]
        pairs.append(CreativePair.model_validate({
            "pair_id": str(number), "product_title": "boot", "image_a": names[0],
            "image_b": names[1], "label": "A" if number % 2 else "B", "ctr_a": 0.1, "ctr_b": 0.1,
            "impressions_a": 10, "impressions_b": 10,
            "split": ("train", "train", "validation", "test")[number // 2 % 4]}))
    write_pairs(pairs, tmp_path)
    monkeypatch.setattr(room, "cached_appearance", lambda paths, cache, half, progress: Appearance(
        np.array([[[float(path.stem.endswith("s"))]] for path in paths], np.float32),
        np.ones((len(paths), 1), np.float32)))
    monkeypatch.setattr(room, "sentence_vectors", lambda texts: np.zeros((len(texts), 2)))
    for name in ("LINEAR", "MLP"):
        monkeypatch.setattr(room, name, Fit(steps=100, rate=1e-2))
    found = room.ceiling(tmp_path, tmp_path / "ceilings.json")
    assert found["always A"] == 0.5
    assert found["statistic sharpness"] == 1.0
    assert found["linear probe on DINOv2"] == 1.0
    assert json.loads((tmp_path / "ceilings.json").read_text())["accuracy"] == found
    assert room.ceiling(tmp_path, tmp_path / "again.json") == found
    write_pairs([pair for pair in pairs if pair.split != "validation"], tmp_path)
    with pytest.raises(InputError, match="no pairs in the splits validation"):
        room.ceiling(tmp_path, tmp_path / "ceilings.json")
