"""The table of sellable things, the drawn catalogue, dyes and the files they come from."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from creative4u.errors import AssetError
from data.world.drawing.photographs import find_photographs
from data.world.drawing.typefaces import find_typefaces
from data.world.products.catalogue import draw_catalogue, sellables
from data.world.products.cutouts import Cutouts, dye, fetch_renders


def test_every_sellable_thing_is_named_once_and_has_a_price() -> None:
    rows = sellables()
    assert len(rows) >= 250
    assert len({row.code for row in rows}) == len({row.name for row in rows}) == len(rows)
    assert all(0 < row.price_range[0] < row.price_range[1] for row in rows)
    assert all(len(row.attributes) == 2 for row in rows)


def test_a_catalogue_shows_each_thing_before_any_twice_and_repeats_by_seed() -> None:
    count = len(sellables()) + 10
    first = draw_catalogue(count, 7)
    assert len({product.code for product in first}) == len(sellables())
    assert first == draw_catalogue(count, 7) != draw_catalogue(count, 8)
    assert len({product.product_id for product in first}) == count
    for product in first:
        assert product.name in product.title
        assert product.titles["bare"] == product.name
        assert len(product.titles["stuffed"]) > len(product.title)


def test_a_dye_keeps_the_outline_and_darkens_or_lightens() -> None:
    cutout = Image.new("RGBA", (10, 10), (200, 60, 60, 255))
    cutout.putpixel((0, 0), (200, 60, 60, 0))
    black, white = (np.asarray(dye(cutout, name)).astype(int) for name in ("black", "white"))
    assert black[0, 0, 3] == 0
    assert black[5, 5, :3].max() < 75
    assert white[5, 5, :3].min() > 200
    assert dye(cutout, "") is cutout
    blue = np.asarray(dye(cutout, "blue"))[5, 5]
    assert blue[2] > blue[0]


def test_a_file_that_is_not_the_pinned_one_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREATIVE4U_HOME", str(tmp_path / "home"))
    archive = tmp_path / "other.tgz"
    with tarfile.open(archive, "w:gz"):
        pass
    with pytest.raises(AssetError, match="expected sha256"):
        fetch_renders(archive)
    assert list((tmp_path / "home").iterdir()) == []


def test_cutouts_are_cropped_to_what_is_visible(tmp_path: Path) -> None:
    image = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    image.paste((250, 0, 0, 255), (4, 6, 14, 9))
    image.save(tmp_path / "1f45f.webp", lossless=True)
    cutouts = Cutouts(tmp_path)
    assert list(cutouts) == ["1f45f"]
    assert cutouts["1f45f"].size == (10, 3)
    with pytest.raises(KeyError):
        cutouts["1f45e"]


def test_photographs_are_shrunk_once_and_twins_kept_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREATIVE4U_HOME", str(tmp_path / "home"))
    folder = tmp_path / "wallpapers"
    folder.mkdir()
    image = Image.effect_noise((1600, 900), 60).convert("RGB")
    image.save(folder / "one.png")
    image.save(folder / "two.png")
    found = find_photographs((folder,))
    assert len(found) == 1
    with Image.open(found[0]) as copy:
        assert copy.size == (1365, 768)
    assert find_photographs((folder,)) == found
    assert find_photographs((tmp_path / "nowhere",)) == ()


def test_without_typefaces_pillow_s_own_writes(tmp_path: Path) -> None:
    none = find_typefaces((tmp_path,))
    assert none.latin == none.chinese == ()
    assert none.font(0.5, 20).getbbox("SALE")[2] > 20
