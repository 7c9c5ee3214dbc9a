"""Keep the lines that stand for a file of verdicts on disk; make Parquet of them at the end.

A JSONL file is its own journal. A Parquet file cannot be written row by row, so its rows wait in
OUT.rows.jsonl, and OUT is made from them, whole, at the end of each run.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

from creative4u.errors import InputError, WriteError
from creative4u.files.verdict_file import CONTENT, read_verdicts
from creative4u.schema import ProtocolAnswers
from creative4u.user_paths import is_file, short_name

FORMATS = (".jsonl", ".parquet")
ROW_GROUP = 1024  # rows of Parquet written at once


def journal_file(out: Path) -> Path:
    """Where rows are written as they are done; raises InputError for an unknown format."""
    if out.suffix.lower() not in FORMATS:
        raise InputError(f"{short_name(out)}: verdicts are written as {' or '.join(FORMATS)}")
    return out if out.suffix.lower() == ".jsonl" else out.with_name(out.name + ".rows.jsonl")


def check_out(out: Path) -> None:
    """See that a file of verdicts can be written; raises InputError, WriteError."""
    journal_file(out)
    try:
        if not out.parent.is_dir():
            raise InputError(f"{short_name(out.parent)}: no such folder")
        if out.is_dir():
            raise InputError(f"{short_name(out)}: a folder, not a file")
        if not os.access(out.parent, os.W_OK) or (out.exists() and not os.access(out, os.W_OK)):
            raise WriteError(f"{short_name(out)}: cannot be written there; nothing was judged now")
    except OSError as error:
        raise InputError(f"{short_name(out)}: {error.strerror}") from error


def kept_rows(journal: Path) -> Iterator[dict[str, Any]]:
    """The rows that a journal holds, none where there is no file."""
    return (dict(row) for row in read_verdicts(journal)) if is_file(journal) else iter(())


class Earlier:
    """The rows of a journal by their content; memory holds a place in the file for each.

    Rows that know no content (of an older version) are found by their place.
    """

    def __init__(self, journal: Path | None) -> None:
        self.file: IO[bytes] | None = None
        self.offsets: dict[str, deque[int]] = {}
        if journal is None:
            return
        self.file = journal.open("rb")
        offset = 0
        for place, line in enumerate(self.file):
            content = json.loads(line).get(CONTENT) or _place(place)
            self.offsets.setdefault(content, deque()).append(offset)
            offset += len(line)

    def __enter__(self) -> Earlier:
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.close()

    def take(self, content: str, place: int) -> dict[str, Any] | None:
        """A row of this content, each given once; None where there is none left."""
        found = self.offsets.get(content) or self.offsets.get(_place(place))
        if not found or self.file is None:
            return None
        self.file.seek(found.popleft())
        row: dict[str, Any] = json.loads(self.file.readline())
        return row


def _place(place: int) -> str:
    return f"place {place}"


def drop_cut_line(journal: Path) -> None:
    """Cut off what a killed run left after the last whole line."""
    if not journal.exists():
        return
    with journal.open("rb+") as file:
        file.truncate(_end_of_last_line(file))


def publish(out: Path) -> None:
    """Make `out` from its journal, whole or not at all; a JSONL file is there already."""
    journal = journal_file(out)
    if journal == out:
        return
    import pyarrow as pa
    import pyarrow.parquet as parquet

    schema, partial = _schema(), out.with_name(out.name + ".partial")
    rows = kept_rows(journal)
    try:
        with parquet.ParquetWriter(partial, schema) as writer:
            while group := list(islice(rows, ROW_GROUP)):
                writer.write_table(pa.Table.from_pylist(group, schema=schema))
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)


def _schema() -> Any:
    """The columns of a verdict row; what a row has not is null."""
    import pyarrow as pa

    text, real, rows = pa.string(), pa.float64(), pa.list_(pa.int64())
    answers = pa.struct([(name, text) for name in ProtocolAnswers.model_fields])
    experts = [("log_odds_lm", real), ("log_odds_evidence", real), ("log_odds", real),
               ("overruled", pa.bool_())]  # fmt: skip
    order = [("order", text), ("choice", text), ("probability_a", real), ("answers", answers),
             ("reasoning", text), *experts]  # fmt: skip
    numbers = pa.map_(text, real)
    image = pa.struct([("degrees", numbers), ("text_lines", pa.list_(text)), ("class_name", text),
                       ("class_probability", real)])  # fmt: skip
    evidence = pa.struct([("A", image), ("B", image), ("contributions", numbers),
                          ("log_odds", real)])  # fmt: skip
    return pa.schema(
        [
            ("pair_id", text), ("image_a", text), ("image_b", text), ("label", text),
            ("tags", pa.list_(text)), (CONTENT, text), ("choice", text), ("confidence", real),
            ("probability_a", real), ("consistent", pa.bool_()), ("answers", answers),
            ("observations", pa.struct([("A", text), ("B", text)])), ("evidence", evidence),
            ("reasoning", text), *experts,
            ("orders", pa.list_(pa.struct(order))), ("model", text),
            ("arithmetic", pa.struct([("dtype", text), ("cpu", text), ("rows", rows)])),
            ("seconds", real),
            ("error", pa.struct([("code", text), ("message", text)])),
        ]
    )  # fmt: skip


def _end_of_last_line(file: IO[bytes], step: int = 1 << 16) -> int:
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - step)
        file.seek(start)
        cut = file.read(end - start).rfind(b"\n")
        if cut >= 0:
            return start + cut + 1
        end = start
    return 0
