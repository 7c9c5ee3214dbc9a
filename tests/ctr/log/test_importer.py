"""Foreign logs: other column names, times, texts and ids become a shop that trains as any other."""

import csv
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest
from PIL import Image
from small_shop import write_shop
from typer.testing import CliRunner

from creative4u.cli import app
from creative4u.ctr.log.fields import read_fields
from creative4u.ctr.log.importer import import_log
from creative4u.ctr.log.shop import read_shop
from creative4u.ctr.log.subsample import sample_users
from creative4u.ctr.model.fit import FitConfig, fit
from creative4u.ctr.model.shop_pctr import shop_rates
from creative4u.ctr.model.train import TrainConfig
from creative4u.errors import InputError
from creative4u.log_import.columns import LogFormat


def foreign(folder: Path, rows: int = 1800) -> Path:
    """Six days of a log whose every name is another, and whose ids are strings."""
    rng = np.random.default_rng(2)
    images = folder / "pictures"
    images.mkdir(parents=True)
    for ad in range(6):
        Image.new("RGB", (40, 40), (40 * ad, 90, 120)).save(images / f"ad{ad}.png")
    start = datetime(2026, 3, 1)
    with (folder / "clicks.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["event_time", "member_id", "search_term", "sku", "ad", "slot", "is_clk",
                      "product_name"])  # fmt: skip
        for row in range(rows):
            ad = int(rng.integers(7))  # ad6 has no image
            when = start + timedelta(days=6 * row / rows)
            clicked = rng.random() < 0.1 + 0.1 * (ad % 3)
            out.writerow([when.isoformat(sep=" "), f"m{rng.integers(40)}",
                          ("red bag", "boot")[ad % 2], f"sku{ad // 2}", f"ad{ad}", 1 + row % 4,
                          "true" if clicked else "false", f"thing {ad // 2}"])  # fmt: skip
    return folder


def test_a_foreign_log_becomes_a_shop_that_trains(tmp_path: Path) -> None:
    source = foreign(tmp_path / "theirs")
    found = import_log(source / "clicks.csv", source / "pictures", tmp_path / "shop",
                       LogFormat(columns={"click": "is_clk", "creative_id": "ad"}))  # fmt: skip
    assert (found.rows, found.days, found.creatives, found.missing_images) == (1800, 6, 6, 1)
    assert (found.queries, found.rejected) == (2, {})
    assert found.columns["user_id"] == "member_id"
    assert (found.first_day, found.last_day) == ("2026-03-01", "2026-03-06")
    shop = read_shop(tmp_path / "shop")
    assert shop.queries == ("boot", "red bag")
    assert shop.titles[:2] == ("thing 0", "thing 0")
    assert all(image.exists() for image in shop.images)
    clicks = duckdb.execute("SELECT sum(click), min(day), max(day) FROM read_parquet(?)",
                            [str(shop.log / "*.parquet")]).fetchone()  # fmt: skip
    theirs = duckdb.execute("SELECT count(*) FROM read_csv(?) WHERE is_clk",
                            [str(source / "clicks.csv")]).fetchone()  # fmt: skip
    assert clicks == (theirs[0], 0, 5)
    training = TrainConfig(train_days=(0, 3), valid_days=(3, 4), batch=256, epochs=1)
    predictor = fit(shop, None, FitConfig(training, (4, 5), (5, 6)), tmp_path / "model")
    assert predictor.report["test"]["rows"] == 300
    rows = shop_rates(predictor, shop, (0, 6))
    assert [row["creative_id"] for row in rows] == [f"ad{ad}" for ad in range(6)]
    for row in rows:
        assert row["interval"][0] <= row["pctr"] <= row["interval"][1]
        assert row["impressions"] < row["shown"]  # three days of six


def test_rows_that_cannot_be_used_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("day,click,item,image,user\n0,1,a,x.png,1\n,1,a,x.png,1\n1,,a,x.png,1\n"
                   "1,0,,x.png,1\n2,0,a,x.png,2\n")  # fmt: skip
    images = tmp_path / "images"
    images.mkdir()
    Image.new("RGB", (30, 30)).save(images / "x.png")
    found = import_log(log, images, tmp_path / "shop")
    assert found.rows == 2
    assert found.rejected == {"no day": 1, "no click": 1, "no product": 1}


@pytest.mark.parametrize(("text", "said"), [
    ("day,click,item,image\n0,maybe,a,x\n", "got 'maybe'; a label is 0 or 1"),
    ("day,seen,item,image\n0,1,a,x\n", "missing: click"),
    ("day,item,image,click\n11/03/2025,a,x,1\n", "two readings.*--date-format"),
    ("day,item,image,impressions,clicks\n0,a,x,5,1\n", "missing: click"),
    ("day,click,item,image\nsoon,1,a,x\n", "no row holds a day"),
])  # fmt: skip
def test_what_is_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        import_log(tmp_path / "log.csv", tmp_path, tmp_path / "shop")


@pytest.mark.parametrize(("written", "day"), [
    ("20260301,20260303", [0, 2]),
    ("1767225600,1767400000", [0, 2]),  # seconds
    ("1767225600000,1767400000000", [0, 2]),
    ("5,7", [0, 2]),
])  # fmt: skip
def test_days_in_many_spellings(tmp_path: Path, written: str, day: list[int]) -> None:
    Image.new("RGB", (30, 30)).save(tmp_path / "x.png")
    rows = "".join(f"{when},1,a,x.png\n" for when in written.split(","))
    (tmp_path / "log.csv").write_text("dt,click,item,image\n" + rows)
    import_log(tmp_path / "log.csv", tmp_path, tmp_path / "shop")
    found = duckdb.execute("SELECT day FROM read_parquet(?) ORDER BY day",
                           [str(tmp_path / "shop" / "log" / "*.parquet")]).fetchall()  # fmt: skip
    assert [row[0] for row in found] == day


def test_a_sample_keeps_whole_shoppers(tmp_path: Path) -> None:
    world = write_shop(tmp_path / "shop", rows=3000, days=3)
    rows = sample_users(world, tmp_path / "small", read_fields(), 0.4)
    count = "SELECT user_id, count(*) AS n FROM read_parquet(?) GROUP BY 1"
    whole = dict(duckdb.execute(count, [str(world / "log" / "*.parquet")]).fetchall())
    kept = dict(duckdb.execute(count, [str(tmp_path / "small/log/*.parquet")]).fetchall())
    assert 0 < len(kept) < len(whole)
    assert all(whole[user] == n for user, n in kept.items())
    assert rows == sum(kept.values())
    assert len(read_shop(tmp_path / "small").images) == 12
    with pytest.raises(InputError, match="a folder of its own"):
        sample_users(world, world, read_fields(), 0.4)
    with pytest.raises(InputError, match="at most 1"):
        sample_users(world, tmp_path / "small", read_fields(), 1.5)


def test_the_verb_says_what_it_made(tmp_path: Path) -> None:
    source = foreign(tmp_path / "theirs", rows=60)
    words = ["ctr", "import", str(source / "clicks.csv"), "--images", str(source / "pictures"),
             "--out", str(tmp_path / "shop")]  # fmt: skip
    done = CliRunner().invoke(app, [*words, "--column", "click=is_clk"])
    assert done.exit_code == 2
    assert "creative_id" in done.output
    done = CliRunner().invoke(
        app, [*words, "--column", "click=is_clk", "--column", "creative_id=ad", "--json"]
    )
    assert done.exit_code == 0, done.output
    assert '"rows": 60' in done.stdout
    done = CliRunner().invoke(app, [*words, "--column", "click"])
    assert done.exit_code == 2
    assert "write OURS=THEIRS" in done.output
