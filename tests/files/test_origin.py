"""What is kept on disk knows what it was made from, and a bad run leaves nothing behind."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from creative4u.files.origin import (
    MISSING,
    file_hash,
    is_made_from,
    is_made_otherwise,
    kept_rows,
    note_origin,
    origin_beside,
    tree_hash,
    value_hash,
    whole_file,
)


class Maker:
    """Makes `rows`, and counts how often."""

    def __init__(self, rows: list[Any]) -> None:
        self.rows, self.times = rows, 0

    def __call__(self) -> Iterator[dict[str, Any]]:
        self.times += 1
        for row in self.rows:
            if isinstance(row, Exception):
                raise row
            yield row


def test_rows_are_made_again_where_their_origin_changed(tmp_path: Path) -> None:
    path, make = tmp_path / "run" / "rows.jsonl", Maker([{"a": 1}, {"a": 2}])
    for origin, times in (({"x": "1"}, 1), ({"x": "1"}, 1), ({"x": "2"}, 2), ({"x": "1"}, 3)):
        assert kept_rows(path, origin, make) == [{"a": 1}, {"a": 2}]
        assert make.times == times
    origin_beside(path).unlink()  # of an older version: nobody knows
    kept_rows(path, {"x": "1"}, make)
    assert make.times == 4


@pytest.mark.parametrize("rows", [[], [{"a": 1}, OSError("disk full")]])
def test_a_run_that_makes_nothing_leaves_nothing(rows: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    if rows:
        with pytest.raises(OSError, match="disk full"):
            kept_rows(path, {}, Maker(rows))
    else:
        assert kept_rows(path, {}, Maker(rows)) == []
    assert list(tmp_path.iterdir()) == []
    assert kept_rows(path, {}, Maker([{"a": 1}])) == [{"a": 1}]


def test_a_failed_remake_keeps_the_old_rows_under_their_old_origin(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    kept_rows(path, {"x": 1}, Maker([{"a": 1}]))
    with pytest.raises(ValueError, match="bad"):
        kept_rows(path, {"x": 2}, Maker([ValueError("bad")]))
    assert is_made_from(path, {"x": 1})
    assert is_made_otherwise(path, {"x": 2})
    assert json.loads(path.read_text()) == {"a": 1}


def test_a_kill_between_rows_and_origin_is_no_origin(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("{}")
    assert not is_made_from(path, {})
    assert not is_made_otherwise(path, {})
    origin_beside(path).write_text("{cut")
    assert not is_made_from(path, {})
    note_origin(path, {"x": [1, None]})
    assert is_made_from(path, {"x": [1, None]})


def test_a_hash_names_the_content(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"x")
    other.write_bytes(b"x")
    assert file_hash(one) == file_hash(other) != MISSING
    before = tree_hash(tmp_path)
    other.write_bytes(b"y")
    os.utime(other, ns=(1, 1))
    assert file_hash(one) != file_hash(other)
    assert tree_hash(tmp_path) != before
    assert {file_hash(path) for path in (tmp_path, tmp_path / "none", Path("n" * 300))} == {MISSING}
    assert value_hash({"a": 1, "b": 2}) == value_hash({"b": 2, "a": 1}) != value_hash(["\ud800"])


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    try:
        with whole_file(path) as file:
            file.write("half")
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        stopped = True
    assert stopped
    assert list(tmp_path.iterdir()) == []
    with whole_file(path) as file:
        file.write('"\udcff"')  # a path that is no UTF-8
    assert json.loads(path.read_bytes()) == "\udcff"
