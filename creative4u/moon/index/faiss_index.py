"""Index unit vectors under stable ids and search them with FAISS, exact or HNSW.

An id is the caller's string. Adding an existing id replaces its vector (exact) or is refused (HNSW
cannot delete).
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from creative4u.errors import InputError

Array = npt.NDArray[np.float32]
VECTORS = "vectors.faiss"


@dataclass(frozen=True)
class IndexConfig:
    """`exact` compares with every vector; `hnsw` searches a graph with `links` edges per node."""

    kind: Literal["exact", "hnsw"] = "exact"
    dim: int = 384
    links: int = 32
    search: int = 64  # candidates of an HNSW search (efSearch)

    def __post_init__(self) -> None:
        if self.kind not in ("exact", "hnsw"):
            raise InputError(f"got index kind {self.kind!r}; exact and hnsw are allowed")


@dataclass(frozen=True)
class Hit:
    """One search result; `score` is the cosine."""

    item_id: str
    score: float


class Index:
    """A FAISS index with string ids."""

    def __init__(self, config: IndexConfig) -> None:
        import faiss

        self.config = config
        bare: Any
        if config.kind == "exact":
            bare = faiss.IndexFlatIP(config.dim)
        else:
            bare = faiss.IndexHNSWFlat(config.dim, config.links, faiss.METRIC_INNER_PRODUCT)
            bare.hnsw.efSearch = config.search
            bare.hnsw.efConstruction = max(40, config.search)
        self._faiss: Any = faiss.IndexIDMap2(bare)
        self._numbers: dict[str, int] = {}
        self._ids: list[str] = []

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._numbers

    def contains(self, ids: Sequence[str]) -> list[bool]:
        """Whether each id is in the index."""
        return [one in self for one in ids]

    def add(self, ids: Sequence[str], vectors: Array) -> None:
        """Add rows (N, dim) under `ids`. Raises InputError for wrong shapes or repeated ids."""
        if vectors.shape != (len(ids), self.config.dim):
            raise InputError(f"got vectors {vectors.shape}; needed {(len(ids), self.config.dim)}")
        if len(set(ids)) != len(ids):
            raise InputError("an id is given twice in one call; ids must differ")
        if not np.isfinite(vectors).all():
            raise InputError("a vector has a number that is not finite")
        known = [self._numbers[one] for one in ids if one in self._numbers]
        if known and self.config.kind == "hnsw":
            raise InputError(f"{len(known)} ids are in the index already; HNSW cannot replace them")
        if known:
            self._faiss.remove_ids(np.array(known, np.int64))
        for one in ids:
            if one not in self._numbers:
                self._numbers[one] = len(self._ids)
                self._ids.append(one)
        numbers = np.array([self._numbers[one] for one in ids], np.int64)
        self._faiss.add_with_ids(np.ascontiguousarray(vectors, np.float32), numbers)

    def search(self, vectors: Array, k: int = 10) -> list[list[Hit]]:
        """The k nearest of each row (Q, dim), nearest first; fewer if the index has fewer."""
        if vectors.ndim != 2 or vectors.shape[1] != self.config.dim:
            raise InputError(f"got vectors {vectors.shape}; needed (Q, {self.config.dim})")
        if not len(self):
            return [[] for _ in vectors]
        found = self._faiss.search(np.ascontiguousarray(vectors, np.float32), min(k, len(self)))
        scores, numbers = found
        return [
            [Hit(self._ids[int(n)], float(s)) for s, n in zip(*row, strict=True) if n >= 0]
            for row in zip(scores, numbers, strict=True)
        ]

    def save(self, folder: Path) -> Path:
        """Write vectors, ids and config to `folder`, replacing an older index atomically.

        Raises InputError if the folder exists and is no index.
        """
        import faiss

        if folder.exists() and not (folder / VECTORS).is_file():
            raise InputError(f"{folder} exists and is no index; give another folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        faiss.write_index(self._faiss, str(building / VECTORS))
        (building / "ids.json").write_text(json.dumps(self._ids), "utf-8")
        (building / "config.json").write_text(json.dumps(asdict(self.config)), "utf-8")
        building.chmod(0o755)  # mkdtemp's mode excludes other users
        if folder.exists():
            old = folder.with_name(f".{folder.name}.old")
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
            building.rename(folder)
            shutil.rmtree(old)
        else:
            building.rename(folder)
        return folder


def load_index(folder: Path) -> Index:
    """Load what `save` wrote. Raises InputError if there is none."""
    import faiss

    if not (folder / VECTORS).is_file():
        raise InputError(f"no index at {folder}; make one with `creative4u moon index`")
    index = Index(IndexConfig(**json.loads((folder / "config.json").read_text("utf-8"))))
    index._faiss = faiss.read_index(str(folder / VECTORS))
    index._ids = json.loads((folder / "ids.json").read_text("utf-8"))
    index._numbers = {one: number for number, one in enumerate(index._ids)}
    if index._faiss.ntotal != len(index._ids):
        raise InputError(f"{folder}: {index._faiss.ntotal} vectors for {len(index._ids)} ids")
    return index
