"""Find out how a text table is written before a row of it is read: encoding, separator, header.

Exports carry title lines above the header, so the header is the row in which the most columns are
known by name, under whichever separator that is. Everything is read as text: no value is typed by
a sample.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from creative4u.errors import InputError
from creative4u.log_import.numbers import quote

SEPARATORS = (",", "\t", ";", "|")
HEAD = 1 << 18  # characters in which the header is looked for
MOST_TITLES = 50  # lines above it
csv.field_size_limit(1 << 30)


@dataclass(frozen=True)
class TextTable:
    """A table as DuckDB reads it: UTF-8 in `path`, `skip` lines above the header."""

    path: Path
    header: tuple[str, ...]
    separator: str
    skip: int

    def sql(self, paths: list[str]) -> str:
        """The table function that reads these files, all of this table's form, as text."""
        names = ", ".join(f"{quote(name)}: 'VARCHAR'" for name in self.header)
        listed = ", ".join(map(literal, paths))
        packed = "compression = 'gzip', " if is_packed(self.path) else ""
        return (
            f"read_csv([{listed}], auto_detect = false, header = true, skip = {self.skip}, "
            f"delim = {quote(self.separator)}, quote = '\"', escape = '\"', {packed}"
            f"store_rejects = true, columns = {{{names}}})"
        )


def read_form(path: Path, work: Path, known: Callable[[tuple[str, ...]], int]) -> TextTable:
    """Settle how a text table is written.

    Args:
        path: CSV, TSV or the like, may be packed by gzip.
        work: a folder for a copy in UTF-8, where the table is in another encoding.
        known: how many columns of a header are known by name.

    Raises InputError where the file cannot be read, is in no known encoding, or holds no table.
    """
    codec = codec_of(path)
    with io.TextIOWrapper(_opened(path), codec, newline="") as file:
        head = file.read(HEAD)
    found = max(_headers(head, known), default=None, key=lambda one: one[0])
    if found is None:
        raise InputError(f"{path}: an empty file")
    _, skip, separator, header = found
    readable = path if codec in ("utf-8", "utf-8-sig") else _copied(path, codec, work)
    return TextTable(readable, header, separator, skip)


def codec_of(path: Path) -> str:
    """The codec of a text file, by all of its bytes; raises InputError where it is none of ours.

    The one place where the encoding of an imported table is decided.
    """
    with _opened(path) as file:
        start = file.read(4096)
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            codec = "utf-16"
        elif b"\0" in start:
            codec = "utf-16-le" if start[1:2] == b"\0" else "utf-16-be"
        else:
            codec = "utf-8-sig" if start.startswith(codecs.BOM_UTF8) else "utf-8"
        decoder = codecs.getincrementaldecoder(codec)()
        try:
            decoder.decode(start)
            while block := file.read(1 << 20):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeError as error:
            raise InputError(f"{path}: neither UTF-8 nor UTF-16; save it as UTF-8") from error
        except (OSError, EOFError) as error:
            raise InputError(f"{path}: cannot be unpacked ({error})") from error
    return codec


def is_packed(path: Path) -> bool:
    """Whether a file's name says that it is packed by gzip."""
    return path.name.lower().endswith(".gz")


def _opened(path: Path) -> IO[bytes]:
    try:
        return gzip.open(path, "rb") if is_packed(path) else path.open("rb")  # type: ignore[return-value]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def _headers(
    head: str, known: Callable[[tuple[str, ...]], int]
) -> Iterator[tuple[tuple[int, int], int, str, tuple[str, ...]]]:
    """Rows that may be the header: (known columns, columns), lines above, separator, names."""
    for separator in SEPARATORS:
        rows = csv.reader(io.StringIO(head, newline=""), delimiter=separator)
        above = 0
        try:
            for row in rows:
                if rows.line_num > MOST_TITLES:
                    break
                names = _named(row)
                if any(cell.strip() for cell in row):
                    yield (known(names), len(names)), above, separator, names
                above = rows.line_num
        except csv.Error:
            continue


def _named(row: list[str]) -> tuple[str, ...]:
    """Names of columns, each once: empty ones are numbered, repeated ones get an apostrophe."""
    names: list[str] = []
    for place, cell in enumerate(row, 1):
        name = cell.strip().lstrip("\ufeff") or f"column {place}"
        while name.lower() in (one.lower() for one in names):
            name += "'"
        names.append(name)
    return tuple(names)


def _copied(path: Path, codec: str, work: Path) -> Path:
    """A copy in UTF-8; made again only where the file has changed."""
    stat = path.stat()
    origin = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode()
    copy = work / f"{hashlib.sha256(origin).hexdigest()[:16]}.csv"
    if not copy.exists():
        work.mkdir(parents=True, exist_ok=True)
        part = copy.with_suffix(".part")
        with (
            io.TextIOWrapper(_opened(path), codec, newline="") as source,
            part.open("w", encoding="utf-8", newline="") as target,
        ):
            shutil.copyfileobj(source, target)
        part.replace(copy)
    return copy


def literal(path: str) -> str:
    """A path in SQL whose *, ? and [ are letters to DuckDB, not patterns."""
    return quote("".join(f"[{letter}]" if letter in "*?[" else letter for letter in path))
