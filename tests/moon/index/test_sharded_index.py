"""Shards answer as one index does, here and on Ray actors; saved is loaded; ids stay put."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from creative4u.errors import InputError
from creative4u.moon.index.faiss_index import Index, IndexConfig
from creative4u.moon.index.sharded_index import (
    ShardedIndex,
    load_sharded_index,
    new_sharded_index,
    shard_of,
)


def unit(count: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def same_answers(index: ShardedIndex, whole: Index) -> None:
    asked = unit(7, 9)
    for k in (1, 5, 100):
        ours, theirs = index.search(asked, k), whole.search(asked, k)
        assert [[h.item_id for h in row] for row in ours] == [
            [h.item_id for h in row] for row in theirs
        ]
        scores = [[hit.score for hit in row] for row in ours]
        assert np.allclose(scores, [[hit.score for hit in row] for row in theirs], atol=1e-6)


def grow(index: ShardedIndex, folder: Path, ray: str | None) -> None:
    whole = Index(IndexConfig(dim=8))
    vectors, names = unit(60, 1), [f"item {n}" for n in range(60)]
    for index_part in (slice(0, 40), slice(40, 60)):
        index.add(names[index_part], vectors[index_part])
        whole.add(names[index_part], vectors[index_part])
    assert len(index) == 60
    same_answers(index, whole)
    moved = unit(1, 5)
    index.add(["item 3"], moved)
    whole.add(["item 3"], moved)
    assert len(index) == 60
    index.save(folder)
    loaded = load_sharded_index(folder, ray)
    assert len(loaded) == 60
    assert loaded.contains(["item 3", "nothing"]) == [True, False]
    same_answers(loaded, whole)


def test_shards_here_answer_as_one_index(tmp_path: Path) -> None:
    grow(new_sharded_index(IndexConfig(dim=8), 3), tmp_path / "shards", None)


def test_shards_on_ray_actors_answer_as_one_index(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    try:
        grow(new_sharded_index(IndexConfig(dim=8), 3, "local"), tmp_path / "shards", "local")
    finally:
        ray.shutdown()


def test_an_id_always_has_the_same_shard_and_all_are_used() -> None:
    homes = [shard_of(f"item {n}", 4) for n in range(400)]
    assert homes == [shard_of(f"item {n}", 4) for n in range(400)]
    assert min(np.bincount(homes, minlength=4)) > 60


def test_bad_rows_and_missing_folders(tmp_path: Path) -> None:
    index = new_sharded_index(IndexConfig(dim=8), 2)
    with pytest.raises(InputError, match="twice"):
        index.add(["a", "a"], unit(2, 0))
    with pytest.raises(InputError, match="got"):
        index.search(np.zeros((1, 3), np.float32))
    with pytest.raises(InputError, match="no sharded index"):
        load_sharded_index(tmp_path)
    with pytest.raises(InputError, match="got 0 shards"):
        new_sharded_index(IndexConfig(dim=8), 0)
