"""Names out of file names, splits by the thing, pictures on white."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from data.images import named_images
from data.images.named_images import SIDE, build_named_pictures, on_white, split_of, words_of

KNOWN = frozenset({"red", "mountain", "bike", "the", "of", "tools"})


@pytest.mark.parametrize(
    ("stem", "words"),
    [
        ("mountain_bike_jonathon_01", "mountain bike"),
        ("redMountainBike2", "red mountain bike"),
        ("bicicletta_bike", ""),  # a name that does not begin in English is no English name
        ("red_of_bike", "red"),  # short words end it
    ],
)
def test_names_of_files(stem: str, words: str) -> None:
    assert words_of(stem, KNOWN) == words


def test_one_thing_is_in_one_split() -> None:
    assert split_of("red mountain bike") == split_of("bike")
    assert split_of("") == "train"


def test_on_white_keeps_the_shape() -> None:
    picture = on_white(Image.new("RGBA", (688, 344), (200, 0, 0, 255)))
    assert picture.size == (SIDE, SIDE)
    assert picture.getpixel((SIDE // 2, SIDE // 2)) == (200, 0, 0)
    assert picture.getpixel((SIDE // 2, 20)) == (255, 255, 255)
    assert picture.getbbox() == (0, 0, SIDE, SIDE)


def test_the_folder_and_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    red = Image.new("RGB", (50, 50), "red")
    for name, rows in (
        ("clip_art", [(red, "boot", "clothing")]),
        ("renders", [(red, "drum", "music")]),
        ("crops", [(red, "", "photograph")]),
    ):
        monkeypatch.setattr(named_images, name, lambda *_, rows=rows: iter(rows))
    assert build_named_pictures(tmp_path / "out") == 3
    lines = (tmp_path / "out" / "metadata.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert [(row["title"], row["source"], row["split"]) for row in rows] == [
        ("boot", "clipart", split_of("boot")),
        ("drum", "render", split_of("drum")),
        ("", "photograph", "train"),
    ]
    with Image.open(tmp_path / "out" / rows[0]["file_name"]) as image:
        assert image.size == (50, 50)
