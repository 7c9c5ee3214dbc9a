"""Co-augmentation ahead of training, its writers and filter; and the public sets' layouts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from creative4u.errors import BackendError, InputError
from creative4u.moon.augment.build import augment, random_background, with_views
from creative4u.moon.augment.title_writers import (
    ServerWriter,
    first_line,
    title_prompt,
    title_writer,
)
from creative4u.moon.augment.views import is_consistent, rule_writer
from creative4u.moon.catalogue.items import Item
from creative4u.moon.catalogue.product1m import read_product1m
from creative4u.moon.catalogue.readers import read_source
from creative4u.moon.encoder.content import Content


class Redness:
    """Images by whether any of it is plainly red; texts all alike."""

    def encode(self, contents: Sequence[Content]) -> np.ndarray:
        rows = []
        for one in contents:
            if one.image is None:
                rows.append([1.0, 0.0])
                continue
            pixels = np.asarray(one.open_image().convert("RGB"), int)
            red = (pixels[..., 0] > 200) & (pixels[..., 1] < 60)
            rows.append([1.0, 0.0] if red.mean() > 0.02 else [0.0, 1.0])
        return np.array(rows, np.float32)


def middle(images: Sequence[Image.Image]) -> np.ndarray:
    """A saliency map whose middle is the product; of images wider than high it marks a corner."""
    maps = np.zeros((len(images), 20, 20), np.float32)
    for row, image in enumerate(images):
        if image.width > image.height:
            maps[row, :4, :4] = 1
        else:
            maps[row, 5:15, 5:15] = 1
    return maps


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    made = []
    for name, size, split in (("a", (80, 80), "train"), ("b", (120, 80), "train"),
                              ("c", (80, 80), "test")):  # fmt: skip
        image = Image.new("RGB", size, "white")
        image.paste((250, 10, 10), (size[0] // 4, 20, size[0] * 3 // 4, 60))
        image.save(tmp_path / f"{name}.png")
        made.append(Item(name, f"{name} boot", "shoes", (tmp_path / f"{name}.png",),
                         ("warm",), "boot", "red", "Avelo", split))  # fmt: skip
    return made


def test_views_of_training_items_that_the_encoder_finds_consistent(
    items: list[Item], tmp_path: Path
) -> None:
    counts = augment(items, Redness(), rule_writer, tmp_path / "v", views=2, saliency_of=middle)
    # b's mask shows a white corner, so its views have nothing red and are dropped
    assert (counts.made, counts.kept) == (4, 2)
    rows = [json.loads(line) for line in (tmp_path / "v" / "metadata.jsonl").open()]
    assert {row["item_id"] for row in rows} == {"a"}
    assert all(Image.open(tmp_path / "v" / row["file_name"]).size == (384, 384) for row in rows)
    told, shown = with_views(items, tmp_path / "v", 1)
    assert shown == 3
    assert [len(item.images) for item in told] == [3, 1, 1]
    again = augment(items, Redness(), rule_writer, tmp_path / "w", views=2, saliency_of=middle)
    assert again == counts
    first, second = ((tmp_path / n / "images").iterdir() for n in "vw")
    assert sorted(p.read_bytes() for p in first) == sorted(p.read_bytes() for p in second)
    with pytest.raises(InputError, match="no training item"):
        augment(items[2:], Redness(), rule_writer, tmp_path / "x", saliency_of=middle)
    with pytest.raises(InputError, match="no views"):
        with_views(items, tmp_path / "none", 1)


def test_a_background_is_drawn_by_its_random_numbers() -> None:
    one, other = (np.asarray(random_background(np.random.default_rng(3), 64)) for _ in range(2))
    assert one.shape == (64, 64, 3)
    assert (one == other).all()
    assert (
        is_consistent(np.eye(2, dtype=np.float32), np.ones((2, 2), np.float32) / 2, 0.6).sum() == 0
    )


class Handler(BaseHTTPRequestHandler):
    said = '"Warm red boot by Avelo"\nsecond line'

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert "a boot" in asked["messages"][0]["content"]
        body = json.dumps({"choices": [{"message": {"content": self.said}}]}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing to say."""


def test_a_server_writes_titles_and_an_empty_one_is_an_error(items: list[Item]) -> None:
    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        pen = title_writer(f"http://127.0.0.1:{server.server_port}/v1/", "tiny")
        assert isinstance(pen, ServerWriter)
        assert pen(items[0], np.random.default_rng(0)) == "Warm red boot by Avelo"
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(BackendError, match="no title"):
        pen(items[0], np.random.default_rng(0))
    with pytest.raises(BackendError, match="empty"):
        first_line(' \n "" ', "it")
    assert "shoes, red, warm" in title_prompt(items[0])
    with pytest.raises(InputError, match="allowed are rules"):
        title_writer("nobody")


def test_product1m_by_its_published_lines(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("11", "12"):
        Image.new("RGB", (40, 40)).save(tmp_path / "images" / f"{name}.jpg")
    file = tmp_path / "product1m_dev_ossurl_v2.txt"
    file.write_text(
        "11#####Gold set#####http://a/1.jpg#####http://b/11.jpg#####cream#;#water#;#cream\n"
        "12#####Eye cream#####http://a/2.jpg#####http://b/12.jpg\n"
        "13#####Gone#####http://a/3.jpg#####http://b/13.jpg#####x\n",
        "utf-8",
    )
    found = read_source(file)
    assert [(item.item_id, item.title, item.attributes) for item in found] == [
        ("11", "Gold set", ("cream", "water")), ("12", "Eye cream", ()),
    ]  # fmt: skip
    file.write_text("only one field\n", "utf-8")
    with pytest.raises(InputError, match="1 fields"):
        list(read_product1m(file, tmp_path / "images"))


def test_a_table_with_columns_of_any_names(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40)).save(tmp_path / "x.jpg")
    rows = [
        {"sku": "1", "name": "boot", "pic": "x.jpg", "cate": "shoes", "props": "red, warm"},
        {"sku": "2", "name": "", "pic": "gone.jpg", "cate": "", "props": ""},
    ]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    columns = "item_id=sku,title=name,image=pic,category=cate,attributes=props"
    (item,) = read_source(tmp_path / "t.jsonl", columns=columns)
    assert (item.title, item.category, item.attributes) == ("boot", "shoes", ("red", "warm"))
    assert item.images == (tmp_path / "x.jpg",)
    with pytest.raises(InputError, match="lacks nothing"):
        read_source(tmp_path / "t.jsonl", columns="item_id=sku,title=nothing,image=pic")
    with pytest.raises(InputError, match="FIELD=NAME"):
        read_source(tmp_path / "t.jsonl", columns="colour=x")
