"""Single images: spread, split, resumed, and the same every time."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
from drawn_stock import drawn_stock
from PIL import Image

from data.images.single_images import build_singles, draw_single, split_of, split_stock
from data.world.drawing.render import Stock


def stocks() -> dict[str, Stock]:
    return {"train": drawn_stock("abc"), "test": drawn_stock("d")}


def test_a_set_is_written_resumed_and_repeated(tmp_path: Path) -> None:
    path = build_singles(tmp_path / "one", 6, 7, stocks=stocks())
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["image"] for row in rows] == [f"images/{i:06d}.jpg" for i in range(6)]
    for row in rows:
        assert set(row) == {"image", "facts", "product", "source", "split"}
        with Image.open(path.parent / row["image"]) as image:
            assert max(image.size) == 384
    # a cut run: one image and the list are missing; a second run brings back the same
    again = build_singles(tmp_path / "two", 6, 7, stocks=stocks())
    assert again.read_text() == path.read_text()
    lost = again.parent / rows[2]["image"]
    lost.unlink()
    for part in (again.parent / "parts").iterdir():
        part.unlink()
    build_singles(tmp_path / "two", 6, 7, stocks=stocks())
    assert lost.read_bytes() == (path.parent / rows[2]["image"]).read_bytes()


def test_products_of_the_two_splits_never_meet() -> None:
    shown = Counter(
        (single.split, single.product)
        for single in (draw_single(i, 7, stocks()) for i in range(40))
    )
    assert {name for split, name in shown if split == "test"} == {"thing d"}
    assert "thing d" not in {name for split, name in shown if split == "train"}


def test_the_split_follows_the_name() -> None:
    whole = drawn_stock()
    parts = {split: split_stock(whole, split) for split in ("train", "test")}
    names = [{p.name for p in parts[split].others} for split in ("train", "test")]
    assert names[0] | names[1] == {p.name for p in whole.others}
    assert not names[0] & names[1]
    share = np.mean([split_of(f"name {i}") == "test" for i in range(2000)])
    assert 0.09 < share < 0.15


def test_photographs_say_only_what_is_known_of_them(tmp_path: Path) -> None:
    photo = tmp_path / "grass.jpg"
    Image.effect_noise((500, 400), 90).convert("RGB").save(photo)
    with_photo = {
        split: Stock(s.cutouts, s.others, (photo,), s.typefaces) for split, s in stocks().items()
    }
    singles = [draw_single(i, 3, with_photo) for i in range(60)]
    photographs = [single for single in singles if single.source == "photograph"]
    assert 5 <= len(photographs) <= 22
    for single in photographs:
        assert set(single.facts) <= {"blur", "dark", "text", "clutter", "frame"}
        assert single.product == ""
        assert sum(value > 0 for value in single.facts.values()) <= 2
