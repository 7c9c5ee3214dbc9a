"""Read the day of a log's rows by the evidence of the whole column; what has two readings is asked.

`11/03/2025` is 3 November or 11 March. A column in which some value can only be one of the two
(`25/11/2025`) tells for all; one in which none does, or in which some tell for either, is refused
until a `--date-format` says it. Numbers are days counted from any start, YYYYMMDD, or seconds,
milliseconds or microseconds since 1970. The day is the day as written: offsets of time zones are
not applied.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import duckdb

from creative4u.errors import InputError
from creative4u.log_import.numbers import NO_NUMBER, cleaned, is_missing, quote

INTEGERS = {f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")}
INTEGERS |= {"INTEGER", "UINTEGER"}  # DuckDB's types of whole numbers
MARKS = "/.-"
_SECONDS = ((10**8, 10**11, 86_400), (10**11, 10**14, 86_400_000), (10**14, 10**17, 86_400 * 10**6))
_WORDS = {"yyyy": "%Y", "yy": "%y", "mm": "%m", "dd": "%d"}


@dataclass(frozen=True)
class Days:
    """The SQL of a row's day as a whole number, and the first and last day, as they are printed.

    Counted from 1970-01-01; for numbered days (`numbered`) the number itself.
    """

    sql: str
    first: str
    last: str
    numbered: bool = False


@dataclass(frozen=True)
class Family:
    """Dates of one shape, and the formats that may have written it, each by its name."""

    shape: str  # of the date without its time
    formats: dict[str, str]


def families() -> list[Family]:
    """Every shape of a date that is understood."""
    found = [Family(r"\d{4}年\d{1,2}月\d{1,2}日", {"": "%Y年%m月%d日"})]
    for mark in MARKS:
        two, year = r"\d{1,2}", r"\d{4}"
        iso = mark.join(("%Y", "%m", "%d"))
        found.append(Family(rf"{year}[{mark}]{two}[{mark}]{two}", {"": iso}))
        for long in ("%Y", "%y"):
            formats = {"day first": mark.join(("%d", "%m", long)),
                       "month first": mark.join(("%m", "%d", long))}  # fmt: skip
            if long == "%y":
                formats["year first"] = mark.join(("%y", "%m", "%d"))
            last = year if long == "%Y" else r"\d{2}"
            found.append(Family(rf"{two}[{mark}]{two}[{mark}]{last}", formats))
    for month in ("%b", "%B"):
        word = "[a-z]{3}" if month == "%b" else "[a-z]{4,9}"
        found.append(Family(rf"{word} \d{{1,2}} \d{{4}}", {"": f"{month} %d %Y"}))
        found.append(Family(rf"\d{{1,2}} {word} \d{{4}}", {"": f"%d {month} %Y"}))
        found.append(Family(rf"\d{{1,2}}-{word}-\d{{4}}", {"": f"%d-{month}-%Y"}))
    return found


def find_days(
    db: duckdb.DuckDBPyConnection, source: str, column: str, kind: str, date_format: str | None
) -> Days | None:
    """How the day of each row of `source` is read; None where no row holds one.

    Args:
        db: a connection that reads `source`.
        source: what stands after FROM.
        column: the quoted column.
        kind: its type in DuckDB.
        date_format: strptime's, such as %d/%m/%Y, or DD/MM/YYYY; None decides by evidence.

    Raises InputError where the dates have two readings, or the format fits no row.
    """
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return _spanned(db, source, f"({column}::DATE - DATE '1970-01-01')::BIGINT")
    if date_format is not None:
        return _by_format(db, source, column, date_format)
    if kind in INTEGERS or _all_digits(db, source, column):
        return _numbers(db, source, f"try_cast({column} AS BIGINT)")
    part = _date_part(column)
    db.execute("CREATE OR REPLACE TEMP TABLE dates AS "
               f"SELECT DISTINCT {part} AS date FROM {source}")  # fmt: skip
    shapes = [row[0] for row in db.execute(
        "SELECT DISTINCT regexp_replace(date, '[0-9]', '9', 'g') FROM dates WHERE date <> ''"
    ).fetchall()]  # fmt: skip
    cases = []
    for family in families():
        if any(re.fullmatch(family.shape, shape) for shape in shapes):
            chosen = _format_of(db, family)
            if chosen:
                match = f"regexp_full_match({part}, {quote(family.shape)})"
                cases.append(f"WHEN {match} THEN try_strptime({part}, {quote(chosen)})")
    if not cases:
        return None
    return _spanned(db, source, f"(CASE {' '.join(cases)} END::DATE - DATE '1970-01-01')::BIGINT")


def _date_part(column: str) -> str:
    """The date as text: without its time, the name of the day, and dots and commas of words."""
    text = f"lower({cleaned(f'{column}::VARCHAR')})"
    dated = f"regexp_replace({text}, '[t, ]+[0-9]{{1,2}}:[0-9]{{2}}.*$', '')"
    bare = f"regexp_replace({dated}, '^(mon|tue|wed|thu|fri|sat|sun)[a-z]*[., ]+', '')"
    worded = f"replace(trim(regexp_replace({bare}, '[., ]+', ' ', 'g')), 'sept ', 'sep ')"
    return f"CASE WHEN regexp_matches({bare}, '[a-z]') THEN {worded} ELSE {bare} END"


def _format_of(db: duckdb.DuckDBPyConnection, family: Family) -> str | None:
    """The format of a family in table `dates`; None where none of them is a date."""
    names, formats = list(family.formats), list(family.formats.values())
    dates = [f"try_strptime(date, {quote(one)})" for one in formats]
    fits = [f"count({date})" for date in dates]
    examples = [
        f"min(date) FILTER ({date} IS NOT NULL AND {other} IS DISTINCT FROM {date})"
        for date, other in zip(dates, [*dates[1:], dates[0]], strict=True)
    ]
    any_fits = f"count(*) FILTER (coalesce({', '.join(dates)}) IS NOT NULL)"
    row = db.execute(
        f"SELECT {any_fits}, {', '.join((*fits, *examples))} FROM dates "
        f"WHERE regexp_full_match(date, {quote(family.shape)})"
    ).fetchone()
    assert row is not None
    readable, fitting, shown = row[0], row[1 : 1 + len(formats)], row[1 + len(formats) :]
    if not readable:
        return None
    whole = [n for n, fit in enumerate(fitting) if fit == readable]
    differ = [example for example in shown if example is not None]
    if len(whole) == 1 or (whole and not differ):
        return formats[whole[0]]
    if not whole:
        raise InputError(
            f"the dates contradict one another: {' and '.join(sorted(set(differ))[:2])} are not of "
            f"one order; say it with --date-format {formats[0]} or {formats[1]}"
        )
    likely = [f"{formats[n]} ({names[n]})" for n in whole]
    raise InputError(
        f"dates such as {differ[0]} have two readings; say which one with --date-format "
        f"{' or '.join(likely)}"
    )


def _by_format(
    db: duckdb.DuckDBPyConnection, source: str, column: str, asked: str
) -> Days:
    wanted = asked
    if "%" not in asked:
        wanted = asked.lower()
        for word, letter in _WORDS.items():
            wanted = wanted.replace(word, letter)
    text = cleaned(f"{column}::VARCHAR")
    time = "'[T, ]+[0-9]{1,2}:[0-9]{2}.*$'"
    date = (f"coalesce(try_strptime({text}, {quote(wanted)}), "
            f"try_strptime(regexp_replace({text}, {time}, ''), {quote(wanted)}))")  # fmt: skip
    try:
        days = _spanned(db, source, f"({date}::DATE - DATE '1970-01-01')::BIGINT")
    except duckdb.Error as error:
        said = str(error).splitlines()[0]
        raise InputError(f"--date-format {asked}: {said}; give one like %d/%m/%Y") from error
    if days is None:
        row = db.execute(f"SELECT min({text}) FROM {source} WHERE {column} IS NOT NULL").fetchone()
        raise InputError(f"--date-format {asked} fits no row; they hold {(row or [''])[0]}")
    return days


def _all_digits(db: duckdb.DuckDBPyConnection, source: str, column: str) -> bool:
    text = f"{column}::VARCHAR"
    row = db.execute(
        f"""SELECT count(*), count(*) FILTER (regexp_full_match({cleaned(text)}, '[0-9]+'))
            FROM {source} WHERE NOT {is_missing(text, NO_NUMBER)}"""
    ).fetchone()
    return row is not None and row[0] == row[1] > 0


def _numbers(db: duckdb.DuckDBPyConnection, source: str, number: str) -> Days | None:
    row = db.execute(f"SELECT max({number}) FROM {source}").fetchone()
    largest = row[0] if row else None
    if largest is None:
        return None
    if largest < 100_000:
        return _spanned(db, source, f"CASE WHEN {number} >= 0 THEN {number} END", numbered=True)
    if 19_000_000 < largest < 22_000_000:
        date = f"try_strptime(({number})::VARCHAR, '%Y%m%d')::DATE"
        return _spanned(db, source, f"({date} - DATE '1970-01-01')::BIGINT")
    for low, high, unit in _SECONDS:
        if low <= largest < high:
            inside = f"{number} BETWEEN {low} AND {high}"
            return _spanned(db, source, f"CASE WHEN {inside} THEN {number} // {unit} END")
    return None


def _spanned(
    db: duckdb.DuckDBPyConnection, source: str, sql: str, numbered: bool = False
) -> Days | None:
    """With the first and last day; None where no row has one."""
    row: Any = db.execute(f"SELECT min(day), max(day) FROM (SELECT {sql} AS day FROM {source})"
                          ).fetchone()  # fmt: skip
    if row is None or row[0] is None:
        return None
    if numbered:
        return Days(sql, str(row[0]), str(row[1]), numbered)
    shown = db.execute("SELECT (DATE '1970-01-01' + ?::INT)::VARCHAR, "
                       "(DATE '1970-01-01' + ?::INT)::VARCHAR", list(row)).fetchone()  # fmt: skip
    assert shown is not None
    return Days(sql, *shown)
