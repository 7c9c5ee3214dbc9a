"""Keep what a visitor sends, and what is made for him, in a folder that is his alone.

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
from collections.abc import Iterator
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


@dataclass(frozen=True)
class _Kept:
    """One file in its folder."""

    at: float
    size: int
    folder: Path


class VisitorFiles:
    """The files of one running page's visitors; safe to share between threads."""

    def __init__(self, base: Path | None = None, quota: int = QUOTA, most: int = MOST) -> None:
        self._quota, self._most, self._lock = quota, most, RLock()
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
        """Where to write a new file of the visitor's; its oldest ones make room.

        Raises InputError where `size` bytes are more than a visitor may keep.
        """
        if size > self._quota:
            raise InputError(f"got {size:,} bytes; at most {self._quota:,} a visitor are allowed")
        with self._lock:
            self._make_room(visitor, max(size, LEAST))
            target = self._folder(visitor) / secrets.token_urlsafe(24) / file_name(name)
            target.parent.mkdir(mode=0o700, parents=True)
        return target

    def expire(self) -> None:
        """Delete what has been here for too long."""
        with self._lock:
            for kept in list(self._kept()):
                if kept.at < time.time() - KEEP:
                    shutil.rmtree(kept.folder, ignore_errors=True)

    def expire_for_ever(self) -> None:
        """Delete old files once in a while, until the process ends."""
        while True:
            time.sleep(KEEP / 12)
            self.expire()

    def _make_room(self, visitor: str, size: int) -> None:
        """Delete the oldest files until `size` bytes more fit, the visitor's own ones first."""
        mine = self._folder(visitor)
        for room, everybody in ((self._quota, False), (self._most, True)):
            kept = [k for k in self._kept() if everybody or k.folder.parent == mine]
            over = sum(k.size for k in kept) + size - room
            for oldest in sorted(kept, key=lambda k: k.at):
                if over <= 0:
                    break
                shutil.rmtree(oldest.folder, ignore_errors=True)
                over -= oldest.size

    def _kept(self) -> Iterator[_Kept]:
        for folder in self.root.glob("*/*"):
            size = sum(file.stat().st_size for file in folder.iterdir())
            yield _Kept(folder.stat().st_mtime, max(size, LEAST), folder)

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
