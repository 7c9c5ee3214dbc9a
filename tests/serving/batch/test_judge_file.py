"""The batch judge: order, resuming, retrying and stopping, with a judge whose answers are known."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from filelock import FileLock
from judge_by_title import QUIET, TITLES, ByTitle, read, write

from creative4u.errors import Creative4UError, InputError, VerdictParseError
from creative4u.schema import Arithmetic, Verdict
from creative4u.selector.judge import PairRequest
from creative4u.serving.batch.judge_file import BatchConfig, judge_pairs


def test_rows_come_in_order_with_what_is_known_of_them(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    judge, out = ByTitle(), tmp_path / "results" / "out.jsonl"
    summary = judge_pairs(write(tmp_path, TITLES), out, judge, QUIET)
    rows = read(out)
    assert [row["pair_id"] for row in rows] == [f"p{n}" for n in range(9)]
    first, broken, bad = rows[0], rows[2], rows[4]
    assert (first["choice"], first["label"], first["tags"]) == ("A", "A", ["t"])
    assert first["image_a"] == os.path.join("..", "a.png")
    assert broken["error"] == {"code": "backend", "message": "server gone"}
    assert bad["error"]["code"] == "bad_row"
    assert "choice" not in broken
    assert judge.batches == [3, 3, 2]
    assert (summary["n"], summary["errors"], summary["labelled"]) == (9, 2, 7)
    assert (summary["AA"], summary["CA"]) == (pytest.approx(4 / 7), pytest.approx(4 / 7))
    assert summary["errors_by_code"] == {"backend": 1, "bad_row": 1}


class FailsTogether(ByTitle):
    """One unreadable answer fails the whole batch, as an observation does."""

    def select_many(self, requests: Sequence[PairRequest]) -> list[Verdict | Creative4UError]:
        if any(request.title == "twoB" for request in requests):
            raise VerdictParseError("no ratings")
        return super().select_many(requests)


def test_a_batch_that_one_pair_fails_is_judged_one_by_one(tmp_path: Path) -> None:
    judge, out = FailsTogether(), tmp_path / "out.jsonl"
    judge_pairs(write(tmp_path, TITLES[:4]), out, judge, QUIET)
    said = [row.get("choice") or row["error"]["code"] for row in read(out)]
    assert said == ["A", "unparsable", "backend", "A"]


@pytest.mark.parametrize("cut", [0, 1, 40, 5000])
def test_a_killed_run_goes_on_and_ends_the_same(tmp_path: Path, cut: int) -> None:
    pairs, whole, out = write(tmp_path, TITLES), tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    judge_pairs(pairs, whole, ByTitle(), QUIET)
    judge_pairs(pairs, out, ByTitle(), QUIET)
    os.truncate(out, max(0, out.stat().st_size - cut))  # what kill -9 can leave
    left = out.read_text().count("\n")
    again = ByTitle()
    judge_pairs(pairs, out, again, QUIET)
    assert out.read_bytes() == whole.read_bytes()
    assert len(again.asked) == sum(bool(title) for title in TITLES[left:])


def test_ctrl_c_keeps_what_is_done(tmp_path: Path) -> None:
    pairs, out, judge = write(tmp_path, TITLES), tmp_path / "out.jsonl", ByTitle()
    judge.stop_at = "sixA"
    with pytest.raises(KeyboardInterrupt):
        judge_pairs(pairs, out, judge, QUIET)
    assert len(read(out)) == 3
    judge.stop_at = None
    judge_pairs(pairs, out, judge, QUIET)
    assert len(read(out)) == 9
    assert judge.asked.count("oneA") == 1


def test_only_errors_are_tried_again(tmp_path: Path) -> None:
    pairs, out, judge = write(tmp_path, TITLES), tmp_path / "out.jsonl", ByTitle()
    before = judge_pairs(pairs, out, judge, QUIET)
    judge.broken, judge.asked = False, []
    config = BatchConfig(retry_errors=True, progress=False)
    after = judge_pairs(pairs, out, judge, config)
    assert judge.asked == ["broken threeA"]
    assert (before["errors"], after["errors"], len(read(out))) == (2, 1, 9)
    assert read(out)[2]["choice"] == "A"
    assert not out.with_name("out.jsonl.retry").exists()


def test_a_stopped_retry_loses_nothing(tmp_path: Path) -> None:
    titles = ["broken1A", "twoA", "broken3A", "fourA"]
    pairs, out, judge = write(tmp_path, titles), tmp_path / "out.jsonl", ByTitle()
    judge_pairs(pairs, out, judge, QUIET)
    judge.broken, judge.stop_at, judge.asked = False, "broken3A", []
    config = BatchConfig(batch_size=1, retry_errors=True, progress=False)
    with pytest.raises(KeyboardInterrupt):
        judge_pairs(pairs, out, judge, config)
    assert len(read(out)) == 4
    judge.stop_at = None
    assert judge_pairs(pairs, out, judge, config)["errors"] == 0
    assert judge.asked == ["broken1A", "broken3A"]  # what the stopped retry had done is kept
    assert [row["pair_id"] for row in read(out)] == ["p0", "p1", "p2", "p3"]


def test_limit_then_the_rest(tmp_path: Path) -> None:
    pairs, out, judge = write(tmp_path, TITLES), tmp_path / "out.jsonl", ByTitle()
    judge_pairs(pairs, out, judge, BatchConfig(limit=2, progress=False))
    assert judge.asked == ["oneA", "twoB"]
    judge_pairs(pairs, out, judge, QUIET)
    assert len(read(out)) == 9
    judge_pairs(pairs, out, judge, BatchConfig(limit=2, progress=False))
    assert len(read(out)) == 9


def test_other_input_or_model_is_refused(tmp_path: Path) -> None:
    pairs, out, judge = write(tmp_path, TITLES), tmp_path / "out.jsonl", ByTitle()
    judge_pairs(pairs, out, judge, QUIET)
    kept = out.read_bytes()
    other = write(tmp_path, TITLES[:3], "other.jsonl")
    with pytest.raises(InputError, match="was made from other pairs"):
        judge_pairs(other, out, judge, QUIET)
    judge.model = "another"
    with pytest.raises(InputError, match="was made from other pairs and model"):
        judge_pairs(other, out, judge, QUIET)
    (tmp_path / "out.jsonl.meta.json").unlink()
    with pytest.raises(InputError, match="what it was made from is unknown"):
        judge_pairs(pairs, out, judge, QUIET)
    assert out.read_bytes() == kept
    judge_pairs(other, out, judge, BatchConfig(resume=False, progress=False))
    assert len(read(out)) == 3


def test_another_dtype_is_refused(tmp_path: Path) -> None:
    pairs, out, judge = write(tmp_path, TITLES), tmp_path / "out.jsonl", ByTitle()
    judge.arithmetic = Arithmetic(dtype="bfloat16", cpu="AVX512_CORE_BF16", rows=(2, 512))
    judge_pairs(pairs, out, judge, BatchConfig(limit=2, progress=False))
    meta = tmp_path / "out.jsonl.meta.json"
    assert json.loads(meta.read_text())["dtype"] == "bfloat16"
    kept = out.read_bytes()
    judge.arithmetic = Arithmetic(dtype="float32", cpu="AVX2", rows=(16, 512))
    with pytest.raises(InputError, match="was made with dtype bfloat16, not float32; go on"):
        judge_pairs(pairs, out, judge, QUIET)
    judge.arithmetic = None
    with pytest.raises(InputError, match="not that of a server"):
        judge_pairs(pairs, out, judge, QUIET)
    assert out.read_bytes() == kept
    before = json.loads(meta.read_text())
    meta.write_text(json.dumps({key: before[key] for key in ("pairs_sha256", "model")}))
    judge_pairs(pairs, out, judge, QUIET)  # a file that does not say goes on
    assert len(read(out)) == len(TITLES)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    pairs = write(tmp_path, TITLES)
    with pytest.raises(InputError, match=r"verdicts are written as .jsonl or .parquet"):
        judge_pairs(pairs, tmp_path / "out.csv", ByTitle(), QUIET)
    with pytest.raises(InputError, match="no such folder"):
        judge_pairs(pairs, tmp_path / "none" / "out.jsonl", ByTitle(), QUIET)
    with (
        FileLock(tmp_path / "out.jsonl.lock"),
        pytest.raises(InputError, match="another run is writing it"),
    ):
        judge_pairs(pairs, tmp_path / "out.jsonl", ByTitle(), QUIET)


RUN = """
import sys, time
from pathlib import Path
sys.path.insert(0, {here!r})
from judge_by_title import ByTitle
from creative4u.serving.batch.judge_file import BatchConfig, judge_pairs

class Slow(ByTitle):
    def select_many(self, requests):
        time.sleep(0.02)
        return super().select_many(requests)

judge_pairs(Path({pairs!r}), Path({out!r}), Slow(), BatchConfig(batch_size=2, progress=False))
"""


def test_kill_minus_nine_at_any_moment(tmp_path: Path) -> None:
    pairs = write(tmp_path, TITLES * 5)
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    judge_pairs(pairs, whole, ByTitle(), QUIET)
    helpers = Path(__file__).parents[2] / "helpers"
    code = RUN.format(here=str(helpers), pairs=str(pairs), out=str(out))
    for lines in (5, 17, 30):
        process = subprocess.Popen([sys.executable, "-c", code])
        while process.poll() is None and (not out.exists() or out.read_text().count("\n") < lines):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([sys.executable, "-c", code], check=True)
    assert out.read_bytes() == whole.read_bytes()
