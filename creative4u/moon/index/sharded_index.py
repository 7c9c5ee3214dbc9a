"""An index that is too large for one machine: parts on Ray actors, one answer.

    creative4u moon index ITEMS --out DIR --shards 4 --ray auto

An id's shard follows from its name alone, so adding needs no directory and growing is stable.
Every shard is an `Index` of its own; a search asks all of them and merges by score: the answer of
exact shards is that of one exact index. Shards live in this process or on Ray actors, which share
nothing but the rows sent to them.

    DIR/shards.json  how many; DIR/shard-000 ... what `Index.save` wrote
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

NAMES = "shards.json"


class Shard:
    """One part; what a Ray actor is made of. `folder` is what it starts from, if anything."""

    def __init__(self, config: IndexConfig, folder: Path | None = None) -> None:
        self.index = Index(config) if folder is None else load_index(folder)

    def add(self, ids: Sequence[str], vectors: Array) -> int:
        """Rows that belong here; returns how many items are here now."""
        if len(ids):
            self.index.add(ids, vectors)
        return len(self.index)

    def search(self, vectors: Array, k: int) -> list[list[tuple[str, float]]]:
        """The k nearest of each row, as plain pairs, the nearest first."""
        return [
            [(hit.item_id, hit.score) for hit in hits] for hits in self.index.search(vectors, k)
        ]

    def known(self, ids: Sequence[str]) -> list[bool]:
        """Which ids are here."""
        return [one in self.index for one in ids]

    def save(self, folder: Path) -> int:
        """Write this part; returns how many items it holds."""
        self.index.save(folder)
        return len(self.index)


class Crew(Protocol):
    """Whoever holds the shards: runs one method on each, all at once."""

    count: int

    def run(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]: ...


class Here:
    """All shards in this process, one after another."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards, self.count = list(shards), len(shards)

    def run(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        return [
            getattr(shard, method)(*some)
            for shard, some in zip(self.shards, arguments, strict=True)
        ]


class Actors:
    """Each shard a Ray actor; `address` is a cluster's ("auto" finds one), "local" starts one."""

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
    """Which of `count` shards an id belongs to: by a hash of its name."""
    digest = hashlib.blake2b(item_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % count


class ShardedIndex:
    """Vectors under stable ids, spread over a crew; the methods are `Index`'s."""

    def __init__(self, config: IndexConfig, crew: Crew) -> None:
        self.config, self.crew = config, crew
        self._size: int = sum(self._everywhere("add", ([], np.empty((0, config.dim), np.float32))))

    def __len__(self) -> int:
        return self._size

    def known(self, ids: Sequence[str]) -> list[bool]:
        """Which of the ids are there."""
        return [any(row) for row in zip(*self._everywhere("known", (list(ids),)), strict=True)]

    def add(self, ids: Sequence[str], vectors: Array) -> None:
        """Add rows (N, dim), each to its shard; raises InputError as `Index.add` does."""
        if vectors.shape != (len(ids), self.config.dim) or not np.isfinite(vectors).all():
            raise InputError(f"got {vectors.shape} for {len(ids)} ids of {self.config.dim} numbers")
        if len(set(ids)) != len(ids):
            raise InputError("the same id stands twice in one call")
        home = np.array([shard_of(one, self.crew.count) for one in ids], int)
        rows = [np.flatnonzero(home == shard) for shard in range(self.crew.count)]
        parts = [([ids[int(row)] for row in some], vectors[some]) for some in rows]
        self._size = sum(self.crew.run("add", parts))

    def search(self, vectors: Array, k: int = 10) -> list[list[Hit]]:
        """The k nearest of each row (Q, dim) over all shards, the nearest first."""
        if vectors.ndim != 2 or vectors.shape[1] != self.config.dim:
            raise InputError(f"got {vectors.shape}; (Q, {self.config.dim}) is needed")
        answers = self._everywhere("search", (vectors, k))
        return [
            [
                Hit(*pair)
                for pair in sorted((p for part in row for p in part), key=lambda p: (-p[1], p[0]))
            ][:k]
            for row in zip(*answers, strict=True)
        ]

    def save(self, folder: Path) -> Path:
        """Write every shard where it lives, then the list of them. Actors need a shared folder."""
        folder.mkdir(parents=True, exist_ok=True)
        folders = [folder / f"shard-{number:03d}" for number in range(self.crew.count)]
        self.crew.run("save", [(one,) for one in folders])
        part = folder / f"{NAMES}.part"
        part.write_text(json.dumps({"shards": self.crew.count} | asdict(self.config)), "utf-8")
        part.replace(folder / NAMES)
        return folder

    def _everywhere(self, method: str, arguments: tuple[Any, ...]) -> list[Any]:
        return self.crew.run(method, [arguments] * self.crew.count)


def sharded(config: IndexConfig, count: int, ray: str | None = None) -> ShardedIndex:
    """An empty index of `count` shards, here or on the Ray cluster at `ray`."""
    if count < 1:
        raise InputError(f"an index has 1 shard or more, not {count}")
    if ray is not None:
        return ShardedIndex(config, Actors(config, [None] * count, ray))
    return ShardedIndex(config, Here([Shard(config) for _ in range(count)]))


def load_sharded(folder: Path, ray: str | None = None) -> ShardedIndex:
    """What `ShardedIndex.save` wrote; raises InputError where there is none."""
    file = folder / NAMES
    if not file.is_file():
        raise InputError(f"no sharded index at {folder}; make one with `moon index --shards N`")
    settings = json.loads(file.read_text("utf-8"))
    count = int(settings.pop("shards"))
    config = IndexConfig(**settings)
    folders = [folder / f"shard-{number:03d}" for number in range(count)]
    if ray is not None:
        return ShardedIndex(config, Actors(config, folders, ray))
    return ShardedIndex(config, Here([Shard(config, one) for one in folders]))
