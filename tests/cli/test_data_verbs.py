"""The verbs of `creative4u data`: one JSON object on standard output, exit codes, one line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from creative4u.cli import app
from creative4u.cli.console import answer, working


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Three products of two creatives each, the first clicked twice as often; one bad row."""
    (tmp_path / "images").mkdir()
    metadata, log = [], ["product_id,creative_id,impressions,clicks"]
    for product in range(3):
        for side, clicks in (("a", 200), ("b", 100)):
            name = f"{product}{side}.jpg"
            grid = np.random.default_rng([product, ord(side)]).integers(0, 256, (9, 9, 3), np.uint8)
            Image.fromarray(grid).resize((64, 64)).save(tmp_path / "images" / name)
            metadata.append({"file_name": name, "product_id": str(product), "title": "boot"})
            log.append(f"{product},{name},2000,{clicks}")
    rows = "".join(json.dumps(row) + "\n" for row in metadata)
    (tmp_path / "images" / "metadata.jsonl").write_text(rows)
    (tmp_path / "log.csv").write_text("\n".join([*log, "0,0a.jpg,3,9"]) + "\n")
    return tmp_path


def run(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["data", *map(str, words)])
    return done.exit_code, done.stdout, done.stderr


def test_pairs_are_mined_packed_and_checked_by_verbs(shop: Path) -> None:
    mined = shop / "mined"
    code, out, said = run("pairs", "--log", shop / "log.csv", "--images", shop / "images",
                          "--out", mined, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["rejects"] == {"clicks above impressions": 1}
    assert sum(found["by_split"].values()) == 3
    assert "log: 12,000 impressions counted" in said
    assert run("pack", "--pairs", mined, "--out", shop / "set", "--json")[0] == 0
    code, out, _ = run("check", mined, "--json")
    assert (code, json.loads(out)) == (0, {"pairs": 3, "problems": []})
    (shop / "images" / "0a.jpg").write_bytes(b"broken")
    code, out, _ = run("check", mined, "--json")
    assert code == 1
    assert "broken image" in out
    code, out, _ = run("check", shop / "set", "--json")  # it carries its images
    assert (code, json.loads(out)["pairs"]) == (0, 3)


def test_wrong_use_is_one_line_and_exit_code_2(shop: Path) -> None:
    for words, told in (
            (("pairs", "--log", shop / "gone", "--images", shop / "images", "--out", shop / "x"),
             "no log at"),
            (("pairs", "--log", shop / "log.csv", "--images", shop, "--out", shop / "x"),
             "no metadata.jsonl"),
            (("reason", "--pairs", shop, "--out", shop / "x"), "give --images, or --teacher"),
            (("pack", "--pairs", shop, "--out", shop / "x"), "no creative pairs at")):
        code, out, said = run(*words)
        assert (code, out) == (2, "")
        assert told in said
        assert said.count("\n") == 1


def test_what_libraries_write_in_c_stays_out_of_standard_output(
        capfd: pytest.CaptureFixture[str]) -> None:
    with working():
        os.write(1, b"bar ")
        print("note")
    answer({"a": 1}, True)
    out, said = capfd.readouterr()
    assert out == '{"a": 1}\n'
    assert sorted(said.split()) == ["bar", "note"]
