"""One coercion a field, in every container; what only measures never stops a row."""

from __future__ import annotations

import base64
import contextlib
import csv
import json
import math
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from creative4u.errors import ImageError
from creative4u.files import pair_fields as fields
from creative4u.files.pairs_file import PairRow, RowError, read_pairs

PAIR: dict[str, Any] = {"pair_id": "p1", "product_title": "Loafers", "image_a": "img/a.jpg",
                        "image_b": "img/b.png"}  # fmt: skip
ROOM = [HealthCheck.function_scoped_fixture]
JPEG = b"\xff\xd8\xff jpeg"


def kept(folder: Path, rows: list[dict[str, Any]], kind: str) -> Path:
    """The rows in a container; CSV gets lists and objects as JSON."""
    path = folder / f"{len(list(folder.iterdir()))}.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(
                {k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in row.items()}
                for row in rows
            )
    elif kind == "parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    else:
        datasets.Dataset.from_list(rows).save_to_disk(path)
    return path


def read(folder: Path, row: dict[str, Any], kind: str) -> PairRow:
    (pair,) = read_pairs(kept(folder, [row], kind))
    assert isinstance(pair, PairRow), pair
    return pair


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "saved"])
@pytest.mark.parametrize(
    ("name", "cell", "value"),
    [
        ("pair_id", 1001, "1001"), ("pair_id", 1001.0, "1001"), ("pair_id", "1001.0", "1001"),
        ("pair_id", "00123", "00123"), ("pair_id", "v1.0.1", "v1.0.1"),
        ("product_id", 88.0, "88"), ("product_title", 501, "501"), ("product_title", 501.0, "501"),
        ("queries", ["loafers", "men"], ("loafers", "men")), ("queries", "loafers", ("loafers",)),
        ("queries", "loafers|men", ("loafers", "men")), ("queries", "a; b", ("a", "b")),
        ("queries", "a, b", ("a", "b")), ("queries", "1,5 l", ("1,5 l",)),
        ("queries", '["a", "b"]', ("a", "b")), ("queries", "['a', 'b']", ("a", "b")),
        ("queries", "[a, b]", ("a", "b")), ("queries", "a\nb", ("a", "b")),
        ("queries", 2024, ("2024",)), ("queries", "nan", ()), ("queries", "[]", ()),
        ("queries", float("nan"), ()),
        ("tags", "dark|blur", ("dark", "blur")),
        ("label", "A", "A"), ("label", " b ", "B"), ("label", "left", "A"),
        ("label", "Image B", "B"), ("label", "A>B", "A"), ("label", "a < b", "B"),
        ("label", "tie", None), ("label", "b.png", "B"),
        ("label", "A.JPG", "A"), ("label", "maybe", None), ("label", 7, None), ("label", 1, None),
        ("label", 0, "A"), ("label", 0.0, "A"), ("label", 2, "B"), ("label", True, None),
        ("ctr_a", 0.25, 0.25), ("ctr_a", "0,02", 0.02), ("ctr_a", "2%", 0.02), ("ctr_a", 7, None),
        ("impressions_a", 1200.0, 1200), ("impressions_a", "1,200", 1200),
        ("impressions_a", 3.5, None), ("impressions_a", "many", None),
        ("split", "Train", "train"), ("split", "val", "validation"),
        ("answers", "none of it", None),
    ],
)  # fmt: skip
def test_a_cell_means_the_same_in_every_container(
    kind: str, name: str, cell: Any, value: Any, tmp_path: Path
) -> None:
    found = getattr(read(tmp_path, PAIR | {name: cell}, kind), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "saved"])
@pytest.mark.parametrize("cell", [["a.jpg", "b.jpg"], "a.jpg|b.jpg", '["a.jpg", "b.jpg"]'])
def test_both_images_in_one_cell(kind: str, cell: Any, tmp_path: Path) -> None:
    row = {"product_title": "Boot", "images": cell}
    pair = read(tmp_path, row, kind)
    assert (pair.image_a.name, pair.image_b.name) == ("a.jpg", "b.jpg")
    assert pair.id_is_made_up


SPELT = st.sampled_from([str, str.upper, str.title, lambda word: f"  {word} "])
SIDES = {"a": "A", "left": "A", "first": "A", "image_a": "A", "creative a": "A", "a>b": "A",
         "b": "B", "right": "B", "second": "B", "image-b": "B", "option b": "B", "a<b": "B",
         "b>a": "B", "tie": None, "draw": None, "a=b": None}  # fmt: skip


@given(word=st.sampled_from(sorted(SIDES)), spell=SPELT)
def test_spellings_of_a_label(word: str, spell: Any) -> None:
    images = {"A": "x.jpg", "B": "y.jpg"}
    assert fields.side_of(spell(word.replace("-", "_")), images, {}) == SIDES[word]


@given(value=st.text(max_size=20) | st.integers() | st.floats() | st.booleans())
def test_any_label_is_a_side_or_none_or_unclear(value: Any) -> None:
    if fields.is_nothing(value):
        return
    with contextlib.suppress(fields.Unclear):  # and nothing else
        assert fields.side_of(value, {"A": "x.jpg", "B": "y.jpg"}, {}) in ("A", "B", None)


@given(share=st.integers(0, 10_000))
def test_rates_in_any_spelling(share: int) -> None:
    value = share / 10_000
    for written in (value, str(value), str(value).replace(".", ","), f"{share / 100} %"):
        assert math.isclose(fields.share_of(written), value, abs_tol=1e-12)


@given(count=st.integers(0, 10**12))
def test_counts_in_any_spelling(count: int) -> None:
    for written in (
        count,
        float(count),
        f"{count:,}",
        f"{count}.0",
        f"{count:,}".replace(",", " "),
    ):
        assert fields.count_of(written) == count


@given(text=st.text(max_size=40))
def test_any_text_gives_a_list_of_texts(text: str) -> None:
    try:
        found = fields.list_of(text)
    except fields.Unclear:  # "[[1]]"
        return
    assert all(isinstance(one, str) and one == one.strip() and one for one in found)


def test_numbers_mean_what_the_whole_column_says(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for numbers, sides in (([1, 0, 1], "BAB"), ([1, 2], "AB"), ([1, 1], None), ([-1, 1], None)):
        rows = [PAIR | {"pair_id": str(n), "label": number} for n, number in enumerate(numbers)]
        found = [row.label for row in read_pairs(kept(tmp_path, rows, "jsonl"))]  # type: ignore[union-attr]
        assert found == (list(sides) if sides else [None] * len(numbers))
    said = [record.getMessage().partition(": ")[2] for record in caplog.records]
    assert said[:2] == ["label: 0 is A, 1 is B", "label: 1 is A, 2 is B"]
    assert said[2] == "label: '1' is no side; it is left out, and the row is judged"


def test_the_names_of_a_class_label_are_read(tmp_path: Path) -> None:
    features = datasets.Features(
        {name: datasets.Value("string") for name in PAIR}
        | {"label": datasets.ClassLabel(names=["right", "left"])}
    )
    rows = [PAIR | {"label": "left"}, PAIR | {"label": "right"}]
    made = datasets.Dataset.from_list(rows, features)
    made.to_parquet(tmp_path / "p.parquet")
    assert [row.label for row in read_pairs(tmp_path / "p.parquet")] == ["A", "B"]  # type: ignore[union-attr]


def test_what_is_left_out_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [PAIR | {"pair_id": str(n), "label": f"odd{n % 9}", "ctr_a": 7} for n in range(60)]
    path = kept(tmp_path, rows, "jsonl")
    for _ in range(2):
        assert all(isinstance(row, PairRow) for row in read_pairs(path))
    said = [record.getMessage() for record in caplog.records]
    assert len([line for line in said if ": label: " in line]) == 6
    assert said[-1].endswith("label: more values are left out")
    assert len([line for line in said if ": ctr_a: " in line]) == 1


def test_images_inside_the_file(tmp_path: Path) -> None:
    data = base64.b64encode(JPEG).decode()
    for cell in (f"data:image/jpeg;base64,{data}", {"bytes": data, "path": None}):
        pair = read(tmp_path, PAIR | {"image_a": cell}, "jsonl")
        assert pair.source("A") == JPEG
        assert pair.source("B") == tmp_path / "img" / "b.png"
    pair = read(tmp_path, PAIR | {"image_a": f"data:image/jpeg;base64,{data}"}, "csv")
    assert pair.source("A") == JPEG
    assert fields.image_of("data:,plain%20text") == (b"plain text", "")
    with pytest.raises(ImageError, match="base64 is damaged"):
        fields.image_of("data:image/png;base64,@@@@")


@pytest.mark.parametrize(
    ("cells", "code", "says"),
    [
        ({"image_a": "https://cdn.example/x//a.jpg?w=1"}, "bad_image",
         "image_a: https://cdn.example/x//a.jpg?w=1: an address on the network"),
        ({"image_b": "s3://bucket/b.jpg"}, "bad_image", "image_b: s3://bucket/b.jpg: an address"),
        ({"image_a": ""}, "bad_row", "image_a: Field required"),
        ({"image_a": {"bytes": None, "path": None}}, "bad_row", "neither bytes nor a path"),
        ({"image_a": None, "images": ["a"]}, "bad_row", "images: two images are needed, got 1"),
        ({"product_title": ["Boot"]}, "bad_row", "a text is needed, got list"),
        ({"queries": {"a": 1}}, "bad_row", "queries: a list of texts is needed, got dict"),
        ({"product_title": "half \ud83d"}, "bad_row", "product_title: half a character"),
        ({"image_a": "\ud83d.jpg"}, "bad_row", "image_a: half a character"),
    ],
)  # fmt: skip
def test_what_a_judge_needs_is_read_or_refused(
    cells: dict[str, Any], code: str, says: str, tmp_path: Path
) -> None:
    (row,) = read_pairs(kept(tmp_path, [PAIR | cells], "jsonl"))
    assert isinstance(row, RowError)
    assert row.code == code
    assert says in row.message
