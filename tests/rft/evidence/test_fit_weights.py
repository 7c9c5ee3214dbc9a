"""Weights of observed degrees: learnt from labels, the same both ways round, kept on the way."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from creative4u.errors import InputError
from creative4u.selector.backends.prompt_only import PromptsOnly
from creative4u.selector.config import JudgeConfig
from creative4u.selector.evidence.properties import Match
from creative4u.selector.judge import Judge
from rft.evidence.fit_weights import NAMES, _evened, weigh


class Eyes:
    """Blur is the red of the picture, size the green, in tens."""

    looked = 0

    def seen(self, images: Sequence[Any], probe: bool) -> list[tuple[dict[str, float], Any]]:
        self.looked += len(images)
        pixels = [image.getpixel((0, 0)) for image in images]
        return [({"blur": red / 10, "size": green / 10}, {}) for red, green, _ in pixels]

    def classify(self, images: Sequence[Any]) -> list[tuple[str, float]]:
        return [("thing", 0.5)] * len(images)

    def read(self, images: Sequence[Any]) -> list[tuple[str, ...]]:
        raise AssertionError

    def match(self, image: Any, title: str, queries: tuple[str, ...]) -> Match:
        return Match(title=5.0)


def pairs_file(folder: Path, count: int, seed: int) -> Path:
    """Pairs whose sharper side is the label, nine times in ten."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    rows = []
    for number in range(count):
        blur, size = rng.permutation(10)[:2], rng.integers(0, 10, 2)
        for side in (0, 1):
            colour = (int(blur[side]) * 10, int(size[side]) * 10, number % 256)
            Image.new("RGB", (32, 32), colour).save(folder / f"{number}-{side}.png")
        sharper = "A" if blur[0] < blur[1] else "B"
        label = sharper if number % 10 else {"A": "B", "B": "A"}[sharper]
        rows.append({"pair_id": f"{folder.name}{number}", "product_title": "Boot",
                     "image_a": f"{number}-0.png", "image_b": f"{number}-1.png", "label": label,
                     "split": "validation" if number % 3 == 0 else "train"})
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "pairs.jsonl"


def judge(eyes: Eyes, **config: Any) -> Judge:
    return Judge(PromptsOnly("test"), JudgeConfig(**config), eyes)


def test_what_decides_gets_the_weight_and_nothing_is_looked_at_twice(tmp_path: Path) -> None:
    eyes, out = Eyes(), tmp_path / "weights.json"
    files = [pairs_file(tmp_path / name, 90, seed) for seed, name in enumerate("ab")]
    figures = weigh(files, judge(eyes), out)
    weights = json.loads(out.read_text())
    assert set(weights) <= set(NAMES)
    assert weights["blur"][0] == 0
    assert sorted(weights["blur"], reverse=True) == weights["blur"]  # it never counts for
    assert weights["blur"][-1] < -1
    assert abs(weights["size"][-1]) < abs(weights["blur"][-1]) / 4
    assert figures["blur"] == weights["blur"][-1]
    assert figures["validation_accuracy"] == pytest.approx(0.9, abs=0.04)
    assert figures["validation_pairs"] == 60
    looked = eyes.looked
    assert weigh(files, judge(eyes), out) == figures
    assert eyes.looked == looked


def test_too_few_pairs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 20"):
        weigh([pairs_file(tmp_path / "few", 9, 0)], judge(Eyes()), tmp_path / "weights.json")


def test_a_judge_that_is_shown_nothing_has_nothing_to_weigh(tmp_path: Path) -> None:
    blind = judge(Eyes(), observe=False, use_pixels=False)
    with pytest.raises(InputError, match="shown nothing"):
        weigh([pairs_file(tmp_path / "few", 90, 0)], blind, tmp_path / "weights.json")


def test_a_small_file_counts_as_much_in_sum_as_a_large_one() -> None:
    files = [Path("large")] * 6 + [Path("small")] * 3
    train = np.array([True] * 6 + [True, True, False])
    assert _evened(files, train).tolist() == [1.0] * 6 + [3.0, 3.0]
