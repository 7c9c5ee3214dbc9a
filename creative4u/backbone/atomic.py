"""Build a folder under a temporary name, then rename it: whole or not at all, by one process."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from creative4u.errors import AssetError


@contextmanager
def built_once(target: Path) -> Iterator[Path | None]:
    """Give a temporary folder beside `target` to fill, or None where `target` exists already.

    On a clean exit the folder becomes `target` in one rename, on an error it is removed. A lock
    file keeps a second process waiting, which then finds the work done; what a killed process
    left behind is removed by the next one. Raises AssetError where nothing can be written there.
    """
    prefix = f".{target.name}.partial-"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.with_name(f".{target.name}.lock"))
        lock.acquire()
    except OSError as error:
        raise AssetError(f"cannot write the cache folder {target.parent}: {error}") from error
    try:
        if target.is_dir():
            yield None
            return
        for left in target.parent.glob(prefix + "*"):
            shutil.rmtree(left, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
        try:
            yield partial
            partial.chmod(0o755)  # mkdtemp's own mode shuts other users out
            partial.rename(target)
        except OSError as error:
            raise AssetError(f"cannot build {target}: {error}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    finally:
        lock.release()
