"""Going on goes by what a row holds: added rows are judged, changed ones again, nothing else."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from test_judge_file import QUIET, ByTitle, read

from creative4u.errors import InputError, WriteError
from creative4u.files.verdict_file import read_origin
from creative4u.serving.batch.judge_file import BatchConfig, judge_pairs
from creative4u.serving.files.verdict_metrics import evaluate


def row(number: int, **more: Any) -> dict[str, Any]:
    return {"pair_id": f"p{number}", "product_title": f"{number}A", "image_a": f"{number}.png",
            "image_b": "b.png", "label": "A"} | more  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("0", "1", "2", "3", "b"):
        draw(tmp_path / f"{name}.png", 10 * (ord(name) % 20))
    return tmp_path


def draw(path: Path, shade: int) -> None:
    Image.new("RGB", (30, 30), (shade, 0, 0)).save(path)


def write(folder: Path, rows: list[dict[str, Any]], name: str = "pairs.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


def again(folder: Path, rows: list[dict[str, Any]], name: str = "pairs.jsonl") -> list[str]:
    """The titles that are judged when the rows stand in the file now."""
    judge = ByTitle()
    judge_pairs(write(folder, rows, name), folder / "out.jsonl", judge, QUIET)
    assert [one["pair_id"] for one in read(folder / "out.jsonl")] == [r["pair_id"] for r in rows]
    return judge.asked


FOUR = [row(number) for number in range(4)]


def test_only_what_is_new_or_changed_is_judged(folder: Path) -> None:
    assert again(folder, FOUR[:2]) == ["0A", "1A"]
    assert again(folder, FOUR[:3]) == ["2A"]  # a row was added
    assert again(folder, [FOUR[0], row(1, product_title="newB"), FOUR[2]]) == ["newB"]
    assert [one["choice"] for one in read(folder / "out.jsonl")] == ["A", "B", "A"]
    rows = [FOUR[2], FOUR[0], FOUR[3]]  # moved, and one put in another's place
    assert again(folder, rows) == ["3A"]
    assert again(folder, rows) == []


def test_a_replaced_image_is_judged_again_also_where_all_rows_use_it(folder: Path) -> None:
    assert len(again(folder, FOUR)) == 4
    draw(folder / "1.png", 255)
    assert again(folder, FOUR) == ["1A"]
    draw(folder / "b.png", 255)
    assert again(folder, FOUR) == ["0A", "1A", "2A", "3A"]


def test_a_new_label_needs_no_judging(folder: Path) -> None:
    again(folder, FOUR)
    assert again(folder, [one | {"label": "B", "tags": ["late"]} for one in FOUR]) == []
    assert {one["label"] for one in read(folder / "out.jsonl")} == {"B"}


def test_an_image_that_was_missing_is_judged_when_it_is_there(folder: Path) -> None:
    rows = [*FOUR, row(7)]
    assert len(again(folder, rows)) == 4
    assert read(folder / "out.jsonl")[-1]["error"]["code"] == "bad_image"
    draw(folder / "7.png", 9)
    assert again(folder, rows) == ["7A"]


def test_a_mended_row_is_judged(folder: Path) -> None:
    rows = [FOUR[0], row(1, product_title=" "), FOUR[2]]
    assert again(folder, rows) == ["0A", "2A"]
    assert again(folder, FOUR[:3]) == ["1A"]


def test_another_file_is_refused_and_nothing_is_lost(folder: Path) -> None:
    again(folder, FOUR)
    kept = (folder / "out.jsonl").read_bytes()
    others = [one | {"product_title": f"other {one['pair_id']}"} for one in FOUR]
    for rows, name in ((others, "other.jsonl"), (FOUR[:3], "pairs.jsonl"),
                       ([row(9, image_a="1.png")] * 4, "pairs.jsonl")):  # fmt: skip
        with pytest.raises(InputError, match="was made from other pairs"):
            again(folder, rows, name)
        assert (folder / "out.jsonl").read_bytes() == kept
    assert again(folder, FOUR, "renamed.jsonl") == []  # the name does not count where rows agree


def test_a_stopped_rewrite_goes_on(folder: Path) -> None:
    again(folder, FOUR)
    rows = [one | {"product_title": f"new {n}A"} for n, one in enumerate(FOUR)]
    judge = ByTitle()
    judge.stop_at = "new 2A"
    config = BatchConfig(batch_size=1, progress=False)
    with pytest.raises(KeyboardInterrupt):
        judge_pairs(write(folder, rows), folder / "out.jsonl", judge, config)
    assert {one["orders"][0]["choice"] for one in read(folder / "out.jsonl")} == {"A"}
    assert again(folder, rows) == ["new 2A", "new 3A"]


def test_rows_of_an_older_version_go_on_by_their_place(folder: Path) -> None:
    again(folder, FOUR)
    out = folder / "out.jsonl"
    rows = [{k: v for k, v in one.items() if k != "content"} for one in read(out)]
    out.write_text("".join(json.dumps(one) + "\n" for one in rows[:3]))
    assert again(folder, FOUR) == ["3A"]
    out.write_text("".join(json.dumps(one) + "\n" for one in rows))
    with pytest.raises(InputError, match="was made from other pairs"):
        again(folder, [*FOUR, row(5, image_a="1.png")])


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """Inside, no file grows past so many bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_ends_in_one_line_and_the_run_goes_on(folder: Path) -> None:
    judge, out = ByTitle(), folder / "out.jsonl"
    pairs = write(folder, FOUR)
    judge_pairs(pairs, folder / "whole.jsonl", ByTitle(), QUIET)
    room = len((folder / "whole.jsonl").read_bytes().splitlines()[0]) * 2 + 20
    config = BatchConfig(batch_size=1, progress=False)
    with (
        files_at_most(room),
        pytest.raises(WriteError, match=r"what was judged is safe in .*out\.jsonl; .* goes on"),
    ):
        judge_pairs(pairs, out, judge, config)
    done = out.read_bytes().count(b"\n")
    assert done == 2
    judge.asked = []
    judge_pairs(pairs, out, judge, config)
    assert judge.asked == ["2A", "3A"]
    assert out.read_bytes() == (folder / "whole.jsonl").read_bytes()


def test_a_place_that_cannot_be_written_is_told_before_judging(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    judge = ByTitle()
    with pytest.raises(WriteError, match="cannot be written there; nothing was judged now"):
        judge_pairs(write(folder, FOUR), folder / "out.jsonl", judge, QUIET)
    assert not judge.asked


def test_ids_that_repeat_or_are_made_up_are_told_apart(folder: Path) -> None:
    twice = [row(0, pair_id=7), row(1, pair_id=7, label="B"), row(2, pair_id=8)]
    out, pairs = folder / "out.jsonl", write(folder, twice)
    judge_pairs(pairs, out, ByTitle(), QUIET)
    assert evaluate(out, pairs)["AA"] == evaluate(out)["AA"] == pytest.approx(2 / 3)
    made_up = [{k: v for k, v in one.items() if k != "pair_id"} for one in FOUR]
    out, pairs = folder / "made.jsonl", write(folder, made_up, "made-up.jsonl")
    judge_pairs(pairs, out, ByTitle(), QUIET)
    assert evaluate(out, pairs)["AA"] == 1
    labelled = [made_up[2] | {"label": "B"}, made_up[0], made_up[1]]  # moved, one relabelled
    figures = evaluate(out, write(folder, labelled, "moved.jsonl"))
    assert (figures["AA"], figures["labelled"]) == (0.75, 4)
    stranger = [one | {"product_title": "Bag"} for one in made_up]
    with pytest.raises(InputError, match="another file than the one that"):
        evaluate(out, write(folder, stranger, "stranger.jsonl"))


def test_given_ids_join_another_file_unless_its_content_differs(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = folder / "out.jsonl"
    judge_pairs(write(folder, FOUR), out, ByTitle(), QUIET)
    late = [FOUR[3] | {"label": "B"}, FOUR[1], row(2, product_title="changed", label="B")]
    figures = evaluate(out, write(folder, late, "late.jsonl"))
    assert (figures["n"], figures["AA"]) == (4, 0.75)  # p3 is wrong; p0 and p2 keep their labels
    assert "2 of 4 verdicts have no pair" in caplog.text
    gone = [one | {"image_a": "moved/" + one["image_a"]} for one in FOUR]
    assert evaluate(out, write(folder, gone, "gone.jsonl"))["AA"] == 1  # images are not needed
    assert read_origin(out)["pairs"] == "pairs.jsonl"
