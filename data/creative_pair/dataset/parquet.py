"""Write a data set with embedded images that `datasets.load_dataset` opens.

Run: creative4u data pack --pairs DIR --out DIR

    OUT/data/<split>.parquet   rows of creative pairs, images as bytes
    OUT/README.md, contact.jpg the data card (see `card`)

Each pair is stored in one order; `reasoning.swapped` derives the other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from creative4u.errors import ImageError, InputError
from creative4u.files.pairs_file import good_pairs
from creative4u.images import load_image
from creative4u.schema import CreativePair
from data.creative_pair.rows import SCHEMA

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
PACKED = pa.schema([(field.name, IMAGE if field.name in ("image_a", "image_b") else field.type)
                    for field in SCHEMA])
ROWS_PER_GROUP = 200


def write_dataset(pairs: Path, out: Path,
                  progress: Callable[[str], None] = lambda line: None) -> dict[str, int]:
    """Write the splits of the pairs in folder `pairs`; returns rows by split.

    Pairs with a bad image go to `out`/rejects.jsonl with the reason. Raises InputError where no
    pairs are found.
    """
    rows = list(good_pairs(pairs))
    home = pairs if pairs.is_dir() else pairs.parent
    (out / "data").mkdir(parents=True, exist_ok=True)
    rejects: list[dict[str, Any]] = []
    counts = {}
    for split in sorted({row.split or "train" for row in rows}):
        mine = [row for row in rows if (row.split or "train") == split]
        counts[split] = _write_split(mine, home, out / "data" / f"{split}.parquet", rejects)
        progress(f"{split}: {counts[split]} pairs written")
    (out / "rejects.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rejects), "utf-8")
    return counts


def _write_split(rows: Sequence[CreativePair], home: Path, path: Path,
                 rejects: list[dict[str, Any]]) -> int:
    part = path.with_suffix(".part")
    schema = PACKED.with_metadata({"huggingface": json.dumps({"info": {"features": features()}})})
    count = 0
    with pq.ParquetWriter(part, schema, compression="zstd") as writer:
        group: list[dict[str, Any]] = []
        for row in _embedded(rows, home, rejects):
            group.append(row)
            count += 1
            if len(group) == ROWS_PER_GROUP:
                writer.write_table(pa.Table.from_pylist(group, schema=schema))
                group = []
        writer.write_table(pa.Table.from_pylist(group, schema=schema))
    os.replace(part, path)
    return count


def _embedded(rows: Iterable[CreativePair], home: Path,
              rejects: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    checked: dict[Path, str] = {}
    for row in rows:
        packed = row.model_dump(mode="json")
        bad = ""
        for side in ("image_a", "image_b"):
            path = home / getattr(row, side)
            if path not in checked:
                checked[path] = _problem(path)
            bad = bad or checked[path]
            if not bad:
                packed[side] = {"bytes": path.read_bytes(),
                                "path": "-".join(path.parts[-2:])}
        if bad:
            rejects.append({"reason": bad, "row": {"pair_id": row.pair_id}})
        else:
            yield packed


def _problem(path: Path) -> str:
    try:
        load_image(path, name=path.name)
    except ImageError as error:
        return f"bad image: {error}"
    return ""


def features() -> dict[str, Any]:
    """The features as the `datasets` library writes them into a Parquet file's metadata."""
    def value(kind: str) -> dict[str, str]:
        return {"dtype": kind, "_type": "Value"}

    def told(kind: pa.DataType) -> object:
        if kind == IMAGE:
            return {"_type": "Image"}
        if pa.types.is_list(kind):
            return {"feature": value("string"), "_type": "List"}
        if pa.types.is_struct(kind):
            return {field.name: value("string") for field in kind}
        return value("string" if kind == pa.string() else str(kind).replace("double", "float64"))

    return {field.name: told(field.type) for field in PACKED}


def read_packed(folder: Path) -> Iterator[tuple[CreativePair, bytes, bytes]]:
    """Rows of a written data set with both images' bytes; raises InputError where there is none."""
    files = sorted((folder / "data").glob("*.parquet"))
    if not files:
        raise InputError(f"{folder} holds no data set; write one with `creative4u data pack`")
    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=64):
            for row in batch.to_pylist():
                image_a, image_b = row.pop("image_a"), row.pop("image_b")
                pair = CreativePair.model_validate(
                    {**row, "image_a": image_a["path"], "image_b": image_b["path"]})
                yield pair, image_a["bytes"], image_b["bytes"]
