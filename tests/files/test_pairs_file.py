"""Files of pairs: three formats say the same, and a bad row is a row that says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from creative4u.errors import InputError
from creative4u.files.pairs_file import PairRow, RowError, count_rows, read_pairs

ROWS: list[dict[str, Any]] = [
    {"pair_id": "p1", "product_title": "Red boot", "queries": ["boot", "red"], "image_a": "a.png",
     "image_b": "sub/b.png", "label": "B", "ctr_a": 0.25, "impressions_a": 40, "tags": ["dark"]},
    {"pair_id": "p2", "product_title": "Lamp, large", "queries": [], "image_a": "/c.png",
     "image_b": "d.png"},
]  # fmt: skip


def jsonl(path: Path, lines: list[str | bytes]) -> Path:
    path.write_bytes(b"\n".join(x.encode() if isinstance(x, str) else x for x in lines) + b"\n")
    return path


def test_three_formats_say_the_same(tmp_path: Path) -> None:
    jsonl(tmp_path / "p.jsonl", [json.dumps(row) for row in ROWS])
    (tmp_path / "p.csv").write_text(
        "pair_id,product_title,queries,image_a,image_b,label,ctr_a,impressions_a,tags\n"
        'p1,Red boot,boot | red,a.png,sub/b.png,B,0.25,40,"[""dark""]"\n'
        'p2,"Lamp, large",,/c.png,d.png,,,,\n',
        encoding="utf-8-sig",
    )
    parquet.write_table(pa.Table.from_pylist(ROWS), tmp_path / "p.parquet")
    expected = None
    for name in ("p.jsonl", "p.csv", "p.parquet"):
        rows = list(read_pairs(tmp_path / name))
        assert all(isinstance(row, PairRow) for row in rows)
        expected = expected or rows
        assert rows == expected
        assert count_rows(tmp_path / name) == 2
    first, second = expected
    assert (first.queries, first.tags, first.ctr_a) == (("boot", "red"), ("dark",), 0.25)
    assert first.source("B") == tmp_path / "sub" / "b.png"
    assert second.source("A") == Path("/c.png")


def test_parquet_with_bytes_plain_or_as_an_image_feature(tmp_path: Path) -> None:
    row = {"pair_id": "p", "product_title": "Boot", "image_a": b"one",
           "image_b": {"bytes": b"two", "path": "two.png"}}  # fmt: skip
    parquet.write_table(pa.Table.from_pylist([row]), tmp_path / "p.parquet")
    (pair,) = read_pairs(tmp_path / "p.parquet")
    assert isinstance(pair, PairRow)
    assert (pair.source("A"), pair.source("B")) == (b"one", b"two")
    assert "one" not in pair.model_dump_json()


def test_bad_rows_are_error_rows_and_the_rest_goes_on(tmp_path: Path) -> None:
    good = json.dumps(ROWS[0])
    lines: list[str | bytes] = [
        good, "{not json", "[1, 2]", b'{"pair_id": "\xff"}', "",
        json.dumps(ROWS[0] | {"queries": {"boot": 1}}),
        json.dumps(ROWS[1] | {"product_title": "  "}), json.dumps({"pair_id": "p9"}), "[" * 99_999,
        json.dumps(ROWS[1] | {"image_a": None}), json.dumps(ROWS[1] | {"image_a": 7}), good,
    ]  # fmt: skip
    rows = list(read_pairs(jsonl(tmp_path / "p.jsonl", lines)))
    says = [row.message if isinstance(row, RowError) else "ok" for row in rows]
    wanted = [
        "ok", "not JSON: Expecting property name", "got a JSON list; a row is an object",
        "not UTF-8",
        "queries: a list of texts is needed, got dict", "product_title: the product title is empty",
        "product_title: Field required", "not JSON", "image_a: Field required",
        "image_a: a path is needed, got int '7'", "ok",
    ]  # fmt: skip
    assert len(rows) == len(wanted) == count_rows(tmp_path / "p.jsonl")
    assert all(said.startswith(want) for said, want in zip(says, wanted, strict=True)), says
    assert {row.code for row in rows if isinstance(row, RowError)} == {"bad_row"}
    assert [row.pair_id for row in rows][:2] == ["p1", "row-2"]


def test_csv_rows_that_do_not_fit(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(
        "product_title,image_a,image_b,colour\nBoot,a.png,b.png,red\nBoot,a.png,b.png,red,more\n"
    )
    good, bad = read_pairs(tmp_path / "p.csv")
    assert good.pair_id == "row-1"  # no id given: the row's number, the same every time
    assert isinstance(bad, RowError)
    assert "more cells than the 4 columns" in bad.message


def test_unknown_columns_are_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = jsonl(tmp_path / "p.jsonl", [json.dumps(row | {"querys": 1}) for row in ROWS])
    assert all(isinstance(row, PairRow) for row in read_pairs(path))
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: columns not used: querys"
    ]


def test_files_that_are_no_pairs(tmp_path: Path) -> None:
    (tmp_path / "p.parquet").write_bytes(b"no parquet")
    (tmp_path / "p.xlsx").write_bytes(b"")
    for name, says in (
        ("none.jsonl", "no such file"),
        ("p.xlsx", "got '.xlsx'; rows are read from .jsonl, .ndjson, .json, .csv, .tsv, .parquet"),
        ("p.parquet", "not a Parquet file"),
    ):
        with pytest.raises(InputError, match=says):
            list(read_pairs(tmp_path / name))
        with pytest.raises(InputError, match=says):
            count_rows(tmp_path / name)
