"""Verdicts as Parquet: the rows of the JSONL file, made again after a kill, read by evaluate."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from judge_by_title import QUIET, TITLES, ByTitle, read, write

from creative4u.errors import InputError
from creative4u.files.verdict_file import read_verdicts
from creative4u.serving.batch.judge_file import BatchConfig, judge_pairs
from creative4u.serving.files.verdict_metrics import evaluate


def test_parquet_holds_what_jsonl_holds(tmp_path: Path) -> None:
    pairs = write(tmp_path, TITLES)
    lines, table = tmp_path / "out.jsonl", tmp_path / "out.parquet"
    one = judge_pairs(pairs, lines, ByTitle(), QUIET)
    other = judge_pairs(pairs, table, ByTitle(), QUIET)
    assert one == other
    plain = [{key: value for key, value in row.items() if value is not None} for row in read(lines)]
    assert list(read_verdicts(table)) == plain
    assert evaluate(table)["AA"] == evaluate(lines)["AA"] == pytest.approx(4 / 7)
    assert parquet.read_table(table).num_rows == 9


def test_a_stopped_run_goes_on_from_its_rows(tmp_path: Path) -> None:
    pairs, out, judge = write(tmp_path, TITLES), tmp_path / "out.parquet", ByTitle()
    judge.stop_at = "sixA"
    with pytest.raises(KeyboardInterrupt):
        judge_pairs(pairs, out, judge, QUIET)
    assert not out.exists()
    judge.stop_at = None
    judge_pairs(pairs, out, judge, QUIET)
    assert parquet.read_table(out).num_rows == 9
    assert judge.asked.count("oneA") == 1
    judge.broken = False
    judge_pairs(pairs, out, judge, BatchConfig(retry_errors=True, progress=False))
    assert parquet.read_table(out)["choice"].to_pylist()[2] == "A"


def test_a_table_without_its_rows_is_left_alone(tmp_path: Path) -> None:
    pairs, out = write(tmp_path, TITLES), tmp_path / "out.parquet"
    judge_pairs(pairs, out, ByTitle(), QUIET)
    kept = out.read_bytes()
    (tmp_path / "out.parquet.rows.jsonl").unlink()
    with pytest.raises(InputError, match="it cannot go on"):
        judge_pairs(pairs, out, ByTitle(), QUIET)
    assert out.read_bytes() == kept
    (tmp_path / "bad.parquet").write_text("x")
    with pytest.raises(InputError, match="not a Parquet file"):
        list(read_verdicts(tmp_path / "bad.parquet"))
