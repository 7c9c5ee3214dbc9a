"""The index: exact answers, stable ids, growth, saved = loaded, HNSW near exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from creative4u.errors import InputError
from creative4u.moon.index.bench import bench_search
from creative4u.moon.index.faiss_index import Index, IndexConfig, load_index


def unit(count: int, dim: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_exact_is_brute_force_and_grows() -> None:
    vectors, queries = unit(50, 8, 0), unit(5, 8, 1)
    index = Index(IndexConfig(dim=8))
    assert index.search(queries) == [[]] * 5
    index.add([f"p{n}" for n in range(30)], vectors[:30])
    index.add([f"p{n}" for n in range(30, 50)], vectors[30:])
    order = np.argsort(-(queries @ vectors.T), axis=1)[:, :3]
    hits = index.search(queries, 3)
    assert [[hit.item_id for hit in row] for row in hits] == [
        [f"p{n}" for n in row] for row in order
    ]
    assert hits[0][0].score == pytest.approx(float(queries[0] @ vectors[order[0, 0]]), abs=1e-5)
    assert len(index.search(queries, 100)[0]) == 50


def test_an_id_keeps_its_name_when_its_vector_is_replaced(tmp_path: Path) -> None:
    index = Index(IndexConfig(dim=2))
    index.add(["a", "b"], np.array([[1, 0], [0, 1]], np.float32))
    index.add(["a"], np.array([[0, -1]], np.float32))
    assert len(index) == 2
    index.save(tmp_path / "shelf")
    index.add(["c"], np.array([[1, 0]], np.float32))
    index.save(tmp_path / "shelf")
    loaded = load_index(tmp_path / "shelf")
    found = loaded.search(np.array([[0, -1]], np.float32), 3)[0]
    assert [(hit.item_id, hit.score) for hit in found] == [("a", 1.0), ("c", 0.0), ("b", -1.0)]
    assert "c" in loaded
    loaded.add(["d"], np.array([[-1, 0]], np.float32))
    assert loaded.search(np.array([[-1, 0]], np.float32), 1)[0][0].item_id == "d"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shelf"]


def test_hnsw_finds_what_exact_finds() -> None:
    vectors, queries = unit(400, 16, 2), unit(40, 16, 3)
    names = [str(n) for n in range(400)]
    exact, graph = Index(IndexConfig(dim=16)), Index(IndexConfig("hnsw", 16))
    for index in (exact, graph):
        index.add(names, vectors)
    first = [[{hit.item_id for hit in row} for row in i.search(queries, 5)] for i in (exact, graph)]
    shared = [len(a & b) / 5 for a, b in zip(*first, strict=True)]
    assert np.mean(shared) > 0.95
    with pytest.raises(InputError, match="HNSW"):
        graph.add(["0"], vectors[:1])


@pytest.mark.parametrize(
    ("ids", "vectors"),
    [
        (["a"], np.zeros((1, 3), np.float32)),
        (["a", "a"], np.zeros((2, 2), np.float32)),
        (["a"], np.full((1, 2), np.nan, np.float32)),
    ],
)
def test_bad_rows_are_refused(ids: list[str], vectors: np.ndarray) -> None:
    with pytest.raises(InputError):
        Index(IndexConfig(dim=2)).add(ids, vectors)


def test_no_index(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no index"):
        load_index(tmp_path)
    with pytest.raises(InputError, match="is no index"):
        Index(IndexConfig(dim=2)).save(tmp_path)


def test_the_bench_asks_both_for_the_same() -> None:
    found = bench_search(vectors=1500, dim=8, queries=5, rounds=1)
    assert (found["vectors"], found["queries"], found["same answers"]) == (1500, 5, 1.0)
