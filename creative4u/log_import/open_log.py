"""Open an impression log of any form: find its files, its header, its columns and their reading.

Files are Parquet, CSV, TSV (other separators too, packed by gzip or not) or JSONL. DuckDB reads
them out of core; a text table is looked at once beforehand, for what the whole column tells.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from glob import glob
from pathlib import Path

import duckdb

from creative4u.errors import InputError
from creative4u.log_import.columns import LogFormat, find_columns
from creative4u.log_import.days import Days, find_days
from creative4u.log_import.evidence import ctr_unit, number_styles, total_impressions
from creative4u.log_import.log import Log
from creative4u.log_import.numbers import quote
from creative4u.log_import.platforms import PLATFORMS
from creative4u.log_import.text_table import literal, read_form

ENDINGS = {
    "parquet": (".parquet", ".pq"),
    "json": (".jsonl", ".ndjson", ".json", ".jsonl.gz"),
    "text": (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt"),
}
IN_FOLDERS = (*ENDINGS["parquet"], *ENDINGS["text"][:4])  # what a folder is read for


def open_log(
    patterns: Iterable[str],
    work: Path,
    asked: LogFormat | None = None,
    needed: tuple[str, ...] = ("product_id", "creative_id"),
) -> Log:
    """Open files, folders and globs as one log.

    Args:
        patterns: what the user gave.
        work: a folder for copies in UTF-8 of tables in other encodings.
        asked: what the user says of the log.
        needed: our names of columns that it must have, beside the counts.

    Raises InputError where nothing is found, the files do not go together, they cannot be read, or
    a needed column is missing.
    """
    asked, patterns = asked or LogFormat(), list(patterns)
    files = sorted({path for pattern in patterns for path in _files(pattern)})
    if not files:
        raise InputError(f"no log at {', '.join(patterns)}; give Parquet, CSV or JSONL files, or a "
                         "folder")  # fmt: skip
    kinds = {_kind(path) for path in files}
    if len(kinds) > 1:
        raise InputError(f"the log mixes {' and '.join(sorted(kinds))} files; give one kind")
    kind = kinds.pop()
    with duckdb.connect() as db:
        db.execute("SET enable_progress_bar = false")
        try:
            read = _reader(db, kind, files, work, asked)
            source, sources = read(files), tuple(read([path]) for path in files)
            types = {row[0]: str(row[1]) for row in
                     db.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}  # fmt: skip
            log = Log(source, sources, find_columns(types, asked), types, tuple(files), kind)
            _check_columns(log, asked, needed)
            return _read(db, log, asked)
        except duckdb.Error as error:
            raise InputError(f"the log cannot be read: {str(error).splitlines()[0]}") from error


def _check_columns(log: Log, asked: LogFormat, needed: tuple[str, ...]) -> None:
    """Raise InputError with what is missing, and with the platform that the names look like."""
    missing = [name for name in needed if name not in log.columns]
    if not log.summed and "click" not in log.columns:
        missing.append("click (or impressions and clicks)")
    if not missing:
        return
    hint = "say which with --column OURS=THEIRS"
    if asked.platform is None:
        for name, platform in PLATFORMS.items():
            found = find_columns(log.types, replace(asked, platform=name))
            if {"creative_id", "impressions", "clicks"} <= set(found):
                hint = f"it looks like an export of {platform.title}: --from {name}"
                break
    raise InputError(
        f"the log has columns {', '.join(log.types)}; missing: {', '.join(missing)}; {hint}"
    )


def _read(db: duckdb.DuckDBPyConnection, log: Log, asked: LogFormat) -> Log:
    """Decide by evidence how the log's columns are read."""
    notes = []
    log = replace(log, styles=number_styles(db, log))
    if log.summed and "clicks" not in log.columns:
        unit, why = asked.ctr_unit, ""
        if unit is None and asked.platform is not None:
            unit = PLATFORMS[asked.platform].ctr_unit
        if unit is None:
            unit, why = ctr_unit(db, log)
        log = replace(log, ctr_unit=unit)
        read = f"; {log.columns['ctr']} is in {unit}: {why}" if why else ""
        notes.append(f"clicks are {log.columns['ctr']} times impressions, rounded{read}")
    if log.summed and log.kind != "parquet":
        log = replace(log, total=total_impressions(db, log))
    return replace(log, notes=tuple(notes))


def read_days(log: Log, asked: LogFormat | None = None) -> Days | None:
    """How the days of a log are read; None where it has no such column, or no row holds a day.

    `last` is that of the column of last days, where there is one. Raises InputError where the dates
    have two readings.
    """
    written = asked.date_format if asked else None
    found: dict[str, Days] = {}
    with duckdb.connect() as db:
        db.execute("SET enable_progress_bar = false")
        for name in ("day", "day_end"):
            if name in log.columns:
                kind = log.types[log.columns[name]]
                days = find_days(db, log.source, log.column(name), kind, written)
                if days is not None:
                    found[name] = days
    if "day" in found and "day_end" in found:
        return replace(found["day"], last=found["day_end"].last)
    return found.get("day")


def _reader(
    db: duckdb.DuckDBPyConnection, kind: str, files: list[str], work: Path, asked: LogFormat
) -> Callable[[list[str]], str]:
    """From files to the SQL that reads them: all as text, but Parquet, whose writer chose types."""
    if kind == "parquet":
        return lambda some: f"read_parquet([{', '.join(map(literal, some))}], union_by_name = true)"
    if kind == "json":
        listed = ", ".join(map(literal, files))
        names = db.execute(
            f"DESCRIBE FROM read_json([{listed}], format = 'auto', sample_size = -1)"
        ).fetchall()
        typed = ", ".join(f"{quote(row[0])}: 'VARCHAR'" for row in names)
        return lambda some: (f"read_json([{', '.join(map(literal, some))}], format = 'auto', "
                             f"columns = {{{typed}}})")  # fmt: skip
    forms = {path: read_form(Path(path), work, asked.known) for path in files}
    first = forms[files[0]]
    for path, form in forms.items():
        if (form.header, form.separator, form.skip) != (first.header, first.separator, first.skip):
            raise InputError(
                f"{path} has other columns, separators or title lines than {files[0]}; "
                "read them one by one"
            )
    return lambda some: first.sql([str(forms[path].path) for path in some])


def _kind(path: str) -> str:
    name = path.lower()
    for kind, endings in ENDINGS.items():
        if name.endswith(endings):
            return kind
    try:
        with open(path, "rb") as file:
            return "parquet" if file.read(4) == b"PAR1" else "text"
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def _files(pattern: str) -> list[str]:
    if os.path.isfile(pattern):
        return [pattern]
    if os.path.isdir(pattern):
        return [entry.path for entry in os.scandir(pattern)
                if entry.name.lower().endswith(IN_FOLDERS)]  # fmt: skip
    try:
        return glob(pattern)
    except OSError:
        return []
