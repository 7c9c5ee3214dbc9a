"""`data import` and `data pairs` from the files of people: platforms' exports, weeks, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from creative4u.cli import app

GOOGLE = """Ad report
"May 1, 2026 - May 7, 2026"
Ad state,Image,Ad ID,Ad group,Campaign,Impr.,Clicks,CTR,Currency code
Enabled,red.png,90000000001,Hats,Summer,"12,500","1,250",10.00%,EUR
Enabled,blue.png,90000000002,Hats,Summer,"11,000",330,3.00%,EUR
Paused,gone.png,90000000003,Hats,Summer,10,1,10.00%,EUR
Total: Ads, --, --, --, --,"23,510","1,581",6.72%,EUR
Total: Account, --, --, --, --,"23,510","1,581",6.72%,EUR
"""
META = """Reporting starts;Reporting ends;Ad set name;Ad name;Image name;Impressions;Clicks (all);\
Link clicks;CTR (all)
2026-05-01;2026-05-07;;;;23500;1900;1580;8,085
2026-05-01;2026-05-07;Hats;Red hat;red.png;12500;1500;1250;12,0
2026-05-01;2026-05-07;Hats;Blue hat;blue.png;11000;400;330;3,636
"""
TIKTOK = """Campaign name\tAd group name\tAd name\tBy Day\tImpressions\tClicks (all)\t\
Clicks (destination)\tCTR (destination)
Summer\tHats\tred\t2026-05-01\t12500\t1500\t1250\t10.00%
Summer\tHats\tblue\t2026-05-02\t11000\t400\t330\t3.00%
Total of 2 results\t-\t-\t-\t23500\t1900\t1580\t6.72%
"""
AMAZON = """Start Date,End Date,Portfolio name,Campaign Name,Ad Group Name,Advertised SKU,\
Advertised ASIN,Impressions,Clicks,Click-Thru Rate (CTR),Spend
"May 01, 2026","May 07, 2026",No Portfolio,Summer,Hats,red,B0HATS,12500,1250,10.0000%,$9.00
"May 01, 2026","May 07, 2026",No Portfolio,Summer,Hats,blue,B0HATS,11000,330,3.0000%,$8.00
"""
EXPORTS = {
    "google-ads": ("ads.csv", GOOGLE, "utf-8", {"totals row": 2, "image not in the folder": 1},
                   None),
    "meta-ads": ("ads.CSV", META, "utf-8-sig", {"totals row": 1}, ("2026-05-01", "2026-05-07")),
    "tiktok-ads": ("ads.tsv", TIKTOK, "utf-16", {"totals row": 1}, ("2026-05-01", "2026-05-02")),
    "amazon-ads": ("ads.csv", AMAZON, "utf-8", {}, ("2026-05-01", "2026-05-07")),
}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, name in enumerate(("red.png", "blue.png", "green.png")):
        grid = np.random.default_rng(number).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(grid).resize((64, 64)).save(folder / name)
    return folder


def run(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["data", *map(str, words)])
    return done.exit_code, done.stdout, done.stderr


def pairs_of(folder: Path, *words: object) -> list[dict[str, object]]:
    code, _, said = run("pairs", *words, "--out", folder)
    assert code == 0, said
    return [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("platform", EXPORTS)
def test_a_platforms_export_becomes_a_pair(tmp_path: Path, images: Path, platform: str) -> None:
    name, text, codec, rejects, days = EXPORTS[platform]
    source, out = tmp_path / name, tmp_path / "imported"
    source.write_bytes(text.encode(codec))
    code, told, said = run("import", "--from", platform, "--source", source, "--images", images,
                           "--out", out, "--json")  # fmt: skip
    assert code == 0, said
    found = json.loads(told)
    assert (found["rows"], found["creatives"], found["rejects"]) == (2, 2, rejects)
    assert (found["first_day"], found["last_day"]) == (days or (None, None))
    rows = pq.read_table(out / "log.parquet").to_pylist()
    assert {(row["product_id"], row["impressions"], row["clicks"]) for row in rows} == {
        ("B0HATS" if platform == "amazon-ads" else "Hats", 12_500, 1250),
        ("B0HATS" if platform == "amazon-ads" else "Hats", 11_000, 330),
    }
    (pair,) = pairs_of(tmp_path / "pairs", "--log", out, "--images", images)
    better = pair["image_a"] if pair["label"] == "A" else pair["image_b"]
    assert Path(str(better)).name == "red.png"
    assert sorted(path.name for path in images.iterdir()) == ["blue.png", "green.png", "red.png"]


def test_a_second_week_adds_to_the_first(tmp_path: Path, images: Path) -> None:
    week = "product,image,impressions,clicks\nhat,red.png,5000,500\nhat,{0},5000,100\n"
    (tmp_path / "one.csv").write_text(week.format("blue.png"))
    (tmp_path / "two.csv").write_text(week.format("green.png"))
    for name in ("one", "two"):
        words = ("import", "--source", tmp_path / f"{name}.csv", "--images", images)
        assert run(*words, "--out", tmp_path / name)[0] == 0
    code, _, said = run(*words, "--out", tmp_path / "one")  # it would replace the first week
    assert code == 2
    assert "holds the import of one.csv; give another --out" in said
    pairs = pairs_of(tmp_path / "pairs", "--log", tmp_path / "one", "--log", tmp_path / "two",
                     "--images", images)  # fmt: skip
    assert len(pairs) == 2  # red against blue, and red against green
    red = [row[f"impressions_{side}"] for row in pairs for side in "ab"
           if Path(str(row[f"image_{side}"])).name == "red.png"]  # fmt: skip
    assert red == [10_000, 10_000]


@pytest.mark.parametrize(("text", "words", "said"), [
    ("product,image,impressions,clicks\nhat,red.png,100,1.5\nTotal,,100,1\n", (),
     "1 no whole number, 1 totals row"),
    ("product,image,impressions,ctr\nhat,red.png,90000,0.5\n", (),
     "1 unit of the CTR cannot be told; say it with --ctr-unit"),
    ("product,image,impressions,clicks\nhat,gone.png,100,1\n", (), "1 image not in the folder"),
    ("product,image,impressions,clicks\n", (), "it has no rows"),
    ("product,image,impressions,clicks\nhat,red.png,9,1\n", ("--column", "clicks"),
     "write OURS=THEIRS"),
    ("product,image,impressions,clicks\nhat,red.png,9,1\n", ("--column", "clicks=clk"),
     "the log has product, image"),
    ("product,image,impressions,clicks\nhat,red.png,9,1\n", ("--from", "bing"), "known are google"),
])  # fmt: skip
def test_nothing_imported_is_one_line_and_exit_code_2(
    tmp_path: Path, images: Path, text: str, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "log.csv").write_text(text)
    code, out, told = run("import", "--source", tmp_path / "log.csv", "--images", images,
                          "--out", tmp_path / "out", *words)  # fmt: skip
    assert (code, out) == (2, "")
    assert said in told.splitlines()[-1]
    assert not (tmp_path / "out" / "log.parquet").exists()


def test_a_unit_that_is_said_and_a_click_log(tmp_path: Path, images: Path) -> None:
    (tmp_path / "ctr.csv").write_text("product,image,impressions,ctr\nhat,red.png,90000,0.5\n")
    (tmp_path / "log.csv").write_text("item,creative,clk\nhat,red,1\nhat,red,no\nhat,blue,2\n")
    for name, words, due, rejects in (
        ("ctr", ("--ctr-unit", "percent"), [("red.png", 90_000, 450)], {}),
        ("log", (), [("red", 2, 1)], {"clicks above impressions": 1}),
    ):
        code, told, said = run("import", "--source", tmp_path / f"{name}.csv", "--images", images,
                               "--out", tmp_path / name, "--json", *words)  # fmt: skip
        assert code == 0, said
        assert json.loads(told)["rejects"] == rejects
        rows = pq.read_table(tmp_path / name / "log.parquet").to_pylist()
        found = [(row["creative_id"], row["impressions"], row["clicks"]) for row in rows]
        assert found == due


@pytest.mark.parametrize("place", [lambda images: images, lambda images: images.parent])
def test_nothing_is_written_among_the_users_files(
    tmp_path: Path, images: Path, place: Callable[[Path], Path]
) -> None:
    (tmp_path / "log.csv").write_text("product,image,impressions,clicks\nhat,red.png,100,1\n")
    before = sorted(tmp_path.rglob("*"))
    code, _, said = run("import", "--source", tmp_path / "log.csv", "--images", images,
                        "--out", place(images))  # fmt: skip
    assert code == 2
    assert "give another folder" in said
    assert sorted(tmp_path.rglob("*")) == before


def test_pairs_read_an_export_by_the_same_names(tmp_path: Path, images: Path) -> None:
    rows = [{"file_name": name, "product_id": "Hats", "title": "hat"}
            for name in ("red.png", "blue.png")]  # fmt: skip
    (images / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "ads.csv").write_text(GOOGLE.replace("Ad group", "Group"))
    (pair,) = pairs_of(tmp_path / "pairs", "--log", tmp_path / "ads.csv", "--images", images,
                       "--from", "google-ads", "--column", "product_id=Group")  # fmt: skip
    assert {pair["impressions_a"], pair["impressions_b"]} == {12_500, 11_000}
    mined = json.loads((tmp_path / "pairs" / "mining.json").read_text())
    assert mined["rejects"] == {"totals row": 2}
