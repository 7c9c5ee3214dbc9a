"""Write embeddings of a shop's items and queries as Parquet, for the CTR model.

    creative4u moon apply --world DIR --out runs/moon/embeddings

OUT/items.parquet    item_id, product (number), vector
OUT/creatives.parquet  creative (path), item_id, vector (of that image with the title)
OUT/queries.parquet  query_id, text, vector
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from creative4u.moon.catalogue.items import read_world
from creative4u.moon.encoder.content import Content
from creative4u.moon.encoder.encoder import load_encoder
from creative4u.moon.encoder.feature_store import FeatureStore


@dataclass(frozen=True)
class ExportConfig:
    """What is embedded and with which encoder; `dim` 0 keeps all dimensions."""

    out: str = "runs/moon/embeddings"
    world: str = ""
    encoder: str = ""  # its file; by default the one that ships
    features: str = "runs/moon/features"
    dim: int = 0
    creatives: bool = False  # embed every creative too


def main(config: ExportConfig) -> dict[str, int]:
    """Embed and write the files; returns the number of rows of each."""
    world, out = Path(config.world), Path(config.out)
    store = FeatureStore(Path(config.features)) if config.features else FeatureStore()
    encoder = load_encoder(Path(config.encoder) if config.encoder else None, store)
    dim = config.dim or encoder.config.dim
    items = read_world(world)
    vectors = encoder.encode([item.content for item in items], dim)
    ids: dict[str, Sequence[Any]] = {
        "item_id": [item.item_id for item in items],
        "product": range(len(items)),
    }
    write(out / "items.parquet", ids, vectors)
    counts = {"items": len(items)}
    queries = duckdb.execute(
        "select query_id, text from read_parquet(?) order by query_id",
        [str(world / "queries.parquet")],
    ).fetchall()
    texts = [text for _, text in queries]
    query_vectors = encoder.encode([Content(text) for text in texts], dim)
    numbered: dict[str, Sequence[Any]] = {"query_id": [one for one, _ in queries], "text": texts}
    write(out / "queries.parquet", numbered, query_vectors)
    counts["queries"] = len(texts)
    if config.creatives:
        pairs = [(item, image) for item in items for image in item.images]
        vectors = encoder.encode([Content(item.title, image) for item, image in pairs], dim)
        names: dict[str, Sequence[Any]] = {
            "creative": [str(image.relative_to(world)) for _, image in pairs],
            "item_id": [item.item_id for item, _ in pairs],
        }
        write(out / "creatives.parquet", names, vectors)
        counts["creatives"] = len(pairs)
    return counts


def write(file: Path, columns: dict[str, Sequence[Any]], vectors: npt.NDArray[np.float32]) -> None:
    """Write columns and a fixed-size list of float32 per row, atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    flat = pa.array(np.ascontiguousarray(vectors).reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    table = pa.table({name: list(one) for name, one in columns.items()} | {"vector": column})
    part = file.with_suffix(".part")
    pq.write_table(table, part, compression="zstd")
    part.replace(file)
