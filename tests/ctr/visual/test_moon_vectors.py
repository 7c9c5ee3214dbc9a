"""What `moon apply` writes, read by creative: an item's vector stands for its creatives."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_shop import write_shop

from creative4u.ctr.log.shop import read_shop
from creative4u.ctr.visual.moon_vectors import read_moon
from creative4u.errors import InputError


def write(path: Path, key: str, names: list, vectors: list) -> None:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table({key: names, "vector": vectors}), path)


def test_items_queries_and_creatives(tmp_path: Path) -> None:
    shop = read_shop(write_shop(tmp_path / "shop", rows=60))
    folder = tmp_path / "moon"
    write(folder / "items.parquet", "item_id", ["p0", "p3"], [[1.0, 0.0], [0.0, 1.0]])
    write(folder / "queries.parquet", "query_id", [2, 4], [[0.6, 0.8], [1.0, 0.0]])
    found = read_moon(folder, shop)
    assert found.multimodal[:3].tolist() == [[1, 0]] * 3
    assert found.multimodal[3:9].tolist() == [[0, 0]] * 6  # p1 and p2 are unknown to MOON
    assert found.query_ids.tolist() == [2, 4]
    assert np.allclose(found.query[0], [0.6, 0.8])
    write(folder / "creatives.parquet", "creative", ["images/0.png"], [[0.5, 0.5]])
    assert read_moon(folder, shop).multimodal[:2].tolist() == [[0.5, 0.5], [1, 0]]


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    shop = read_shop(write_shop(tmp_path / "shop", rows=60))
    with pytest.raises(InputError, match="no vectors of `moon apply`"):
        read_moon(tmp_path, shop)
    write(tmp_path / "moon" / "items.parquet", "item_id", ["other"], [[1.0]])
    with pytest.raises(InputError, match="no vector for any product"):
        read_moon(tmp_path / "moon", shop)
