"""Keep what a visitor sends, and what is made for a visitor, in a folder of the visitor's own.

    <cache folder>/uploads/<a running page>/<a visitor>/<a token>/<the file>

A folder of a page is locked as long as its process lives, and the lock goes with the process
however it ends. So a page that starts can tell what a killed one left behind, and deletes it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any

from creative4u.backbone.wheels import home
from creative4u.errors import InputError

MAX_UPLOAD = 20_000_000  # bytes a file
QUOTA = 200_000_000  # bytes a visitor; the oldest files make room
MOST = 2_000_000_000  # bytes of all visitors together
LEAST = 64_000  # bytes that a file counts at least: bounds the number of files
KEEP = 6 * 3600  # seconds


@dataclass
class _Kept:
    """What is known of one file."""

    visitor: str  # the name of the folder
    at: float
    size: int


class VisitorFiles:
    """The files of one running page's visitors; safe to share between threads."""

    def __init__(self, base: Path | None = None, quota: int = QUOTA, most: int = MOST) -> None:
        self._quota, self._most, self._lock = quota, most, RLock()
        self._kept: dict[Path, _Kept] = {}  # by the file's own folder, oldest first
        self._used: Counter[str] = Counter()  # bytes by visitor
        base = base or home() / "uploads"
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(base):
            for left in base.iterdir():
                if left.is_dir() and (lock := _lock(left)) is not None:
                    shutil.rmtree(left, ignore_errors=True)
                    os.close(lock)
            self.root = Path(tempfile.mkdtemp(dir=base)).resolve()
            self._held = _lock(self.root)

    def close(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.root, ignore_errors=True)
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def own(self, visitor: str, path: str) -> Path | None:
        """The resolved path if it lies in the visitor's folder, whether or not it is there."""
        try:
            real = Path(os.path.realpath(path))
        except ValueError:  # a NUL in it
            return None
        folder = self._folder(visitor)
        return real if real != folder and real.is_relative_to(folder) else None

    def new(self, visitor: str, name: str, size: int = LEAST) -> Path:
        """Where to write a new file of the visitor's; the visitor's oldest ones make room.

        Raises InputError where `size` bytes are more than a visitor may keep.
        """
        if size > self._quota:
            raise InputError(f"got {size:,} bytes; at most {self._quota:,} a visitor are allowed")
        mine, size = self._folder(visitor), max(size, LEAST)
        with self._lock:
            for folder in self._oldest(lambda: self._used[mine.name] + size > self._quota):
                if self._kept[folder].visitor == mine.name:
                    self._delete(folder)
            for folder in self._oldest(lambda: self._used.total() + size > self._most):
                self._delete(folder)
            target = mine / secrets.token_urlsafe(24) / file_name(name)
            target.parent.mkdir(mode=0o700, parents=True)
            self._kept[target.parent] = _Kept(mine.name, time.time(), size)
            self._used[mine.name] += size
        return target

    def expire(self) -> None:
        """Delete what has been here for too long."""
        with self._lock:
            for folder, kept in list(self._kept.items()):
                if kept.at < time.time() - KEEP:
                    self._delete(folder)

    def expire_for_ever(self) -> None:
        """Delete old files once in a while, until the process ends."""
        while True:
            time.sleep(KEEP / 12)
            self.expire()

    def _oldest(self, over: Callable[[], bool]) -> Iterator[Path]:
        """Folders of files, oldest first, as long as there is too much."""
        for folder in list(self._kept) if over() else ():
            if over():
                yield folder

    def _delete(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        kept = self._kept.pop(folder)
        self._used[kept.visitor] -= kept.size

    def _folder(self, visitor: str) -> Path:
        return self.root / hashlib.sha256(visitor.encode()).hexdigest()[:32]


def path_of(payload: Any) -> str | None:
    """The path in what an upload component sends; None where nothing is uploaded."""
    path = payload.get("path") if isinstance(payload, dict) else None
    return path if isinstance(path, str) else None


def file_name(name: str) -> str:
    """A visitor's name for a file as one harmless path component of at most 240 bytes."""
    plain = Path(re.sub(r"[^\w .,()-]", "_", Path(name.replace("\\", "/")).name).strip(" ."))
    return f"{plain.stem[:50]}{plain.suffix[:10]}" or "file"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait until no other process is in here for the same folder."""
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _lock(folder: Path) -> int | None:
    """Lock a folder for as long as this process lives; None where another process has it."""
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return None
    return held
