"""Counting a log: bad rows are named and left out, and every shape of log gives the same counts."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.csv import write_csv as write_csv_table

from creative4u.errors import InputError
from creative4u.log_import.open_log import open_log
from data.creative_pair.mining.count_log import Limits, connect, count_log
from data.creative_pair.mining.rejected_rows import Refusals, refusals

CLICKS = [("p1", "c1", "boot", 1), ("p1", "c1", "boot", 0), ("p1", "c2", "boot", 1),
          ("p1", "c1", "cheap boot", 0), ("p2", "c3", "hat", 1)]


def counts(path: Path, spill: Path) -> list[tuple[object, ...]]:
    base = connect(Limits("500MB", 1, spill))
    count_log(base, open_log([str(path)], path.parent / "work"))
    return base.execute("SELECT * EXCLUDE refused FROM counts ORDER BY ALL").fetchall()


def refused(path: Path, spill: Path) -> tuple[int, Refusals]:
    """Impressions counted, and what was refused."""
    base = connect(Limits("500MB", 2, spill))
    log = open_log([str(path)], path.parent / "work")
    count_log(base, log)
    (good,) = base.execute("SELECT sum(impressions) FROM counts").fetchone() or (0,)
    return int(good), refusals(base, log)


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
    good, found = refused(path, tmp_path / "s")
    assert good == 5
    assert found.counts == {"clicks above impressions": 1, "negative number": 1, "no creative": 1}
    assert [row["reason"] for row in found.rows] == sorted(found.counts)


def test_what_is_no_whole_number_is_refused_not_fatal(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", [*CLICKS, ("p1", "c1", "boot", "many"),
                                            ("p1", "c1", "boot", "0.5"), ("p1", "c1", "boot", "")])
    good, found = refused(path, tmp_path / "s1")
    assert good == 5
    assert found.counts == {"no click": 1, "no whole number": 2}
    table = pa.table({"product_id": ["p"] * 4, "creative_id": ["c"] * 4,
                      "impressions": ["100", "1e3", "ten", None], "clicks": [1.0, 2.0, 3.0, 0.5]})
    pq.write_table(table, tmp_path / "sums.parquet")
    good, found = refused(tmp_path / "sums.parquet", tmp_path / "s2")
    assert good == 1100
    assert found.counts == {"no impressions": 1, "no whole number": 1}


def test_each_bad_row_is_refused_once_in_both_kinds_of_file(tmp_path: Path) -> None:
    ids, numbers = ("p", None), (-1, 0, 1, 2, None)
    rows = [(product, creative, shown, clicks) for product in ids for creative in ids
            for shown in numbers for clicks in numbers]
    good = [row for row in rows if None not in row and 0 <= row[3] <= row[2]]  # type: ignore[operator]
    names = ("product_id", "creative_id", "impressions", "clicks")
    table = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    pq.write_table(table, tmp_path / "log.parquet")
    write_csv_table(table, tmp_path / "log.csv")
    shown, found = refused(tmp_path / "log.parquet", tmp_path / "s1")
    assert shown == sum(row[2] for row in good if row[2])
    assert sum(found.counts.values()) == len(found.rows) == len(rows) - len(good)
    of_csv, as_text = refused(tmp_path / "log.csv", tmp_path / "s2")
    assert (of_csv, as_text.counts) == (shown, found.counts)

    def texts(rows: list[dict[str, object]]) -> list[tuple[object, list[str]]]:
        return sorted((row["reason"], [str(value) for value in row["row"].values()])  # type: ignore[attr-defined]
                      for row in rows)

    assert texts(as_text.rows) == texts(found.rows)  # a CSV's values are text


def test_more_bad_rows_than_are_written_are_all_counted(tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.creative_pair.mining.rejected_rows.MAX_ROWS", 3)
    path = write_csv(tmp_path / "log.csv", [*CLICKS, *(("p", f"c{n}", "x", -1) for n in range(9))])
    good, found = refused(path, tmp_path / "s")
    assert good == 5
    assert found.counts == {"negative number": 9}
    assert [row["row"]["creative_id"] for row in found.rows] == ["c0", "c1", "c2"]  # type: ignore[index]


def test_a_line_of_the_wrong_shape_does_not_stop_a_csv(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "log.csv", CLICKS)
    path.write_text(path.read_text("utf-8") + "p1,c1,boot,1,surplus,more\n", "utf-8")
    good, found = refused(path, tmp_path / "s")
    assert good == 5
    assert found.counts == {"unreadable line": 1}
    assert found.rows[0]["row"] | {"error": ""} == {  # type: ignore[operator]
        "file": "log.csv", "line": 7, "error": ""}


def test_a_broken_file_is_said_in_one_line(tmp_path: Path) -> None:
    pq.write_table(pa.table({"product_id": [1], "creative_id": [1], "click": [1]}),
                   tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 no parquet PAR1")
    with pytest.raises(InputError, match="cannot be read"):
        refused(tmp_path, tmp_path / "s")


def test_unknown_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("product_id,creative_id,click,moon_phase\np,c,1,full\n", "utf-8")
    assert open_log([str(path)], path.parent / "work").unknown == ("moon_phase",)


def test_a_log_without_clicks_is_refused_with_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("product_id,creative_id\np,c\n", "utf-8")
    with pytest.raises(InputError, match="missing: click"):
        open_log([str(path)], path.parent / "work")
    with pytest.raises(InputError, match="no log at"):
        open_log([str(tmp_path / "nowhere")], tmp_path)


def test_long_counts_draw_nothing_into_standard_output(tmp_path: Path) -> None:
    base = connect(Limits("500MB", 1, tmp_path / "s"))
    assert base.execute("SELECT current_setting('enable_progress_bar')").fetchone() == (False,)
