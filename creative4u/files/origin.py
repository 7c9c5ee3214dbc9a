"""Keep with a file on disk what it was made from, so that a change of its sources remakes it."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from creative4u.errors import InputError
from creative4u.user_paths import opened

MISSING = "-"  # the hash of a file that cannot be read


def bytes_hash(data: bytes) -> str:
    """32 hex digits that name some bytes."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def value_hash(value: Any) -> str:
    """32 hex digits that name a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, default=str)
    return bytes_hash(text.encode("utf-8", "surrogatepass"))


def file_hash(path: Path) -> str:
    """32 hex digits that name a file's content, MISSING where it cannot be read.

    A file that has not changed (size, time, inode) is not read again in this process.
    """
    try:
        found = os.stat(path)
        return _file_hash(path, found.st_size, found.st_mtime_ns, found.st_ino)
    except (OSError, ValueError):
        return MISSING


@functools.lru_cache(maxsize=1 << 16)
def _file_hash(path: Path, size: int, changed: int, inode: int) -> str:
    try:
        with opened(path) as file:
            return hashlib.file_digest(
                file, lambda: hashlib.blake2b(digest_size=16)
            ).hexdigest()
    except InputError:
        return MISSING


def tree_hash(folder: Path) -> str:
    """32 hex digits that name the files of a folder and of those in it, and their content."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return value_hash([[str(path.relative_to(folder)), file_hash(path)] for path in files])


def origin_beside(path: Path) -> Path:
    """Where it stands what a kept file was made from."""
    return path.with_name(f"{path.name}.origin.json")


def is_made_from(path: Path, origin: Mapping[str, Any]) -> bool:
    """Whether a kept file is there and was made from just that."""
    try:
        return path.is_file() and json.loads(origin_beside(path).read_text("utf-8")) == origin
    except (OSError, ValueError):
        return False


def is_made_otherwise(path: Path, origin: Mapping[str, Any]) -> bool:
    """Whether it is written down that `path` was made from something else."""
    try:
        return bool(json.loads(origin_beside(path).read_text("utf-8")) != origin)
    except (OSError, ValueError):
        return False


def note_origin(path: Path, origin: Mapping[str, Any]) -> None:
    """Write down what `path`, which is whole now, was made from."""
    beside = origin_beside(path)
    part = beside.with_name(f"{beside.name}.part")
    part.write_text(json.dumps(origin, indent=1, sort_keys=True) + "\n", "utf-8")
    part.replace(beside)


def kept_rows(
    path: Path,
    origin: Mapping[str, Any],
    make: Callable[[], Iterator[Mapping[str, Any]]],
) -> list[dict[str, Any]]:
    """The JSONL rows of `path`, made again where they were made from something else.

    `origin` holds JSON values. Nothing is left on disk where `make` raises or gives no rows:
    then the rows are an empty list.
    """
    if not is_made_from(path, origin):
        count = 0
        with whole_file(path) as file:
            for row in make():
                file.write(json.dumps(row) + "\n")
                count += 1
            if not count:
                raise _NothingMade
            origin_beside(path).unlink(missing_ok=True)
        if not path.is_file():
            return []
        note_origin(path, origin)
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class _NothingMade(Exception):
    """No row was made; the file is not written."""


@contextmanager
def whole_file(path: Path) -> Iterator[IO[str]]:
    """A text file that is there whole or not at all; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", errors="backslashreplace") as file:
            yield file
        part.replace(path)
    except _NothingMade:
        path.unlink(missing_ok=True)
    finally:
        part.unlink(missing_ok=True)
