"""Read a table's rows: JSON, CSV of any dialect, Parquet, or a folder that `datasets` saved.

What holds for the whole file (encoding, delimiter, header, shape) is settled by `open_table`,
before anything slow is loaded; a fault there is one InputError and not one error a row.
"""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from creative4u.errors import InputError
from creative4u.files.json_rows import TRIED, Row, json_rows, json_shape
from creative4u.files.table_text import is_text, open_text
from creative4u.user_paths import is_file, opened, short_name

JSON, CSV, PARQUET = (".jsonl", ".ndjson", ".json"), (".csv", ".tsv"), (".parquet",)
FORMATS = (*JSON, *CSV, *PARQUET)
DELIMITERS = (",", ";", "\t", "|")
LONGEST = 64_000_000  # characters of one CSV cell: an image in a data URL
SAVED = "state.json"  # in a folder that `datasets` wrote with `save_to_disk`
Kind = Literal["lines", "whole", "csv", "parquet", "saved"]


@dataclass(frozen=True)
class Table:
    """A table that can be read; `names` are a ClassLabel column's names by their numbers."""

    path: Path
    kind: Kind
    columns: tuple[str, ...]  # as `column_name` writes them; of JSON those of its first rows
    delimiter: str = ","
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """What paths in the table are relative to."""
        return self.path.parent

    def rows(self) -> Iterator[Row | str]:
        """The rows, keys as `column_name` writes them; one that is broken is a line that says how.

        Cells that are empty or null are left out.
        """
        raw: Iterator[Row | str]
        if self.kind in ("lines", "whole"):
            raw = json_rows(self.path, "lines" if self.kind == "lines" else "whole")
        elif self.kind == "csv":
            raw = _csv_rows(self)
        else:
            raw = _parquet_rows(self.path) if self.kind == "parquet" else _saved_rows(self.path)
        for row in raw:
            yield row if isinstance(row, str) else self._named(row)

    def count(self) -> int:
        """How many rows there are."""
        if self.kind == "parquet":
            with _parquet(self.path) as file:
                return int(file.metadata.num_rows)
        if self.kind == "saved":
            return len(_saved(self.path))
        if self.kind == "lines":
            with open_text(self.path) as lines:
                return sum(1 for line in lines if line.strip())
        return sum(1 for _ in self.rows())

    def _named(self, row: Row) -> dict[str, Any]:
        named = {}
        for key, value in row.items():
            name = column_name(str(key))
            if name in self.names and isinstance(value, int):
                known = self.names[name]
                value = known[value] if 0 <= value < len(known) else None
            if value is not None and value != "":
                named[name] = value
        return named


def column_name(written: str) -> str:
    """A column's name however it is written: `Image A`, ` image-a` and `IMAGE_A` are one."""
    return "_".join(written.strip().strip("\ufeff").casefold().replace("-", " ").split())


def open_table(path: Path, known: Collection[str] = ()) -> Table:
    """Settle how a table is read; `known` are the columns that tell a CSV file's delimiter.

    Raises InputError: no such file, a format or encoding that is not read, no header, no rows.
    """
    if is_file(path / SAVED):
        return _open_saved(path)
    kind = path.suffix.lower()
    with opened(path) as file:
        empty = not file.read(1)
    if kind not in FORMATS:
        raise InputError(
            f"{short_name(path)}: got '{path.suffix}'; rows are read from {', '.join(FORMATS)}"
        )
    if empty:
        raise InputError(f"{short_name(path)}: an empty file")
    if kind in PARQUET:
        with _parquet(path) as found:
            schema = found.schema_arrow
            columns = tuple(column_name(name) for name in schema.names)
            return Table(path, "parquet", columns, names=_label_names(schema.metadata))
    if kind in JSON:
        shape = json_shape(path)
        rows = islice(json_rows(path, shape), TRIED)
        keys = {column_name(str(key)): None for row in rows if not isinstance(row, str)
                for key in row}  # fmt: skip
        return Table(path, shape, tuple(keys))
    return _open_csv(path, known)


def _open_csv(path: Path, known: Collection[str]) -> Table:
    with open_text(path) as lines:
        head = next((line for line in lines if line.strip()), "")
        if head.lower().startswith("sep=") and len(head.rstrip("\r\n")) == 5:  # Excel's own
            delimiters: tuple[str, ...] = (head[4],)
            head = next((line for line in lines if line.strip()), "")
        else:
            tab = path.suffix.lower() == ".tsv"
            delimiters = ("\t", *DELIMITERS) if tab else DELIMITERS
    headers = {one: [column_name(cell) for cell in _cells(head, one)] for one in delimiters}
    delimiter = max(headers, key=lambda one: (len(set(known) & {*headers[one]}), len(headers[one])))
    header = headers[delimiter]
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise InputError(f"{short_name(path)}: the header has {', '.join(twice)} twice")
    return Table(path, "csv", tuple(header), delimiter)


def _cells(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])


def _csv_rows(table: Table) -> Iterator[Row | str]:
    csv.field_size_limit(LONGEST)
    with open_text(table.path) as lines:
        reader = csv.reader(lines, delimiter=table.delimiter, skipinitialspace=True)
        header: list[str] | None = None
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield f"not CSV: {error}"
                continue
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                mark = cells[0].lower().startswith("sep=") or cells[0].lower() == "sep="
                header = None if mark else list(table.columns)
            elif len(cells) > len(header) and any(cells[len(header) :]):
                yield f"more cells than the {len(header)} columns of the header"
            elif not all(map(is_text, cells)):
                yield "not UTF-8: damaged bytes"
            else:
                named = zip(header, cells, strict=False)
                yield {name: cell.strip() for name, cell in named if name and cell.strip()}


@contextlib.contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    import pyarrow
    import pyarrow.parquet as parquet

    with opened(path) as file:
        try:
            yield parquet.ParquetFile(file)
        except (pyarrow.ArrowException, OSError) as error:
            why = " ".join(str(error).split())
            raise InputError(f"{short_name(path)}: not a Parquet file ({why})") from error


def _parquet_rows(path: Path) -> Iterator[Row]:
    with _parquet(path) as file:
        for batch in file.iter_batches(batch_size=64):
            yield from batch.to_pylist()


def _label_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, tuple[str, ...]]:
    """ClassLabel names by column, as `datasets` writes them into a Parquet file."""
    try:
        told = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return {column_name(column): tuple(map(str, kind["names"])) for column, kind
                in told.items() if isinstance(kind, dict)
                and kind.get("_type") == "ClassLabel"}  # fmt: skip
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def _open_saved(path: Path) -> Table:
    found = _saved(path)
    features = found.features
    names = {column_name(key): tuple(kind.names) for key, kind in features.items()
             if type(kind).__name__ == "ClassLabel"}  # fmt: skip
    return Table(path, "saved", tuple(column_name(key) for key in features), names=names)


def _saved(path: Path) -> Any:
    import datasets

    try:
        return datasets.load_from_disk(str(path))
    except (OSError, ValueError) as error:
        why = " ".join(str(error).split())
        raise InputError(f"{short_name(path)}: not a data set's folder ({why})") from error


def _saved_rows(path: Path) -> Iterator[Row]:
    for batch in _saved(path).with_format("arrow").iter(batch_size=64):
        yield from batch.to_pylist()
