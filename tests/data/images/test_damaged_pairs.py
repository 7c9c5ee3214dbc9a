"""Sanity pairs from drawn samples: balanced sides, equal encodings, known damages."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from creative4u.errors import InputError
from creative4u.schema import CreativePair
from data.images.damaged_pairs import DAMAGES, Sample, queries_of, sanity
from data.world.drawing.typefaces import Typefaces

COLOURS = ((200, 30, 30), (30, 30, 200), (30, 150, 60))


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    folder = tmp_path / "samples"
    folder.mkdir()
    rows = []
    for i, colour in enumerate(COLOURS):
        image = Image.new("RGB", (420, 420), (240, 240, 240))
        ImageDraw.Draw(image).ellipse([120, 120, 300, 300], fill=colour)
        image.save(folder / f"{i}.png")
        rows.append(
            {"file_name": f"{i}.png", "title": f"Avelo Bag {i}", "category": f"kind {i % 2}"}
        )
    (folder / "metadata.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder


def read(path: Path) -> list[CreativePair]:
    return [CreativePair.model_validate_json(line) for line in path.read_text().splitlines()]


def test_every_image_gets_every_damage_and_the_sides_are_balanced(
    samples: Path, tmp_path: Path
) -> None:
    path = sanity(samples, tmp_path / "out", typefaces=Typefaces())
    pairs = read(path)
    assert Counter(pair.tags[0] for pair in pairs) == dict.fromkeys(DAMAGES, 3)
    assert Counter(pair.label for pair in pairs) == {"A": 9, "B": 9}
    for name in DAMAGES:
        assert sum(p.label == "A" for p in pairs if p.tags == (name,)) in (1, 2)
    for pair in pairs:
        assert pair.split == "test"
        a, b = (Image.open(path.parent / image) for image in (pair.image_a, pair.image_b))
        assert a.size == b.size == (384, 384)
        assert a.quantization == b.quantization
        whole = pair.image_a if pair.label == "A" else pair.image_b
        assert whole == Path(f"images/{pair.product_id}.jpg")


def test_the_damages_are_what_they_say(samples: Path, tmp_path: Path) -> None:
    path = sanity(samples, tmp_path / "out", typefaces=Typefaces())
    for pair in read(path):
        good, bad = (
            np.asarray(Image.open(path.parent / image), float)
            for image in (
                (pair.image_a, pair.image_b) if pair.label == "A" else (pair.image_b, pair.image_a)
            )
        )
        match pair.tags[0]:
            case "dark":
                assert bad.mean() < 0.6 * good.mean()
            case "blurred":
                assert np.abs(np.diff(bad, axis=1)).max() < np.abs(np.diff(good, axis=1)).max() / 2
            case "other product":  # of the other category: 0 and 2 against 1
                far = [1] if pair.product_id in "02" else [0, 2]
                gaps = [np.abs(bad[192, 192] - COLOURS[i]).max() for i in far]
                assert min(gaps) < 12
            case "cluttered" | "text over subject":
                changed = np.abs(bad - good).max(axis=2) > 40
                assert 0.02 < changed.mean() < 0.6


def test_the_same_seed_gives_the_same_bytes_and_per_image_limits(
    samples: Path, tmp_path: Path
) -> None:
    first, again = (
        sanity(samples, tmp_path / name, 3, per_image=2, typefaces=Typefaces()) for name in "xy"
    )
    assert first.read_text() == again.read_text()
    assert len(read(first)) == 6
    for pair in read(first):
        assert (first.parent / pair.image_a).read_bytes() == (
            again.parent / pair.image_a
        ).read_bytes()


def test_queries_come_from_title_and_category() -> None:
    blank = Image.new("RGB", (32, 32))

    def asked(title: str, category: str) -> tuple[str, ...]:
        return queries_of(Sample("x", blank, blank, title, category))

    assert asked("Legend TrailHug 50L Backpack", "Bags") == ("trailhug backpack", "bags")
    assert asked("Dell G3 gaming laptop", "laptop") == ("gaming laptop",)
    assert asked("curtains with aluminium track", "curtains") == ("curtains",)
    assert asked("Mug", "") == ("mug",)


def test_a_folder_without_titles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"metadata\.jsonl"):
        sanity(tmp_path, tmp_path / "out")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.png"}\n')
    with pytest.raises(InputError, match=":1: a row needs file_name and title"):
        sanity(tmp_path, tmp_path / "out")
    (tmp_path / "metadata.jsonl").write_text("")
    with pytest.raises(InputError, match="at least 2"):
        sanity(tmp_path, tmp_path / "out")
