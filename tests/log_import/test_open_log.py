"""Tables of every form give the same rows; what a form leaves open is refused in one line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from creative4u.errors import InputError
from creative4u.log_import.columns import ALIASES, LogFormat, find_columns, key
from creative4u.log_import.image_files import ImageFolder
from creative4u.log_import.imported import rejected_rows
from creative4u.log_import.log import Log
from creative4u.log_import.open_log import open_log

HEADER = ["Product ID", "Image", "Impressions", "Clicks"]
ROWS = [["00123", "hat.jpg", "1200", "30"], ["SKU-9", "Größe 42.jpg", "900", "9"]]
DUE = [("00123", "hat.jpg", 1200, 30), ("SKU-9", "Größe 42.jpg", 900, 9)]


def good(log: Log) -> list[tuple[object, ...]]:
    names = f"{log.text('product_id')}, {log.text('creative_id')}"
    numbers = f"{log.number('impressions')}, {log.number('clicks')}"
    query = f"SELECT {names}, {numbers} FROM {log.source} WHERE {log.good_row()} ORDER BY 1"
    return duckdb.connect().execute(query).fetchall()


def reasons(log: Log) -> list[str]:
    rows = duckdb.connect().execute(
        f"SELECT {log.reason()} AS reason FROM {log.source} "
        f"WHERE ({log.good_row()}) IS NOT TRUE ORDER BY reason"
    )
    return [row[0] for row in rows.fetchall()]


def text(rows: list[list[str]], separator: str = ",", end: str = "\n") -> str:
    return "".join(separator.join(row) + end for row in rows)


@settings(deadline=None, max_examples=40,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(
    separator=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]),
    ending=st.sampled_from([".csv", ".CSV", ".tsv", ".txt", ".export"]),
    packed=st.booleans(),
    titles=st.lists(st.sampled_from(["Report", '"1 May, 2026 - 7 May, 2026"', "", "Account: 7"]),
                    max_size=3),
    spell=st.sampled_from([str, str.lower, str.upper, lambda name: name.replace(" ", "_"),
                           lambda name: f" {name} ", lambda name: name.replace(" ", "")]),
)  # fmt: skip
def test_every_dialect_gives_the_same_rows(
    tmp_path: Path, separator: str, end: str, codec: str, ending: str, packed: bool,
    titles: list[str], spell: Callable[[str], str],
) -> None:  # fmt: skip
    header = [spell(name) for name in HEADER]
    data = (end.join([*titles, ""]) + text([header, *ROWS], separator, end)).encode(codec)
    path = tmp_path / f"log {len(list(tmp_path.iterdir()))} [1]{ending}"
    if packed:
        path = path.with_name(path.name + ".gz")
        data = gzip.compress(data)
    path.write_bytes(data)
    log = open_log([str(path)], tmp_path / "work")
    assert good(log) == DUE
    assert reasons(log) == []


def test_json_and_parquet_give_the_same_rows(tmp_path: Path) -> None:
    names = ["product_id", "image", "impressions", "clicks"]
    rows = [dict(zip(names, [*row[:2], int(row[2]), int(row[3])], strict=True)) for row in ROWS]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "log.parquet")
    for name in ("log.jsonl", "log.parquet"):
        assert good(open_log([str(tmp_path / name)], tmp_path)) == DUE


def test_ids_are_text_however_late_the_first_word_comes(tmp_path: Path) -> None:
    rows = [[f"{n:06d}", "a.jpg", "10", "1"] for n in range(30_000)]
    late = ["SKU-9", "a.jpg", "5", "1"]
    (tmp_path / "log.csv").write_text(text([HEADER, *rows, late]), "utf-8")
    log = open_log([str(tmp_path / "log.csv")], tmp_path)
    found = good(log)
    assert len(found) == 30_001
    assert found[0][0] == "000000"
    assert found[-1] == ("SKU-9", "a.jpg", 5, 1)
    table = pa.table({"item_id": [1001.0, None], "image": ["a", "b"], "click": [1, 0]})
    pq.write_table(table, tmp_path / "pandas.parquet")  # a whole id beside a missing one
    log = open_log([str(tmp_path / "pandas.parquet")], tmp_path)
    row = duckdb.connect().execute(f"SELECT {log.text('product_id')} FROM {log.source}").fetchone()
    assert row == ("1001",)


def test_each_row_that_is_left_out_has_a_reason(tmp_path: Path) -> None:
    rows = [*ROWS, ["Total: Ads", " --", "2,100", "39"], ["Grand total", "", "2100", "39"],
            ["p", "--", "5", "1"], ["--", "x.jpg", "5", "1"], ["p", "x.jpg", "--", "1"],
            ["p", "x.jpg", "5", "n/a"], ["p", "x.jpg", "5", "1.5"], ["p", "x.jpg", "5", "6"],
            ["p", "x.jpg", "5", "-1"], ["Total Gym", "y.jpg", "7", "1"]]  # fmt: skip
    (tmp_path / "log.csv").write_text(text([HEADER, *rows], ";"), "utf-8")
    log = open_log([str(tmp_path / "log.csv")], tmp_path)
    assert good(log) == [*DUE, ("Total Gym", "y.jpg", 7, 1)]
    assert reasons(log) == ["clicks above impressions", "negative number", "no clicks",
                            "no creative", "no impressions", "no product", "no whole number",
                            "totals row", "totals row"]  # fmt: skip


def test_a_row_without_names_that_adds_up_is_a_totals_row(tmp_path: Path) -> None:
    rows = [["", "", "2100", "39"], *ROWS, ["", "", "2000", "39"]]
    (tmp_path / "log.csv").write_text(text([HEADER, *rows[:3]]), "utf-8")
    assert reasons(open_log([str(tmp_path / "log.csv")], tmp_path)) == ["totals row"]
    (tmp_path / "log.csv").write_text(text([HEADER, *rows[1:]]), "utf-8")
    assert reasons(open_log([str(tmp_path / "log.csv")], tmp_path)) == ["no product"]


def ctr_log(tmp_path: Path, values: list[str], header: str = "ctr", shown: int = 120_000) -> Log:
    rows = [["p", f"{n}.jpg", str(shown), value] for n, value in enumerate(values)]
    (tmp_path / "log.csv").write_text(text([[*HEADER[:3], header], *rows], ";"), "utf-8")
    return open_log([str(tmp_path / "log.csv")], tmp_path)


@pytest.mark.parametrize(("values", "header", "shown", "clicks"), [
    (["1.00%", "2.88 %"], "ctr", 120_000, [1200, 3456]),
    (["1.00", "2.88"], "CTR", 120_000, [1200, 3456]),  # 2.88 can be no share: per cent
    (["0.50", "0.75"], "CTR (%)", 120_000, [600, 900]),  # its name says so
    (["0.02", "0.08"], "ctr", 2000, [40, 160]),  # 0.02 % of 2000 is no whole click
    (["0.0100", "0.0288"], "ctr", 120_000, [1200, 3456]),
    (["1,00", "2,88"], "ctr", 120_000, [1200, 3456]),
    (["0.50", "0.75"], "ctr", 120_000, None),  # 60,000 clicks or 600: nobody can tell
])  # fmt: skip
def test_the_unit_of_a_ctr(
    tmp_path: Path, values: list[str], header: str, shown: int, clicks: list[int] | None
) -> None:
    log = ctr_log(tmp_path, values, header, shown)
    if clicks is None:
        assert reasons(log) == ["unit of the CTR cannot be told"] * 2
    else:
        assert sorted(row[3] for row in good(log)) == clicks  # type: ignore[type-var]
        assert reasons(log) == []


def test_files_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text(text([HEADER, *ROWS]), "utf-8")
    (tmp_path / "two.csv").write_text(text([HEADER[::-1], *ROWS]), "utf-8")
    with pytest.raises(InputError, match=r"two.csv has other columns.*one by one"):
        open_log([str(tmp_path)], tmp_path)
    (tmp_path / "two.csv").write_text(text([HEADER, *ROWS]), "utf-8")
    assert len(good(open_log([str(tmp_path)], tmp_path))) == 4


@pytest.mark.parametrize(("data", "said"), [
    (b"", "an empty file"),
    ("Größe".encode("cp1252"), "neither UTF-8 nor UTF-16"),
    (text([["a", "b"], ["1", "2"]]).encode(), "has columns a, b; missing: product_id, creative_id"),
    (text([["Product ID", "Image", "Clicks", "clicks", "Impressions"]]).encode(),
     "2 columns named clicks"),
    (text([["Ad", "Image", "Ad group", "Impr.", "Clicks"]]).encode(),
     "it looks like an export of Google Ads: --from google-ads"),
])  # fmt: skip
def test_what_cannot_be_read_is_one_line(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "log.csv").write_bytes(data)
    with pytest.raises(InputError, match=said):
        open_log([str(tmp_path / "log.csv")], tmp_path)


@settings(deadline=None)
@given(
    name=st.sampled_from([one for names in ALIASES.values() for one in names]),
    spell=st.sampled_from([str.upper, str.title, lambda one: one.replace("_", " "),
                           lambda one: one.replace("_", "-"), lambda one: f"{one}."]),
)  # fmt: skip
def test_an_alias_is_found_in_every_spelling(name: str, spell: Callable[[str], str]) -> None:
    (ours,) = {ours for ours, names in ALIASES.items() if name in names}
    there = [spell(name), "something else"]
    assert find_columns(there, LogFormat())[ours] == there[0]
    assert find_columns([*there, "theirs"], LogFormat(columns={ours: "theirs"}))[ours] == "theirs"


def test_no_alias_stands_for_two_things() -> None:
    known = [key(name) for names in ALIASES.values() for name in names]
    assert len(known) == len(set(known))


def test_what_is_said_of_a_log_is_checked() -> None:
    with pytest.raises(InputError, match="--from bing: known are google-ads"):
        LogFormat("bing")
    with pytest.raises(InputError, match="--column clickz: known are image"):
        LogFormat(columns={"clickz": "x"})
    with pytest.raises(InputError, match="--ctr-unit permille: allowed are percent and fraction"):
        LogFormat(ctr_unit="permille")
    with pytest.raises(InputError, match="--column click=clk: the log has day"):
        find_columns(["day"], LogFormat(columns={"click": "clk"}))


def test_images_are_found_by_what_logs_call_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("00123.jpg", "Sale 50%.PNG", "sub/hat.jpg", "two.jpg", "two.png", "note.txt"):
        (tmp_path / name).touch()
    folder = ImageFolder(tmp_path)
    for called, file in (("00123", "00123.jpg"), ("sale 50%.png", "Sale 50%.PNG"),
                         ("sub\\hat.jpg", "sub/hat.jpg"), ("hat", "sub/hat.jpg"),
                         ("https://x.example/a/Sale%2050%25.PNG?w=1", "Sale 50%.PNG"),
                         ("two.png", "two.png")):  # fmt: skip
        assert folder.find(called) == tmp_path / file
    for called in ("123", "two", "note.txt", "", "gone.jpg"):
        assert folder.find(called) is None
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "two.png", "creative_id": "two"}\n')
    assert ImageFolder(tmp_path).find("two") == tmp_path / "two.png"
    with pytest.raises(InputError, match="no image folder"):
        ImageFolder(tmp_path / "gone")


def test_a_quote_that_never_ends_loses_no_row_in_silence(tmp_path: Path) -> None:
    cut = ['"hat', "a.jpg", "5", "1"]
    (tmp_path / "log.csv").write_text(text([HEADER, *ROWS, cut, ROWS[0], ["hat"]]), "utf-8")
    log = open_log([str(tmp_path / "log.csv")], tmp_path)
    with duckdb.connect() as db:
        (used,) = db.execute(f"SELECT count(*) FROM {log.source} WHERE {log.good_row()}").fetchone()  # type: ignore[misc]
        rejects = rejected_rows(db, log, log.good_row(), log.reason())
    assert used == 2
    assert rejects.counts == {"unreadable line": 1}


def test_a_name_that_is_no_file_is_one_line(tmp_path: Path) -> None:
    for name in ("x" * 300, "gone.csv", "a\0b"):
        with pytest.raises(InputError, match="no log at"):
            open_log([name], tmp_path)
        with pytest.raises(InputError, match="no image folder"):
            ImageFolder(Path(name))
