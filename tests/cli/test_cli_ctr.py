"""The verbs of `creative4u ctr` as a shell sees them."""

import json
from pathlib import Path

import pytest
from small_shop import write_shop
from typer.testing import CliRunner

from creative4u.cli import app
from creative4u.ctr.cold_start import scorer as scoring

run = CliRunner().invoke


def test_train_calibrate_evaluate(tmp_path: Path) -> None:
    world, out = write_shop(tmp_path / "shop", rows=3500, days=7), tmp_path / "model"
    done = run(app, ["ctr", "train", str(world), "--out", str(out), "--days", "0", "2",
                     "--batch", "256", "--epochs", "1", "--json"])  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["counts"]["unseen"]["creative"] == 0
    done = run(app, ["ctr", "calibrate", str(out), str(world), "--days", "4", "6", "--json"])
    assert json.loads(done.stdout)["strength_impressions"] > 0
    done = run(app, ["ctr", "evaluate", str(out), str(world), "--days", "6", "7", "--json"])
    assert json.loads(done.stdout)["rows"] == 500
    done = run(app, ["ctr", "rates", str(out), str(world), "--days", "0", "7", "--json"])
    rows = json.loads(done.stdout)["rates"]
    assert len(rows) == 12
    assert sum(row["shown"] for row in rows) == 3500
    done = run(app, ["ctr", "bench", str(out), "--candidates", "20", "--calls", "3", "--json"])
    assert json.loads(done.stdout)["candidates"] == 20


def test_score_prints_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Known:
        def score(self, images: list, title: str, queries: list) -> list:
            assert (title, queries) == ("a boot", ["boot", "red boot"])
            return [(0.05, 0.02, 0.11) for _ in images]

    monkeypatch.setattr(scoring, "load_scorer", lambda path: Known())
    world = write_shop(tmp_path / "shop", rows=60)
    image = str(world / "images" / "0.png")
    words = ["--title", "a boot", "--query", "boot", "--query", "red boot"]
    done = run(app, ["ctr", "score", image, image, *words, "--json"])
    row = {"image": image, "pctr": 0.05, "interval": [0.02, 0.11]}
    assert json.loads(done.stdout) == {"scores": [row, row]}


def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    done = run(app, ["ctr", "score", str(tmp_path / "no.jpg"), "--title", "x"])
    assert done.exit_code == 2
    assert "no such file" in done.output
    done = run(app, ["ctr", "train", str(tmp_path), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "metadata.jsonl is missing" in done.output
    done = run(app, ["ctr", "evaluate", str(tmp_path), str(tmp_path)])
    assert done.exit_code == 2
    assert "no trained CTR model" in done.output
