"""Read what a user's path names; every failure is one InputError that says what is wrong.

The only place that opens files whose names users write. A missing file, a folder, a name that the
file system refuses, missing permission, a broken disk: an `OSError` or `ValueError` of the system
never passes.
"""

from __future__ import annotations

import base64
import binascii
import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from urllib.parse import unquote_to_bytes

from creative4u.errors import InputError

NOT_FETCHED = (
    "an address on the network; images are read from files, never fetched, so that a verdict can "
    "be made again and no image server learns of it: download it and give its path"
)
_ADDRESS = re.compile(r"\s*([a-z][a-z0-9+.-]+):/{1,2}(?=[^/])", re.IGNORECASE)
_NAMED = 100  # characters of a path in an error
_REASONS = {
    errno.ENOENT: "no such file",
    errno.ENOTDIR: "no such file",
    errno.EISDIR: "a folder, not a file",
    errno.EACCES: "no permission to read it",
    errno.EPERM: "no permission to read it",
    errno.ENAMETOOLONG: "a name too long for a file; is it one?",
    errno.ELOOP: "links that lead in a circle",
    errno.EINVAL: "a name that no file can have",
}


def short_name(path: Path | str) -> str:
    """A path for an error's line: printable, the middle of a long one left out."""
    text = str(path).encode("utf-8", "backslashreplace").decode()
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    if len(text) <= _NAMED:
        return text
    return f"{text[: _NAMED // 2]}...{text[-_NAMED // 2 :]} ({len(text)} characters)"


def reason(error: OSError | ValueError) -> str:
    """Why the system refuses a path, in words."""
    if isinstance(error, UnicodeError):
        return "a name that this file system cannot write"
    if isinstance(error, OSError):
        known = _REASONS.get(error.errno or 0)
        return known or f"cannot be read ({error.strerror or type(error).__name__})"
    return "a name that no file can have"  # a NUL byte


@contextmanager
def opened(path: Path, name: str | None = None) -> Iterator[BufferedReader]:
    """The file's bytes as a stream; raises InputError, also where a read inside fails.

    `name` is what to call it in the error; by default the path. Pipes and devices are refused:
    opening one may wait for ever.
    """
    label = name if name is not None else short_name(path)
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise InputError(f"{label}: a pipe or a device, not a file")
        file = open(path, "rb")  # noqa: SIM115 - closed below
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{label}: {reason(error)}") from error
    with file:
        try:
            yield file
        except OSError as error:
            raise InputError(f"{label}: {reason(error)}") from error


def read_bytes(path: Path, most: int | None = None, name: str | None = None) -> bytes:
    """The file's bytes; raises InputError, also where there are more than `most`."""
    with opened(path, name) as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            label = name if name is not None else short_name(path)
            raise InputError(f"{label}: {size:,} bytes; at most {most:,} are allowed")
        return file.read()


def is_file(path: Path) -> bool:
    """Whether there is a file; False where the system refuses the name."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder; False where the system refuses the name."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def address(text: str) -> str | None:
    """`text` as the user wrote it where it is an address (http, s3, file, ...), else None.

    A `Path` made of an address has one slash where the user wrote two; both are given back.
    """
    found = _ADDRESS.match(text)
    if found is None or len(found[1]) < 2:  # C:/ is a drive
        return None
    return f"{found[1]}://{text[found.end() :]}"


def data_url(text: str) -> bytes | None:
    """The bytes inside a `data:` URL, None for any other text; raises InputError where broken."""
    if text[:5].lower() != "data:":
        return None
    head, comma, body = text.partition(",")
    if not comma:
        raise InputError("a data URL without its data")
    if not head.lower().endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(unquote_to_bytes("".join(body.split())), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"a data URL whose base64 is damaged ({error})") from error
