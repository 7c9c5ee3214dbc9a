"""Items out of metadata files, shops and ABO's layout."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from creative4u.errors import InputError
from creative4u.moon.catalogue.abo import read_abo
from creative4u.moon.catalogue.behaviour import read_behaviour
from creative4u.moon.catalogue.items import read_items, read_world


def test_metadata_rows(tmp_path: Path) -> None:
    rows = [
        {"file_name": "a.jpg", "title": "Mug", "category": "kitchen", "kind": "product photo"},
        {"file_name": "b.jpg", "kind": "ad creative", "price": 3},
    ]
    file = tmp_path / "metadata.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)) + "\n\n", "utf-8")
    mug, other = read_items(file)
    assert (mug.item_id, mug.title, mug.category) == ("a.jpg", "Mug", "kitchen")
    assert (mug.images, other.title) == ((tmp_path / "a.jpg",), "")
    assert [item.item_id for item in read_items(file, "ad creative")] == ["b.jpg"]
    for text in ("", '{"title": "x"}', "{"):
        file.write_text(text, "utf-8")
        with pytest.raises(InputError, match=r"metadata\.jsonl"):
            read_items(file)
    with pytest.raises(InputError, match="no file"):
        read_items(tmp_path / "none.jsonl")


def shop(folder: Path) -> None:
    (folder / "images").mkdir()
    (folder / "log").mkdir()
    products = [
        {"product": n, "product_id": f"p{n}", "name": name, "category": "c", "attributes": ["x"],
         "colour": "", "brand": "B", "titles": json.dumps({"good": f"B {name}"})}
        for n, name in enumerate(("boot", "lamp", "sofa"))
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(products), folder / "products.parquet")
    images = [
        {"file_name": f"p{n}/{k}.jpg", "product_id": f"p{n}", "variant_of": "x" if k == 2 else ""}
        for n in range(3)
        for k in range(3)
    ]
    (folder / "images" / "metadata.jsonl").write_text("\n".join(map(json.dumps, images)), "utf-8")
    queries = [{"query_id": 0, "text": "boots"}, {"query_id": 1, "text": "lamps"}]
    pq.write_table(pa.Table.from_pylist(queries), folder / "queries.parquet")
    # query 0: boot shown twice and bought, lamp shown 20 times and never clicked, sofa 19 times
    shown = [(0, 0, 1, 1), (0, 0, 0, 0)] + [(0, 1, 0, 0)] * 20 + [(0, 2, 0, 0)] * 19
    columns = np.array(shown).T
    names = ("query_id", "product_id", "click", "purchase")
    table = pa.table(dict(zip(names, columns, strict=True)))
    pq.write_table(table, folder / "log" / "day-000.parquet")


def test_a_shop_and_what_was_bought(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no shop"):
        read_world(tmp_path)
    shop(tmp_path)
    items = read_world(tmp_path)
    assert [(item.item_id, item.title) for item in items] == [
        ("p0", "B boot"), ("p1", "B lamp"), ("p2", "B sofa"),
    ]  # fmt: skip
    assert [image.name for image in items[1].images] == ["0.jpg", "1.jpg"]  # no variants
    found = read_behaviour(tmp_path, len(items))
    assert found.queries == ("boots", "lamps")
    assert found.bought.tolist() == [[0, 0]]
    assert found.purchases.tolist() == [1]
    assert found.not_clicked == {0: (1,)}  # the sofa was shown too seldom to tell
    assert found.exposure.tolist() == [2, 20, 19]


def test_abo(tmp_path: Path) -> None:
    listings, images = tmp_path / "listings/metadata", tmp_path / "images/metadata"
    listings.mkdir(parents=True)
    images.mkdir(parents=True)
    rows = [
        {
            "item_id": "B1",
            "item_name": [
                {"language_tag": "de_DE", "value": "Stuhl"},
                {"language_tag": "en_US", "value": "Chair"},
            ],
            "product_type": [{"value": "CHAIR"}],
            "color": [{"language_tag": "en_US", "value": "Black"}],
            "main_image_id": "i1",
            "other_image_id": ["i2", "gone"],
        },
        {"item_id": "B2", "item_name": [{"language_tag": "de_DE", "value": "Tisch"}]},
    ]
    with gzip.open(listings / "listings_0.json.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(map(json.dumps, rows)))
    with gzip.open(images / "images.csv.gz", "wt", encoding="utf-8") as file:
        file.write("image_id,height,width,path\ni1,9,9,aa/i1.jpg\ni2,9,9,bb/i2.jpg\n")
    (item,) = read_abo(tmp_path)
    assert (item.item_id, item.title, item.category) == ("B1", "Chair", "chair")
    assert item.attributes == ("Black",)
    small = tmp_path / "images/small"
    assert item.images == (small / "aa/i1.jpg", small / "bb/i2.jpg")
    with pytest.raises(InputError, match="no ABO"):
        next(read_abo(tmp_path / "listings"))
