"""Write CreativePair rows as JSONL and Parquet; the files are written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from creative4u.schema import CreativePair

METADATA = "metadata.jsonl"  # names each image of a folder, its product and title
TEXT, NUMBER = pa.string(), pa.float64()
SCHEMA = pa.schema([
    ("pair_id", TEXT), ("product_id", TEXT), ("product_title", TEXT),
    ("queries", pa.list_(TEXT)), ("image_a", TEXT), ("image_b", TEXT), ("label", TEXT),
    ("ctr_a", NUMBER), ("ctr_b", NUMBER), ("impressions_a", pa.int64()),
    ("impressions_b", pa.int64()),
    ("answers", pa.struct([(name, TEXT) for name in (
        "same_image", "too_similar", "query_hit", "title_hit", "text", "props", "layout",
        "subject", "background", "click")])),
    ("reasoning", TEXT), ("split", TEXT), ("tags", pa.list_(TEXT)),
])


def write_pairs(pairs: Iterable[CreativePair], folder: Path) -> Path:
    """Write `folder`/pairs.jsonl and pairs.parquet; returns the JSONL's path."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [pair.model_dump(mode="json") for pair in pairs]
    lines = folder / "pairs.jsonl"
    part = folder / "pairs.jsonl.part"
    part.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    os.replace(part, lines)
    table = folder / "pairs.parquet.part"
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), table, compression="zstd")
    os.replace(table, folder / "pairs.parquet")
    return lines


def rebase_images(rows: list[CreativePair], home: Path, out: Path) -> list[CreativePair]:
    """Rewrite image paths relative to folder `home` as paths relative to folder `out`."""
    if home.resolve() == out.resolve():
        return rows
    way = os.path.relpath(home, out)
    return [row.model_copy(update={
        "image_a": Path(os.path.normpath(Path(way, row.image_a))),
        "image_b": Path(os.path.normpath(Path(way, row.image_b)))}) for row in rows]  # fmt: skip
