"""An encoder and a shop in, embeddings of every item and query as Parquet out, for the CTR model.

creative4u moon apply world=DIR out=runs/moon/embeddings

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
class ApplicationConfig:
    """What is embedded, by what, and with how many dimensions (0: all)."""

    out: str = "runs/moon/embeddings"
    world: str = ""
    encoder: str = ""  # an encoder's file; the one that ships by default
    features: str = "runs/moon/features"
    dim: int = 0
    creatives: bool = False  # every creative as well: one vision pass each


def main(config: ApplicationConfig) -> dict[str, int]:
    """Embed and write; returns counts."""
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
    asked = encoder.encode([Content(text) for text in texts], dim)
    numbered: dict[str, Sequence[Any]] = {"query_id": [one for one, _ in queries], "text": texts}
    write(out / "queries.parquet", numbered, asked)
    counts["queries"] = len(texts)
    if config.creatives:
        shown = [(item, image) for item in items for image in item.images]
        found = encoder.encode([Content(item.title, image) for item, image in shown], dim)
        names: dict[str, Sequence[Any]] = {
            "creative": [str(image.relative_to(world)) for _, image in shown],
            "item_id": [item.item_id for item, _ in shown],
        }
        write(out / "creatives.parquet", names, found)
        counts["creatives"] = len(shown)
    return counts


def write(file: Path, columns: dict[str, Sequence[Any]], vectors: npt.NDArray[np.float32]) -> None:
    """Columns and one fixed-size list of float32 a row, written whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    flat = pa.array(np.ascontiguousarray(vectors).reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    table = pa.table({name: list(one) for name, one in columns.items()} | {"vector": column})
    part = file.with_suffix(".part")
    pq.write_table(table, part, compression="zstd")
    part.replace(file)
