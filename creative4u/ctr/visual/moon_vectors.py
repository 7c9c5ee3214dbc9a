"""Read multimodal vectors by creative from the Parquet files of `creative4u moon apply`.

    FOLDER/items.parquet      item_id, vector
    FOLDER/queries.parquet    query_id, vector
    FOLDER/creatives.parquet  creative (path), vector; without it a creative has its item's

CUBE compares a target with behaviour by what the items are, so that the item's vector will do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from creative4u.ctr.log.shop import Shop
from creative4u.ctr.visual.embeddings import Embeddings
from creative4u.errors import InputError

Floats = NDArray[np.float32]


def read_moon(folder: Path, shop: Shop) -> Embeddings:
    """Vectors for the shop's creatives and queries; zeros where MOON has none (counted later).

    Raises InputError where a file is missing or broken, or no item of the shop has a vector.
    """
    items = _read(folder / "items.parquet", "item_id")
    width = len(next(iter(items.values())))
    table = np.zeros((len(shop.creative_ids), width), np.float32)
    own: dict[Any, Floats] = {}
    if (folder / "creatives.parquet").is_file():
        found = _read(folder / "creatives.parquet", "creative")
        own = {"/".join(Path(str(name)).parts[-2:]): vector for name, vector in found.items()}
    for row, (image, product) in enumerate(zip(shop.images, shop.products, strict=True)):
        vector = own.get("/".join(image.parts[-2:]), items.get(str(product)))
        if vector is not None:
            table[row] = vector
    if not table.any():
        raise InputError(f"{folder}: no vector for any product of {shop.folder}")
    asked = _read(folder / "queries.parquet", "query_id")
    return Embeddings(
        shop.creative_ids,
        np.array(list(asked)),
        np.zeros((len(table), 0), np.float32),
        table,
        np.stack(list(asked.values())).astype(np.float32),
    )


def _read(path: Path, key: str) -> dict[Any, Floats]:
    try:
        table = pq.read_table(path, columns=[key, "vector"])
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise InputError(f"{path}: no vectors of `moon apply`: {error}") from error
    if not table.num_rows:
        raise InputError(f"{path}: no row")
    vectors = np.array(table["vector"].to_pylist(), np.float32)
    return dict(zip(table[key].to_pylist(), vectors, strict=True))
