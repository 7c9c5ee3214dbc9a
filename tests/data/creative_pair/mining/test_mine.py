"""Mining on a log with known counts: who passes the filter, on which side, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from creative4u.errors import InputError
from creative4u.files.pairs_file import good_pairs
from creative4u.metrics import smoothed_ctr
from data.creative_pair.mining.candidate_pairs import Filter
from data.creative_pair.mining.mine import QUERIES_DECIDE, MineConfig, mine

PRODUCTS = 30
CELLS = {"c0": (2000, 200), "c1": (2000, 100), "c2": (2000, 90), "c3": (900, 9)}


def draw(path: Path, seed: int) -> None:
    grid = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(grid).resize((64, 64), Image.Resampling.BICUBIC).save(path, quality=92)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """30 products; in each c0 is clicked twice as often as c1 and c2, and c3 is hardly shown."""
    images = tmp_path / "images"
    images.mkdir()
    metadata, rows = [], []
    for product in range(PRODUCTS):
        for number, (name, (shown, clicks)) in enumerate(CELLS.items()):
            key = f"p{product}-{name}"
            draw(images / f"{key}.jpg", product * 10 + number)
            metadata.append({"file_name": f"{key}.jpg", "creative_id": key,
                             "product_id": f"p{product}", "title": f"boot {product}"})
            rows.append((f"p{product}", key, shown, clicks))
    (images / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in metadata))
    names = ("product_id", "creative_id", "impressions", "clicks")
    pq.write_table(pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))),
                   tmp_path / "log.parquet")
    return tmp_path


def test_only_pairs_that_pass_the_filter_are_kept(shop: Path) -> None:
    report = mine(str(shop / "log.parquet"), shop / "images", shop / "out")
    pairs = list(good_pairs(shop / "out"))
    assert len(pairs) == 2 * PRODUCTS  # c0 over c1, c0 over c2
    assert sum(report.by_split.values()) == len(pairs)
    for pair in pairs:
        better = pair.image_a if pair.label == "A" else pair.image_b
        assert better.name.endswith("-c0.jpg")
        assert (shop / "out" / pair.image_a).is_file()
        ctr = pair.ctr_a if pair.label == "A" else pair.ctr_b
        assert ctr == pytest.approx(smoothed_ctr(200, 2000), abs=1e-6)


def test_sides_are_dealt_out_evenly_and_splits_are_by_product(shop: Path) -> None:
    mine(str(shop / "log.parquet"), shop / "images", shop / "out")
    pairs = list(good_pairs(shop / "out"))
    sides = Counter((pair.split, pair.label) for pair in pairs)
    for split in ("train", "validation", "test"):
        assert abs(sides[split, "A"] - sides[split, "B"]) <= 1
    splits = {(pair.product_id, pair.split) for pair in pairs}
    assert len(splits) == PRODUCTS


def passing(**numbers: float) -> MineConfig:
    return MineConfig(Filter(**numbers))  # type: ignore[arg-type]


def test_both_numbers_of_the_filter_and_the_cap_are_options(shop: Path) -> None:
    log, images = str(shop / "log.parquet"), shop / "images"
    assert sum(mine(log, images, shop / "a", passing(min_impressions=2000)).by_split.values()) == 0
    wide = mine(log, images, shop / "b", passing(min_impressions=800))
    assert sum(wide.by_split.values()) == 5 * PRODUCTS  # c3: 9 of 900, 1.2 % smoothed
    assert sum(mine(log, images, shop / "c", passing(min_gap=1.1)).by_split.values()) == PRODUCTS


def test_bad_rows_are_counted_and_stop_nothing(shop: Path) -> None:
    (shop / "images" / "p0-c0.jpg").unlink()
    (shop / "images" / "p1-c0.jpg").write_bytes(b"no image")
    table = pq.read_table(shop / "log.parquet")
    worse = pa.table({"product_id": ["p5", "p5", "px"], "creative_id": ["p5-c1", "p5-c1", "nobody"],
                      "impressions": [5, -3, 5000], "clicks": [9, 0, 50]})
    pq.write_table(pa.concat_tables([table, worse]), shop / "log.parquet")
    report = mine(str(shop / "log.parquet"), shop / "images", shop / "out")
    assert report.rejects == {"clicks above impressions": 1, "negative number": 1,
                              "creative unknown to the image folder": 1, "missing image": 1,
                              "bad image": 1}
    assert sum(report.by_split.values()) == 2 * (PRODUCTS - 2)
    rejected = [json.loads(line) for line in
                (shop / "out" / "rejects.jsonl").read_text("utf-8").splitlines()]
    assert len(rejected) == 5


def test_a_rerun_and_a_run_after_a_kill_write_the_same_bytes(shop: Path) -> None:
    log, images = str(shop / "log.parquet"), shop / "images"
    files = ("pairs.jsonl", "pairs.parquet", "rejects.jsonl", "mining.json")
    mine(log, images, shop / "out")
    first = {name: (shop / "out" / name).read_bytes() for name in files}
    for name in files:
        (shop / "out" / name).unlink()
    cache = shop / "out" / ".work" / "fingerprints.jsonl"
    cache.write_bytes(cache.read_bytes()[:777])  # as a kill in the middle leaves it
    mine(log, images, shop / "out")
    assert {name: (shop / "out" / name).read_bytes() for name in files} == first
    shutil.rmtree(shop / "out")
    mine(log, images, shop / "out")
    assert {name: (shop / "out" / name).read_bytes() for name in files} == first


def test_where_the_queries_decide_the_label_turns_with_them(shop: Path) -> None:
    table = []
    for product in range(PRODUCTS):
        for query, rates in (("cheap boot", (60, 20)), ("warm boot", (20, 60))):
            for name, clicks in zip(("c0", "c1"), rates, strict=True):
                table.append({"product_id": f"p{product}", "creative_id": f"p{product}-{name}",
                              "query": query, "impressions": 600, "clicks": clicks})
    pq.write_table(pa.Table.from_pylist(table), shop / "log.parquet")
    report = mine(str(shop / "log.parquet"), shop / "images", shop / "out",
                  config=MineConfig(seed=3))
    pairs = list(good_pairs(shop / "out"))
    assert len(pairs) == report.queries_decide == 2 * PRODUCTS
    for product in range(PRODUCTS):
        one, other = (pair for pair in pairs if pair.product_id == f"p{product}")
        assert one.tags == other.tags == (QUERIES_DECIDE,)
        assert (one.image_a, one.image_b, one.split) == (other.image_a, other.image_b, other.split)
        assert {one.label, other.label} == {"A", "B"}
        for pair in (one, other):
            better = pair.image_a if pair.label == "A" else pair.image_b
            assert better.name.endswith("-c0.jpg") == (pair.queries == ("cheap boot",))


def test_no_image_folder_is_said_in_one_line(shop: Path) -> None:
    with pytest.raises(InputError, match=r"no metadata\.jsonl"):
        mine(str(shop / "log.parquet"), shop, shop / "out")


def test_limits_and_queries_that_cannot_be_read_are_said_in_one_line(shop: Path) -> None:
    log, images = str(shop / "log.parquet"), shop / "images"
    with pytest.raises(InputError, match="one like 2GB"):
        mine(log, images, shop / "out", MineConfig(memory="lots"))
    (shop / "names.csv").write_text("id,name\n1,boot\n", "utf-8")
    for name in ("names.csv", "gone.parquet"):
        with pytest.raises(InputError, match="query_id and text"):
            mine(log, images, shop / "out", MineConfig(queries=shop / name))
