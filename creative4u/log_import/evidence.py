"""Look at a log's number columns once: how they write numbers, and in which unit a CTR is."""

from __future__ import annotations

from typing import Any

import duckdb

from creative4u.log_import.log import Log
from creative4u.log_import.numbers import Style, cleaned, evidence, shapes, style_of, value

COUNTS = ("impressions", "clicks", "click", "position", "purchase")
DECIMALS = ("ctr", "price")


def number_styles(db: duckdb.DuckDBPyConnection, log: Log) -> dict[str, Style]:
    """How each number column that is text writes its numbers, by all of its values."""
    names = [name for name in (*COUNTS, *DECIMALS)
             if name in log.columns and log.types[log.columns[name]] == "VARCHAR"]  # fmt: skip
    if not names:
        return {}
    asked = ", ".join(shapes(log.column(name)) for name in names)
    row = db.execute(f"SELECT {asked} FROM {log.source}").fetchone() or ()
    found = {name: list(shape or ()) for name, shape in zip(names, row, strict=True)}
    told = {name: evidence(shape) for name, shape in found.items()}
    return {
        name: style_of(shape, (told[other] for other in names if other != name), name in COUNTS)
        for name, shape in found.items()
    }


def ctr_unit(db: duckdb.DuckDBPyConnection, log: Log) -> tuple[str | None, str]:
    """The unit of CTRs without a sign, "percent" or "fraction", and why; None where none is told.

    Told by: per cent in the column's name; a value above 1, which no share can be; or that in one
    unit some row's clicks, the CTR times the impressions, can be no whole number. A CTR is taken as
    rounded or cut at its last decimal.
    """
    if "%" in log.columns["ctr"] or "％" in log.columns["ctr"]:
        return "percent", "its name says so"
    text = f"{log.column('ctr')}::VARCHAR"
    number = value(text, log.styles.get("ctr", Style(plain=True)))
    places = f"length(regexp_extract({cleaned(text)}, '[.,]([0-9]+)$', 1))"
    shown = log.number("impressions")
    row: Any = db.execute(
        f"""SELECT count(*), count(*) FILTER (signed), max(ctr) FILTER (NOT signed),
                count(*) FILTER (NOT signed AND floor((ctr + step) * shown / 100 + 1e-9)
                                 < ceil((ctr - step) * shown / 100 - 1e-9)),
                count(*) FILTER (NOT signed AND floor((ctr + step) * shown + 1e-9)
                                 < ceil((ctr - step) * shown - 1e-9))
            FROM (SELECT contains({text}, '%') AS signed, {number} AS ctr, {shown} AS shown,
                         pow(10, -{places}) AS step FROM {log.source})
            WHERE ctr IS NOT NULL AND shown IS NOT NULL"""
    ).fetchone()
    rows, signed, largest, no_percent, no_fraction = row
    if not rows or signed or largest is None:
        return None, ""  # signs tell; a value without one beside them is not read
    if 1 < largest <= 100:
        return "percent", "values above 1 stand in it"
    if largest <= 1 and bool(no_percent) != bool(no_fraction):
        unit = "fraction" if no_percent else "percent"
        return unit, "only so the clicks are whole numbers"
    return None, ""


def total_impressions(db: duckdb.DuckDBPyConnection, log: Log) -> int | None:
    """The impressions of all rows that do not call themselves a total; None without any."""
    row = db.execute(f"SELECT sum({log.number('impressions')}) FROM {log.source} "
                     f"WHERE NOT {log.totals_row()}").fetchone()  # fmt: skip
    return int(row[0]) if row and row[0] else None
