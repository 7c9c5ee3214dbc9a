"""Spread an index over shards, in this process or on Ray actors, for more than one machine holds.

    creative4u moon index ITEMS --out DIR --shards 4 --ray auto

An id's shard is a hash of the id, so adding needs no directory. Each shard is an `Index`; a search
asks all of them and merges by score, so exact shards answer as one exact index does.

    DIR/shards.json  how many; DIR/shard-000 ... written by `Index.save`
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from creative4u.errors import InputError
from creative4u.moon.index.faiss_index import Array, Hit, Index, IndexConfig, load_index

SHARDS_FILE = "shards.json"


class Shard:
    """One shard, the class of a Ray actor; it loads the index in `folder`, if given."""

    def __init__(self, config: IndexConfig, folder: Path | None = None) -> None:
        self.index = Index(config) if folder is None else load_index(folder)

    def add(self, ids: Sequence[str], vectors: Array) -> int:
        """Add this shard's rows; returns its number of items."""
        if len(ids):
            self.index.add(ids, vectors)
        return len(self.index)

    def search(self, vectors: Array, k: int) -> list[list[tuple[str, float]]]:
        """The k nearest of each row as (id, score), nearest first."""
        return [
            [(hit.item_id, hit.score) for hit in hits] for hits in self.index.search(vectors, k)
        ]

    def contains(self, ids: Sequence[str]) -> list[bool]:
        """Whether each id is in this shard."""
        return [one in self.index for one in ids]

    def save(self, folder: Path) -> int:
        """Write this shard; returns its number of items."""
        self.index.save(folder)
        return len(self.index)


class ShardExecutor(Protocol):
    """Holds the shards and runs one method on all of them."""

    count: int

    def run(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]: ...


class LocalShards:
    """Shards in this process, run one after another."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards, self.count = list(shards), len(shards)

    def run(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        return [
            getattr(shard, method)(*some)
            for shard, some in zip(self.shards, arguments, strict=True)
        ]


class RayShards:
    """Shards as Ray actors at `address`: a cluster's, "auto" to find one, "local" to start one."""

    def __init__(
        self, config: IndexConfig, folders: Sequence[Path | None], address: str = "local"
    ) -> None:
        try:
            import ray
        except ImportError as error:
            raise InputError("Ray is not installed: pip install 'creative4u[ray]'") from error
        self._ray: Any = ray
        if not ray.is_initialized():
            try:
                ray.init(
                    address=address, include_dashboard=False, log_to_driver=False,
                    configure_logging=False,
                )  # fmt: skip
            except ConnectionError as error:
                raise InputError(f"no Ray cluster at {address!r}: {error}") from error
        made: Any = ray.remote(num_cpus=0)(Shard)
        self.actors = [made.remote(config, folder) for folder in folders]
        self.count = len(self.actors)

    def run(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        sent = [
            getattr(actor, method).remote(*some)
            for actor, some in zip(self.actors, arguments, strict=True)
        ]
        found: list[Any] = self._ray.get(sent)
        return found


def shard_of(item_id: str, count: int) -> int:
    """The shard of an id, out of `count`: a hash of the id."""
    digest = hashlib.blake2b(item_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % count


class ShardedIndex:
    """An index over shards; its methods are those of `Index`."""

    def __init__(self, config: IndexConfig, executor: ShardExecutor) -> None:
        self.config, self.executor = config, executor
        self._size: int = sum(self._on_all("add", ([], np.empty((0, config.dim), np.float32))))

    def __len__(self) -> int:
        return self._size

    def contains(self, ids: Sequence[str]) -> list[bool]:
        """Whether each id is in the index."""
        return [any(row) for row in zip(*self._on_all("contains", (list(ids),)), strict=True)]

    def add(self, ids: Sequence[str], vectors: Array) -> None:
        """Add rows (N, dim), each to its shard. Raises InputError as `Index.add` does."""
        if vectors.shape != (len(ids), self.config.dim) or not np.isfinite(vectors).all():
            raise InputError(
                f"got vectors {vectors.shape}; needed {(len(ids), self.config.dim)}, all finite"
            )
        if len(set(ids)) != len(ids):
            raise InputError("an id is given twice in one call; ids must differ")
        owner = np.array([shard_of(one, self.executor.count) for one in ids], int)
        rows = [np.flatnonzero(owner == shard) for shard in range(self.executor.count)]
        parts = [([ids[int(row)] for row in some], vectors[some]) for some in rows]
        self._size = sum(self.executor.run("add", parts))

    def search(self, vectors: Array, k: int = 10) -> list[list[Hit]]:
        """The k nearest of each row (Q, dim) over all shards, nearest first."""
        if vectors.ndim != 2 or vectors.shape[1] != self.config.dim:
            raise InputError(f"got vectors {vectors.shape}; needed (Q, {self.config.dim})")
        answers = self._on_all("search", (vectors, k))
        return [
            [
                Hit(*pair)
                for pair in sorted((p for part in row for p in part), key=lambda p: (-p[1], p[0]))
            ][:k]
            for row in zip(*answers, strict=True)
        ]

    def save(self, folder: Path) -> Path:
        """Write every shard, then their number. Ray actors need a shared file system."""
        folder.mkdir(parents=True, exist_ok=True)
        folders = [folder / f"shard-{number:03d}" for number in range(self.executor.count)]
        self.executor.run("save", [(one,) for one in folders])
        part = folder / f"{SHARDS_FILE}.part"
        part.write_text(json.dumps({"shards": self.executor.count} | asdict(self.config)), "utf-8")
        part.replace(folder / SHARDS_FILE)
        return folder

    def _on_all(self, method: str, arguments: tuple[Any, ...]) -> list[Any]:
        return self.executor.run(method, [arguments] * self.executor.count)


def new_sharded_index(config: IndexConfig, count: int, ray: str | None = None) -> ShardedIndex:
    """An empty index of `count` shards, in this process or on the Ray cluster at `ray`."""
    if count < 1:
        raise InputError(f"got {count} shards; 1 or more are needed")
    if ray is not None:
        return ShardedIndex(config, RayShards(config, [None] * count, ray))
    return ShardedIndex(config, LocalShards([Shard(config) for _ in range(count)]))


def load_sharded_index(folder: Path, ray: str | None = None) -> ShardedIndex:
    """Load what `ShardedIndex.save` wrote. Raises InputError if there is none."""
    file = folder / SHARDS_FILE
    if not file.is_file():
        raise InputError(f"no sharded index at {folder}; make one with `moon index --shards N`")
    settings = json.loads(file.read_text("utf-8"))
    count = int(settings.pop("shards"))
    config = IndexConfig(**settings)
    folders = [folder / f"shard-{number:03d}" for number in range(count)]
    if ray is not None:
        return ShardedIndex(config, RayShards(config, folders, ray))
    return ShardedIndex(config, LocalShards([Shard(config, one) for one in folders]))
