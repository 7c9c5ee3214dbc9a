"""Tables as people keep them: dialects, headers, shapes; one fault of a file is one line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from creative4u.errors import InputError
from creative4u.files.json_rows import json_rows, strict_rows
from creative4u.files.pairs_file import PairRow, check_pairs, count_rows, read_pairs
from creative4u.files.tables import column_name, open_table

PAIR = {"pair_id": "p1", "product_title": "Loafers, brown", "queries": "loafers|men shoes",
        "image_a": "a.jpg", "image_b": "b.png", "label": "A"}  # fmt: skip
ROOM = [HealthCheck.function_scoped_fixture]


def only(path: Path) -> PairRow:
    (row,) = read_pairs(path)
    assert isinstance(row, PairRow), row
    return row


def is_the_pair(row: PairRow) -> bool:
    return (row.pair_id, row.product_title, row.queries, row.image_b.name, row.label) == (
        "p1", "Loafers, brown", ("loafers", "men shoes"), "b.png", "A",
    )  # fmt: skip


def sheet(rows: list[dict[str, Any]], names: list[str], delimiter: str, end: str) -> str:
    """A spreadsheet's text with `names` as its header."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    writer.writerow(names)
    for row in rows:
        writer.writerow(row.values())
    return out.getvalue()


@given(
    delimiter=st.sampled_from([",", ";", "\t"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gbk", "cp1252"]),
    suffix=st.sampled_from([".csv", ".CSV", ".tsv"]),
    spell=st.sampled_from([str, str.upper, str.title, lambda name: f" {name} ",
                           lambda name: name.replace("_", " "),
                           lambda name: name.replace("_", "-").capitalize()]),
    mark=st.booleans(),
)  # fmt: skip
@settings(max_examples=80, deadline=None, suppress_health_check=ROOM)
def test_any_dialect_says_the_same(
    delimiter: str, end: str, codec: str, suffix: str, spell: Any, mark: bool, tmp_path: Path
) -> None:
    text = sheet([PAIR], [spell(name) for name in PAIR], delimiter, end)
    if mark:
        text = f"sep={delimiter}{end}{text}"
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}{suffix}"
    path.write_bytes(text.encode(codec))
    assert is_the_pair(only(path))
    assert count_rows(path) == 1


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(PAIR), json.dumps([PAIR]), json.dumps([PAIR], indent=1),
        json.dumps(PAIR, indent=2), "\n\n" + json.dumps(PAIR) + "\n\n", json.dumps(PAIR) + "\r\n",
        json.dumps({name.upper(): value for name, value in PAIR.items()}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".ndjson", ".JSONL"])
def test_any_shape_of_json_says_the_same(text: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"pairs{suffix}"
    path.write_text(text, newline="")
    assert is_the_pair(only(path))
    assert count_rows(path) == 1


def test_objects_over_many_lines_follow_each_other(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps(PAIR | {"pair_id": n}, indent=1) for n in (1, 2, 3)))
    assert [row.pair_id for row in read_pairs(path)] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("p.csv", "", "an empty file"),
        ("p.csv", "p1,Loafers,a.jpg,b.jpg\n", "no column product_title and image_a and image_b"),
        ("p.csv", "pair_id,product_title,image_a,picture\n1,x,a,b\n", "no column image_b; its"),
        ("p.csv", "image_a,IMAGE A,product_title,image_b\n", "the header has image_a twice"),
        ("p.jsonl", '{"image_a": "a", "image_b": "b"}\n', "no column product_title"),
        ("p.jsonl", '[{"image_a": "a"', "starts as a JSON array and is damaged"),
        ("p.jsonl", "product_title,image_a\n", "holds no JSON rows; line 1: not JSON"),
        ("p.json", '{"product_title": {"0": "x"}, "image_a": {"0": "a"}}', "no column image_b"),
        ("p.xlsx", "PK", "got '.xlsx'"),
        ("p.parquet", "PAR1", "not a Parquet file"),
    ],
)
def test_a_fault_of_the_whole_file_is_one_line(
    name: str, text: str, says: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        check_pairs(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_rows_of_empty_cells_and_empty_columns_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("product_title;image_a;image_b;;\nBoot;a;b;;\n;;;;\n\n;;;;\nBag;c;d;;\n")
    assert [row.pair_id for row in read_pairs(path)] == ["row-1", "row-2"]
    assert count_rows(path) == 2


def test_a_title_with_a_line_separator_stays_one_row(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    row = PAIR | {"product_title": "Boot\u2028red\u0085 brown"}
    path.write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
    assert only(path).product_title == row["product_title"]
    assert [one["pair_id"] for one in strict_rows(path)] == ["p1"]


def test_a_data_set_that_was_saved_to_disk(tmp_path: Path) -> None:
    features = datasets.Features({
        name: datasets.ClassLabel(names=["B", "A"]) if name == "label" else datasets.Value("string")
        for name in PAIR
    })  # fmt: skip
    made = datasets.Dataset.from_list([PAIR], features)
    made.save_to_disk(tmp_path / "saved")
    made.to_parquet(tmp_path / "p.parquet")
    made.to_json(tmp_path / "p.jsonl")
    assert is_the_pair(only(tmp_path / "saved"))
    assert is_the_pair(only(tmp_path / "p.parquet"))
    assert count_rows(tmp_path / "saved") == 1
    assert only(tmp_path / "saved").image_a == tmp_path / "a.jpg"


def test_a_strict_reader_names_the_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"file_name": "a"}\n[]\n')
    assert len(list(json_rows(path))) == 2
    with pytest.raises(InputError, match=r"m.jsonl, row 2: got a JSON list; a row is an object"):
        list(strict_rows(path))


def test_a_column_has_one_name_however_it_is_written() -> None:
    written = ("Image A", " image-a", "IMAGE_A\n", "\ufeffimage_a", "image  a")
    assert {column_name(name) for name in written} == {"image_a"}


def test_tables_of_other_columns_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "m.tsv").write_text("File Name\tTitle\na.jpg\tBoot\n")
    assert list(open_table(tmp_path / "m.tsv").rows()) == [{"file_name": "a.jpg", "title": "Boot"}]
