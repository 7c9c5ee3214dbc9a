"""Every public shape becomes a log that `mine` reads; feedback becomes pairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from creative4u.errors import InputError
from creative4u.files.pairs_file import good_pairs
from data.creative_pair.mining.importers import import_creatives, import_feedback
from data.creative_pair.mining.mine import mine


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, name in enumerate(("a.jpg", "b.jpg")):
        grid = np.random.default_rng(number).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(grid).resize((64, 64), Image.Resampling.BICUBIC).save(folder / name)
    return folder


def only_pair(folder: Path, images: Path, log: Path | None) -> tuple[str, str | None]:
    mine(str(log), images, folder / "pairs")
    (pair,) = good_pairs(folder / "pairs")
    better = pair.image_a if pair.label == "A" else pair.image_b
    return better.name, pair.product_title


def test_impression_rows_by_date(tmp_path: Path, images: Path) -> None:
    source = tmp_path / "rows.csv"
    source.write_text("item_id,image,date,impressions,clicks\ni,a.jpg,2026-01-01,900,80\n"
                      "i,a.jpg,2026-01-02,900,80\ni,b.jpg,2026-01-01,1800,40\ni,,x,5,1\n", "utf-8")
    found = import_creatives(source, images, tmp_path / "out")
    assert (found.rows, found.rejects) == (3, {"no creative": 1})
    assert only_pair(tmp_path, images, found.log) == ("a.jpg", "i")


def test_a_csv_of_creatives_with_a_rate(tmp_path: Path, images: Path) -> None:
    source = tmp_path / "rows.csv"
    source.write_text("product_id,product_name,image_path,impressions,ctr\n"
                      "i,warm boot,a.jpg,2000,0.02\ni,warm boot,b.jpg,2000,0.08\n", "utf-8")
    found = import_creatives(source, images, tmp_path / "out")
    assert only_pair(tmp_path, images, found.log) == ("b.jpg", "warm boot")


def test_a_folder_with_metadata(tmp_path: Path, images: Path) -> None:
    rows = [{"file_name": name, "product_id": "i", "title": "boot", "impressions": 2000,
             "clicks": clicks} for name, clicks in (("a.jpg", 160), ("b.jpg", 50))]
    (images / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = import_creatives(images / "metadata.jsonl", images, tmp_path / "out")
    assert only_pair(tmp_path, images, found.log) == ("a.jpg", "boot")


def test_feedback_is_pairs_already(tmp_path: Path, images: Path) -> None:
    pair = {"pair_id": "1", "product_title": "boot", "image_a": "images/a.jpg",
            "image_b": "images/b.jpg", "label": "B"}
    source = tmp_path / "feedback.jsonl"
    source.write_text("\n".join([json.dumps(pair), json.dumps({**pair, "label": None}), "{}"]))
    found = import_feedback(source, tmp_path / "out")
    assert (found.rows, found.rejects) == (1, {"no clear label": 1, "no creative pair": 1})
    (row,) = good_pairs(tmp_path / "out")
    assert (row.label, row.split, row.tags) == ("B", "train", ("feedback",))
    assert (tmp_path / "out" / row.image_a).resolve() == (images / "a.jpg").resolve()


def test_a_file_without_counts_is_refused(tmp_path: Path, images: Path) -> None:
    (tmp_path / "rows.csv").write_text("item_id,image\ni,a.jpg\n", "utf-8")
    with pytest.raises(InputError, match="missing: click"):
        import_creatives(tmp_path / "rows.csv", images, tmp_path / "out")
