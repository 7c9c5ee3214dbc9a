"""A file of creative pairs (JSONL, CSV or Parquet) in, checked rows out; bad rows are rows too."""

from __future__ import annotations

import contextlib
import csv
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from creative4u.errors import InputError
from creative4u.schema import CreativePair, Side

FORMATS = (".jsonl", ".csv", ".parquet")
LIST_MARK = "|"  # between queries or tags in one CSV cell
_LISTS = ("queries", "tags")
_IMAGES = ("image_a", "image_b")
_log = logging.getLogger(__name__)


class PairRow(CreativePair):
    """A pair as a file has it: paths are resolved against the file; Parquet may hold bytes."""

    bytes_a: bytes | None = Field(None, exclude=True, repr=False)
    bytes_b: bytes | None = Field(None, exclude=True, repr=False)

    def source(self, side: Side) -> Path | bytes:
        """What `images.load_image` takes: the embedded bytes, or else the path."""
        data, path = (
            (self.bytes_a, self.image_a) if side == "A" else (self.bytes_b, self.image_b)
        )
        return path if data is None else data


@dataclass(frozen=True)
class RowError:
    """A row that cannot be judged: its id, a code for machines and one line for people."""

    pair_id: str
    code: str
    message: str


def read_pairs(path: Path, skip: int = 0) -> Iterator[PairRow | RowError]:
    """Read pairs one at a time, in the file's order; memory does not grow with the file.

    The first `skip` rows are passed over unchecked; the others keep their numbers.

    A row without `pair_id` is called `row-N`, N from 1. Columns that no pair has are left out and
    named once in the log. In CSV, `queries` and `tags` are JSON lists or parted by `|`.

    Raises:
        InputError: no such file, or not a .jsonl, .csv or .parquet file.
    """
    readers = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}
    rows = readers[check_pairs(path)](path)
    ignored: set[str] = set()
    for number, row in enumerate(islice(rows, skip, None), start=skip + 1):
        if isinstance(row, str):
            yield RowError(f"row-{number}", "bad_row", row)
            continue
        unknown = {str(key) for key in row} - set(CreativePair.model_fields) - ignored
        if unknown:
            ignored |= unknown
            _log.warning("%s: columns not used: %s", path, ", ".join(sorted(unknown)))
        yield _pair(row, number, path.parent)


def check_pairs(path: Path) -> Literal[".jsonl", ".csv", ".parquet"]:
    """The format of a file of pairs by its name; raises InputError where it cannot be read."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    for known in FORMATS:
        if path.suffix.lower() == known:
            return known  # type: ignore[return-value]
    raise InputError(f"{path}: got '{path.suffix}'; pairs are read from {', '.join(FORMATS)}")


def count_rows(path: Path) -> int:
    """How many rows `read_pairs` will give."""
    kind = check_pairs(path)
    if kind == ".parquet":
        import pyarrow.parquet as parquet

        with _parquet_errors(path):
            return int(parquet.ParquetFile(path).metadata.num_rows)
    return sum(1 for _ in (_jsonl(path, parse=False) if kind == ".jsonl" else _csv(path)))


def _jsonl(path: Path, parse: bool = True) -> Iterator[Mapping[str, Any] | str]:
    with path.open("rb") as lines:
        for line in lines:
            if line.strip():
                yield _json_row(line) if parse else ""


def _json_row(line: bytes) -> Mapping[str, Any] | str:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {' '.join(str(error).split())}"
    return row if isinstance(row, dict) else f"got a JSON {type(row).__name__}; a row is an object"


def _csv(path: Path) -> Iterator[Mapping[str, Any] | str]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        reader = csv.DictReader(lines)
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield f"not CSV: {error}"
                continue
            if None in row:
                yield f"more cells than the {len(reader.fieldnames or ())} columns of the header"
            else:
                yield {key: _cell(key, value) for key, value in row.items() if value}


def _cell(key: str, value: str) -> Any:
    if key in _LISTS and not value.lstrip().startswith("["):
        return [part.strip() for part in value.split(LIST_MARK) if part.strip()]
    if key in (*_LISTS, "answers"):
        try:
            return json.loads(value)
        except ValueError:
            return value  # the record says what is wrong with it
    return value


def _parquet(path: Path) -> Iterator[Mapping[str, Any] | str]:
    import pyarrow.parquet as parquet

    with _parquet_errors(path):
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=64):
            yield from batch.to_pylist()


@contextlib.contextmanager
def _parquet_errors(path: Path) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a Parquet file ({error})") from error


def _pair(row: Mapping[str, Any], number: int, folder: Path) -> PairRow | RowError:
    known = {
        key: value
        for key, value in row.items()
        if value is not None and key in CreativePair.model_fields
    }
    name = known.get("pair_id")
    pair_id = str(name).strip() if name is not None and str(name).strip() else f"row-{number}"
    known["pair_id"] = pair_id
    for key in _IMAGES:
        value: Any = known.get(key)
        if isinstance(value, Mapping):  # the Image feature of Hugging Face data sets
            value, known[key] = value.get("bytes"), value.get("path") or f"{pair_id}/{key}"
            value = known[key] if value is None else value
        if isinstance(value, bytes):
            known[f"bytes_{key[-1]}"] = value
            known[key] = known[key] if isinstance(known[key], str) else f"{pair_id}/{key}"
        elif isinstance(value, str):
            known[key] = folder / value
    try:
        return PairRow(**known)
    except (ValidationError, ValueError) as error:
        return RowError(pair_id, "bad_row", _first_line(error))


def _first_line(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    got = "" if first["type"] == "missing" else f", got {str(first['input'])[:60]!r}"
    return f"{place}: {message}{got}"
