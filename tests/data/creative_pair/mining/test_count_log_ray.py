"""The same log counted on a cluster of two workers gives the same pairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from creative4u.log_import.open_log import open_log
from data.creative_pair.mining.count_log_ray import count_file
from data.creative_pair.mining.mine import mine


def shop(folder: Path, files: int) -> Path:
    """One product of three creatives with 4 %, 8 % and 2 % clicks, its log in several files."""
    rng = np.random.default_rng(5)
    (folder / "images").mkdir()
    (folder / "log").mkdir()
    rows = []
    for number in range(3):
        grid = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(grid).resize((64, 64)).save(folder / "images" / f"{number}.jpg")
        rows.append({"file_name": f"{number}.jpg", "creative_id": str(number),
                     "product_id": "7", "title": "boot"})
    (folder / "images" / "metadata.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    for number in range(files):
        creative = rng.integers(0, 3, 6000)
        click = rng.random(6000) < np.array([0.04, 0.08, 0.02])[creative]
        pq.write_table(pa.table({
            "product_id": np.full(6000, 7), "creative_id": creative,
            "query": np.where(rng.random(6000) < 0.5, "boot", "cheap boot"),
            "click": click.astype(np.int8)}), folder / "log" / f"{number}.parquet")
    return folder


def test_a_file_is_counted_for_itself(tmp_path: Path) -> None:
    found = count_file(open_log([str(shop(tmp_path, 2) / "log")], tmp_path), 0)
    assert found.num_rows == 6
    assert sum(found["impressions"].to_pylist()) == 6000


def test_two_workers_give_the_same_pairs(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    from data.creative_pair.mining.count_log_ray import counting_on_ray

    folder = shop(tmp_path, 4)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, ignore_reinit_error=True)
    try:
        mine(str(folder / "log"), folder / "images", tmp_path / "ray", count=counting_on_ray(2))
    finally:
        ray.shutdown()
    mine(str(folder / "log"), folder / "images", tmp_path / "one")
    for name in ("pairs.jsonl", "rejects.jsonl", "mining.json"):
        assert (tmp_path / "ray" / name).read_text() == (tmp_path / "one" / name).read_text()
    assert (tmp_path / "one" / "pairs.jsonl").read_text().count("\n") == 3
