"""Figures of verdict files and of single image statistics, worked out by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from creative4u.errors import InputError
from creative4u.files.pairs_file import read_pairs
from creative4u.files.verdict_file import read_verdicts
from creative4u.serving.files.statistic_baselines import (
    LabelledPair,
    baselines,
    labelled_pairs,
    labelled_rows,
)
from creative4u.serving.files.verdict_metrics import evaluate


def row(name: str, orders: str, probability: float, **more: Any) -> dict[str, Any]:
    """A verdict row; `orders` are its orders' choices, in the user's own A and B."""
    said = [{"order": o, "choice": c} for o, c in zip(("AB", "BA"), orders, strict=False)]
    choice = "A" if probability > 0.5 else "B"
    return {"pair_id": name, "choice": choice, "consistent": len(set(orders)) == 1,
            "probability_a": probability, "orders": said, "label": "A"} | more  # fmt: skip


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_figures_by_hand(tmp_path: Path) -> None:
    rows = [
        row("1", "AA", 0.9, tags=["dark"]),
        row("2", "AB", 0.55, choice="inconclusive", tags=["dark", "small"]),
        row("3", "BB", 0.1),
        row("4", "BB", 0.2, label="B", choice="tie"),
        row("5", "AA", 0.8, label=None),
        {"pair_id": "6", "label": "A", "error": {"code": "truncated", "message": "no answer"}},
    ]
    figures = evaluate(write(tmp_path / "v.jsonl", rows))
    assert {key: figures[key] for key in ("n", "labelled", "errors", "ties", "inconclusive")} == {
        "n": 6, "labelled": 4, "errors": 1, "ties": 1, "inconclusive": 1,
    }  # fmt: skip
    assert figures["errors_by_code"] == {"truncated": 1}
    assert figures["AA"] == pytest.approx(5 / 8)  # 2 of 2, 1 of 2, 0 of 2, 2 of 2
    assert figures["CA"] == pytest.approx(2 / 4)
    assert figures["consistent"] == pytest.approx(4 / 5)
    # confidences .9 and .9 (bin .8-.9: right, wrong), .55 (right), .8 (bin .7-.8: right)
    assert figures["ece"] == pytest.approx((abs(0.9 - 1 + 0.9 - 0) + 0.45 + 0.2) / 4)
    assert figures["by"] == {
        "dark": {"n": 2, "AA": 0.75, "CA": 0.5},
        "small": {"n": 1, "AA": 0.5, "CA": 0.0},
    }
    low, high = figures["AA_interval"]
    assert 0 <= low < figures["AA"] < high <= 1


def test_one_order_has_no_ca(tmp_path: Path) -> None:
    figures = evaluate(write(tmp_path / "v.jsonl", [row("1", "A", 0.9), row("2", "B", 0.1)]))
    assert figures["AA"] == 0.5
    assert math.isnan(figures["CA"])


def test_labels_and_tags_of_the_pairs_stand_above_the_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "v.jsonl", [row("1", "AA", 0.9), row("2", "AA", 0.9)])
    pair = {"pair_id": "1", "product_title": "t", "image_a": "a", "image_b": "b", "label": "B",
            "tags": ["dark"]}  # fmt: skip
    figures = evaluate(path, write(tmp_path / "p.jsonl", [pair]))
    assert figures["AA"] == 0.5
    assert figures["by"] == {"dark": {"n": 1, "AA": 0.0, "CA": 0.0}}


@pytest.mark.parametrize("line", ["{", "[]", '{"pair_id": "1"}', '"x"'])
def test_what_is_no_verdict(tmp_path: Path, line: str) -> None:
    path = write(tmp_path / "v.jsonl", [row("1", "AA", 0.9)])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InputError, match="line 2: not a verdict row"):
        list(read_verdicts(path))
    path.write_text("")
    with pytest.raises(InputError, match="no rows"):
        evaluate(path)


def test_single_image_statistics_by_hand(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), (200, 200, 200)).save(tmp_path / "bright.png")
    Image.new("RGB", (40, 40), (10, 10, 10)).save(tmp_path / "dark.png")
    (tmp_path / "text.png").write_text("no image")
    both = {"image_a": "bright.png", "image_b": "dark.png"}
    rows = [
        row("1", "AA", 0.9, tags=["x"]) | both,
        row("2", "AA", 0.9, label="B") | both,
        row("3", "AA", 0.9, label="B") | both,
        row("4", "AA", 0.9) | {"image_a": "bright.png", "image_b": "text.png"},
        row("5", "AA", 0.9) | {"image_a": "none.png", "image_b": "bright.png"},
        row("6", "AA", 0.9, label=None) | both,
        row("7", "AA", 0.9),  # no images named
    ]
    figures = baselines(labelled_rows(rows, tmp_path))
    assert (figures["n"], figures["unreadable"]) == (3, 2)
    assert figures["AA"]["brightness"] == pytest.approx(1 / 3)
    assert figures["AA"]["contrast"] == 0.5  # both are flat: equal, one half each
    assert figures["by"]["x"]["brightness"] == 1
    assert figures["best"] in ("contrast", "sharpness", "file_size")


def test_statistics_from_a_pairs_file_and_from_bytes(tmp_path: Path) -> None:
    for name, shade in (("a.png", 200), ("b.png", 10)):
        Image.new("RGB", (40, 40), (shade,) * 3).save(tmp_path / name)
    pair = {"pair_id": "1", "product_title": "t", "image_a": "a.png", "image_b": "b.png"}
    path = write(tmp_path / "p.jsonl", [pair | {"label": "A"}, pair])
    (from_file,) = labelled_pairs(read_pairs(path))
    data = [(tmp_path / name).read_bytes() for name in ("a.png", "b.png")]
    from_bytes = LabelledPair(data[0], data[1], "A")
    assert baselines([from_file]) == baselines([from_bytes])


def test_nothing_to_measure() -> None:
    assert baselines([]) == {"n": 0, "unreadable": 0, "best": None, "AA": {}, "by": {}}
