"""Counting a log: bad rows are named and left out, and every shape of log gives the same counts."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from creative4u.errors import InputError
from data.creative_pair.aggregate import Limits, connect, count_log, find_log, rejected_rows

CLICKS = [("p1", "c1", "boot", 1), ("p1", "c1", "boot", 0), ("p1", "c2", "boot", 1),
          ("p1", "c1", "cheap boot", 0), ("p2", "c3", "hat", 1)]


def counts(path: Path, spill: Path) -> list[tuple[object, ...]]:
    base = connect(Limits("500MB", 1, spill))
    count_log(base, find_log([str(path)]))
    return base.execute("FROM counts ORDER BY ALL").fetchall()


def write_csv(path: Path, rows: list[tuple[object, ...]]) -> Path:
    lines = ["product_id,creative_id,query,click", *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_csv_and_parquet_give_the_same_counts(tmp_path: Path) -> None:
    csv = write_csv(tmp_path / "log.csv", CLICKS)
    names = ("product_id", "creative_id", "query", "click")
    table = pa.table(dict(zip(names, map(list, zip(*CLICKS, strict=True)), strict=True)))
    (tmp_path / "parquet").mkdir()
    pq.write_table(table.slice(0, 2), tmp_path / "parquet" / "a.parquet")
    pq.write_table(table.slice(2), tmp_path / "parquet" / "b.parquet")
    due = [("p1", "c1", "boot", 2, 1), ("p1", "c1", "cheap boot", 1, 0),
           ("p1", "c2", "boot", 1, 1), ("p2", "c3", "hat", 1, 1)]
    assert counts(csv, tmp_path / "s1") == due
    assert counts(tmp_path / "parquet", tmp_path / "s2") == due


def test_a_summed_log_adds_up(tmp_path: Path) -> None:
    path = tmp_path / "sums.csv"
    path.write_text("item_id,image,date,impressions,clicks\n"
                    "i1,a.jpg,2026-01-01,100,3\ni1,a.jpg,2026-01-02,200,5\n", "utf-8")
    assert counts(path, tmp_path / "s") == [("i1", "a.jpg", None, 300, 8)]


def test_bad_rows_are_kept_with_their_reason(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", [*CLICKS, ("p1", "c1", "boot", 2), ("p1", "c1", "x", -1),
                                            ("p1", "", "x", 1)])
    base = connect(Limits("500MB", 1, tmp_path / "s"))
    log = find_log([str(path)])
    count_log(base, log)
    assert base.execute("SELECT sum(impressions) FROM counts").fetchone() == (5,)
    reasons = sorted(row["reason"] for row in rejected_rows(base, log))
    assert reasons == ["clicks above impressions", "empty value", "negative number"]


def test_a_line_of_the_wrong_shape_does_not_stop_a_csv(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", CLICKS)
    path.write_text(path.read_text("utf-8") + "p1,c1,boot,1,surplus,more\n", "utf-8")
    base = connect(Limits("500MB", 1, tmp_path / "s"))
    log = find_log([str(path)])
    count_log(base, log)
    assert base.execute("SELECT sum(impressions) FROM counts").fetchone() == (5,)
    assert [row["reason"] for row in rejected_rows(base, log)] == ["unreadable line"]


def test_unknown_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("product_id,creative_id,click,moon_phase\np,c,1,full\n", "utf-8")
    assert find_log([str(path)]).unknown == ("moon_phase",)


def test_a_log_without_clicks_is_refused_with_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("product_id,creative_id\np,c\n", "utf-8")
    with pytest.raises(InputError, match="missing: click"):
        find_log([str(path)])
    with pytest.raises(InputError, match="no log at"):
        find_log([str(tmp_path / "nowhere")])
