"""Say in SQL how each column of a log is read, and for which reason a row of it is left out.

A row is one impression (`click` 0 or 1) or a sum (`impressions`, and `clicks` or a CTR). Ids are
text: nothing is typed by a sample.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field, replace

from creative4u.log_import.columns import is_known
from creative4u.log_import.days import INTEGERS
from creative4u.log_import.numbers import (
    MISSING,
    NO_NUMBER,
    Style,
    cleaned,
    count,
    is_missing,
    quote,
    share,
    value,
    whole,
)

TOTAL = (
    r"((grand |sub)?totals?( ?[:：(–—-].*| (of|for) .*)?"
    r"|(summary|summe|gesamt(summe|ergebnis)?|insgesamt|totale|totaal|合计|总计|总和|合計|總計|小计)"
    r"( ?[:：].*)?|results from [0-9,.]+ .*)"
)
TRUE, FALSE = ("true", "t", "yes", "y"), ("false", "f", "no", "n")


@dataclass(frozen=True)
class Log:
    """Where the log is, what its columns are called and how they are read."""

    source: str  # the table function of DuckDB that reads it
    sources: tuple[str, ...]  # one of them a file
    columns: dict[str, str]  # our name -> the log's
    types: dict[str, str]  # the log's name -> DuckDB's type
    files: tuple[str, ...]
    kind: str  # "parquet", "text" or "json"
    styles: dict[str, Style] = field(default_factory=dict)  # of our names whose column is text
    ctr_unit: str | None = None
    total: int | None = None  # impressions of all rows, for a row that sums up the others
    notes: tuple[str, ...] = ()  # what was decided by evidence, for people

    @property
    def is_csv(self) -> bool:
        """Whether lines may be unreadable one by one."""
        return self.kind == "text"

    @property
    def summed(self) -> bool:
        """Whether a row carries impressions and clicks, and is not one impression."""
        return "impressions" in self.columns and bool({"clicks", "ctr"} & set(self.columns))

    @property
    def unknown(self) -> tuple[str, ...]:
        """Columns of which nothing is known."""
        used = set(self.columns.values())
        return tuple(name for name in self.types if name not in used and not is_known(name))

    @property
    def signature(self) -> str:
        """Changes with the files and with how they are read."""
        stats = [(path, os.stat(path).st_size, os.stat(path).st_mtime_ns) for path in self.files]
        read = json.dumps([stats, self.source, self.columns, repr(self.styles), self.ctr_unit])
        return hashlib.sha256(read.encode()).hexdigest()[:16]

    def file(self, number: int) -> Log:
        """One of the log's files, read as the whole log is."""
        return replace(self, source=self.sources[number], files=(self.files[number],))

    def column(self, name: str) -> str:
        """The quoted column of one of our names."""
        return '"' + self.columns[name].replace('"', '""') + '"'

    def text(self, name: str) -> str:
        """The SQL of an id or a text; NULL where it is missing or the log has no such column."""
        if name not in self.columns:
            return "NULL"
        column, kind = self.column(name), self.types[self.columns[name]]
        if self.kind != "parquet":
            text = f"trim({column})"
            return f"CASE WHEN {is_missing(column, MISSING)} THEN NULL ELSE {text} END"
        if kind in ("DOUBLE", "FLOAT"):  # whole ids that pandas kept beside an empty one
            return f"coalesce(({whole(column)})::VARCHAR, {column}::VARCHAR)"
        return column

    def number(self, name: str) -> str:
        """The SQL of a count; NULL where it is no whole number."""
        if name == "clicks" and name not in self.columns:
            return f"round({self.share()} * {self.number('impressions')})::BIGINT"
        column, kind = self.column(name), self.types[self.columns[name]]
        if kind in INTEGERS:
            return column
        if kind == "BOOLEAN":
            return f"{column}::TINYINT"
        if kind != "VARCHAR":
            return whole(f"try_cast({column} AS DOUBLE)")
        read = count(column, self.styles[name])
        if name != "click":
            return read
        said = f"lower({cleaned(column)})"
        return (f"CASE WHEN {said} IN {TRUE} THEN 1 WHEN {said} IN {FALSE} THEN 0 "
                f"ELSE {read} END")  # fmt: skip

    def decimal(self, name: str) -> str:
        """The SQL of a price or the like; NULL where it is no number."""
        if name not in self.columns:
            return "NULL"
        if self.types[self.columns[name]] == "VARCHAR":
            return value(self.column(name), self.styles[name])
        return f"try_cast({self.column(name)} AS DOUBLE)"

    def share(self) -> str:
        """The SQL of the CTR as a share."""
        column = self.column("ctr")
        style = self.styles.get("ctr", Style(plain=True))
        return share(f"{column}::VARCHAR", style, self.ctr_unit)

    def good_row(self) -> str:
        """The SQL condition of a row that can be counted; false or NULL for all others."""
        named = " AND ".join(f"{self.text(name)} IS NOT NULL" for name in self._ids())
        named += f" AND {self.totals_row()} IS NOT TRUE" if self.kind != "parquet" else ""
        if not self.summed:
            return f"{self.number('click')} BETWEEN 0 AND 1 AND {named}"
        shown, clicks = self.number("impressions"), self.number("clicks")
        return f"{shown} >= 0 AND {clicks} >= 0 AND {clicks} <= {shown} AND {named}"

    def reason(self) -> str:
        """The SQL of the reason for which a row that is not good is left out."""
        cases = [(self.totals_row(), "totals row")] if self.kind != "parquet" else []
        cases += [(f"{self.text(name)} IS NULL", f"no {name.removesuffix('_id')}")
                  for name in self._ids()]  # fmt: skip
        numbers = ["click"] if not self.summed else ["impressions"]
        if self.summed:
            numbers.append("clicks" if "clicks" in self.columns else "ctr")
        for name in numbers:
            column = f"{self.column(name)}::VARCHAR"
            style = self.styles.get(name, Style())
            cases.append((is_missing(column, NO_NUMBER), f"no {name}"))
            if style.contradicts:
                marks = f"regexp_matches({column}, '[.,]')"
                cases.append((marks, f"{name}: decimal or thousands mark cannot be told"))
            if name == "ctr":
                known = value(column, style)
                cases.append((f"{known} IS NULL", "no number"))
                cases.append((f"{self.share()} IS NULL", "unit of the CTR cannot be told"))
            else:
                cases.append((f"{self.number(name)} IS NULL", "no whole number"))
        clicks = self.number("clicks" if self.summed else "click")
        shown = self.number("impressions") if self.summed else "1"
        cases.append((f"{clicks} < 0 OR {shown} < 0", "negative number"))
        cases.append((f"{clicks} > {shown}", "clicks above impressions"))
        whens = " ".join(f"WHEN {test} THEN {quote(reason)}" for test, reason in cases)
        return f"CASE {whens} ELSE 'unreadable' END"

    def totals_row(self) -> str:
        """The SQL condition of a row that sums up others: it says so, or adds up to all of them."""
        texts = ['"' + next(iter(self.types)).replace('"', '""') + '"']
        texts += [self.column(name) for name in ("product_id", "creative_id", "image", "title")
                  if name in self.columns]  # fmt: skip
        said = " OR ".join(
            f"coalesce(regexp_full_match(lower({cleaned(text)}), {quote(TOTAL)}), false)"
            for text in dict.fromkeys(texts)
        )
        if self.total is None:
            return f"({said})"
        nameless = " AND ".join(f"{self.text(name)} IS NULL" for name in ("creative_id", "image")
                                if name in self.columns)  # fmt: skip
        adds_up = f"{self.number('impressions')} * 2 = {self.total}"
        return f"({said} OR ({nameless} AND {adds_up}))"

    def _ids(self) -> list[str]:
        return [name for name in ("product_id", "creative_id") if name in self.columns]
