"""A shop of a few drawn images and a log of known clicks, small enough to train on in a second."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

PRODUCTS, EACH, USERS, QUERIES = 4, 3, 30, 6


def write_shop(folder: Path, rows: int = 6000, days: int = 6) -> Path:
    """Creative k of product p is clicked at a rate of 0.1 + 0.2 * (k % 3); one file a day."""
    rng = np.random.default_rng(5)
    (folder / "images").mkdir(parents=True)
    lines = []
    for creative in range(PRODUCTS * EACH):
        name = f"{creative}.png"
        shade = 40 + 60 * (creative % EACH)
        Image.new("RGB", (40, 40), (shade, shade, 255 - shade)).save(folder / "images" / name)
        product = creative // EACH
        lines.append(
            {
                "file_name": name,
                "creative_id": creative,
                "product_id": f"p{product}",
                "title": f"thing {product}",
                "category": "even" if product % 2 == 0 else "odd",
            }
        )
    text = "\n".join(json.dumps(line) for line in lines)
    (folder / "images" / "metadata.jsonl").write_text(text, "utf-8")
    queries = {"query_id": list(range(QUERIES)), "text": [f"query {q}" for q in range(QUERIES)]}
    pq.write_table(pa.table(queries), folder / "queries.parquet")
    (folder / "log").mkdir()
    for day in range(days):
        write_part(folder / "log" / f"day-{day}.parquet", day, rows // days, rng)
    return folder


def write_part(path: Path, day: int, rows: int, rng: np.random.Generator) -> None:
    creative = rng.integers(PRODUCTS * EACH, size=rows)
    click = rng.random(rows) < 0.1 + 0.2 * (creative % EACH)
    pq.write_table(
        pa.table(
            {
                "day": np.full(rows, day, np.int16),
                "user_id": rng.integers(USERS, size=rows).astype(np.int32),
                "query_id": rng.integers(QUERIES, size=rows).astype(np.int32),
                "product_id": (creative // EACH).astype(np.int32),
                "creative_id": creative.astype(np.int32),
                "position": rng.integers(1, 11, size=rows).astype(np.int8),
                "click": click.astype(np.int8),
                "price": np.full(rows, 9.5, np.float32),
            }
        ),
        path,
    )
