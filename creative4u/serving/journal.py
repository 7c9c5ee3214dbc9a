"""The name of a file of verdicts in, the lines that stand for it on disk out; Parquet at the end.

A JSONL file is its own journal. A Parquet file cannot be written row by row, so its rows wait in
OUT.rows.jsonl, and OUT is made from them, whole, at the end of each run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

from creative4u.errors import InputError
from creative4u.schema import ProtocolAnswers
from creative4u.serving.evaluate import read_verdicts

FORMATS = (".jsonl", ".parquet")
ROW_GROUP = 1024  # rows of Parquet written at once


def journal_file(out: Path) -> Path:
    """Where rows are written as they are done; raises InputError for an unknown format."""
    if out.suffix.lower() not in FORMATS:
        raise InputError(f"{out}: verdicts are written as {' or '.join(FORMATS)}")
    if not out.parent.is_dir():
        raise InputError(f"{out.parent}: no such folder")
    return out if out.suffix.lower() == ".jsonl" else out.with_name(out.name + ".rows.jsonl")


def kept_rows(journal: Path) -> Iterator[dict[str, Any]]:
    """The rows that a journal holds, none where there is no file."""
    return (dict(row) for row in read_verdicts(journal)) if journal.exists() else iter(())


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
    """The columns of DESIGN's verdict row; what a row has not is null."""
    import pyarrow as pa

    text, real, rows = pa.string(), pa.float64(), pa.list_(pa.int64())
    answers = pa.struct([(name, text) for name in ProtocolAnswers.model_fields])
    order = [("order", text), ("choice", text), ("probability_a", real), ("answers", answers),
             ("reasoning", text)]  # fmt: skip
    return pa.schema(
        [
            ("pair_id", text), ("image_a", text), ("image_b", text), ("label", text),
            ("tags", pa.list_(text)), ("choice", text), ("confidence", real),
            ("probability_a", real), ("consistent", pa.bool_()), ("answers", answers),
            ("observations", pa.struct([("A", text), ("B", text)])), ("reasoning", text),
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
