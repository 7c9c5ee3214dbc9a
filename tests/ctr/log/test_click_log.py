"""The log reader: behaviour without leaks, resumable order, and bad input counted or refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from creative4u.ctr.log.dataset import Batch, ClickLog, Scale, read_labels
from creative4u.ctr.log.fields import Counts, Vocabulary, read_fields
from creative4u.ctr.log.history import History
from creative4u.errors import InputError

DAYS = (0, 9)


def log_of(folder: Path, behaviour: int = 2) -> ClickLog:
    ids = {name: Vocabulary.of([1, 2, 3, 4]) for name in ("user", "query", "item", "creative")}
    fields = replace(read_fields(), behaviour=behaviour)
    return ClickLog(folder, fields, ids, Scale(np.zeros(1), np.ones(1)), Counts())


def write(folder: Path, day: int, rows: list[tuple[int, int, int]], **columns: list) -> None:
    """Rows of (user, creative, click)."""
    user, creative, click = zip(*rows, strict=True)
    table = {
        "day": [day] * len(rows), "user_id": user, "query_id": user, "product_id": creative,
        "creative_id": creative, "position": [1] * len(rows), "click": click,
        "price": [0.0] * len(rows),
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(table | columns), folder / f"{day}.parquet")


def rows_of(log: ClickLog, **options: object) -> Batch:
    return next(log.batches(100, DAYS, **options))


def test_behaviour_is_what_was_clicked_in_earlier_blocks(tmp_path: Path) -> None:
    write(tmp_path / "log", 0, [(1, 1, 1), (1, 2, 1), (1, 3, 0), (2, 4, 1)])
    write(tmp_path / "log", 1, [(1, 4, 1), (2, 1, 0), (3, 1, 0)])
    batch = rows_of(log_of(tmp_path / "log"))
    # numbers equal ids here; day 0 has no past, day 1 sees day 0's clicks only
    assert batch.behaviour[:4].sum() == 0
    assert batch.behaviour[4].tolist() == [[1, 1], [2, 2]]
    assert batch.behaviour[5].tolist() == [[0, 0], [4, 4]]
    assert batch.behaviour[6].sum() == 0


def test_history_keeps_the_latest() -> None:
    history = History(3, 2)
    history.add(
        np.array([1, 1, 2, 1, 0]), np.array([5, 6, 7, 8, 9]), np.array([50, 60, 70, 80, 90])
    )
    assert history.of(np.array([1, 2, 0])).tolist() == [
        [[6, 60], [8, 80]], [[0, 0], [7, 70]], [[0, 0], [0, 0]],
    ]  # fmt: skip


def test_days_before_fill_the_behaviour_only(tmp_path: Path) -> None:
    write(tmp_path / "log", 0, [(1, 1, 1)])
    write(tmp_path / "log", 1, [(1, 2, 0)])
    write(tmp_path / "log", 2, [(1, 3, 0)])
    batches = list(log_of(tmp_path / "log").batches(10, (1, 2)))
    assert [batch.ids[:, 3].tolist() for batch in batches] == [[2]]
    assert batches[0].behaviour[0].tolist() == [[0, 0], [1, 1]]


def test_hidden_creatives_are_given_only_when_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "log", 0, [(1, 1, 1), (1, 2, 1)])
    write(tmp_path / "log", 1, [(1, 1, 0), (1, 2, 0)])
    log = replace(log_of(tmp_path / "log"), hidden=frozenset({2}))
    assert rows_of(log).ids[:, 3].tolist() == [1, 1]
    hidden = rows_of(log, hidden_only=True)
    assert hidden.ids[:, 3].tolist() == [2, 2]
    assert hidden.behaviour[1].tolist() == [[0, 0], [1, 1]]  # a hidden click is nobody's past


def test_shuffled_batches_are_the_same_each_time_and_skipping_goes_on(tmp_path: Path) -> None:
    write(tmp_path / "log", 0, [(1 + n % 4, 1 + n % 3, n % 2) for n in range(40)])
    log = log_of(tmp_path / "log")
    one = [batch.ids.tolist() for batch in log.batches(8, DAYS, epoch=3)]
    assert one == [batch.ids.tolist() for batch in log.batches(8, DAYS, epoch=3)]
    assert one[2:] == [batch.ids.tolist() for batch in log.batches(8, DAYS, epoch=3, skip=2)]
    assert one != [batch.ids.tolist() for batch in log.batches(8, DAYS, epoch=4)]


def test_two_processes_share_the_batches(tmp_path: Path) -> None:
    write(tmp_path / "log", 0, [(1 + n % 4, 1, n % 2) for n in range(20)])
    log = log_of(tmp_path / "log")
    whole = [batch.ids.tolist() for batch in log.batches(4, DAYS)]  # five batches
    halves = [[b.ids.tolist() for b in log.batches(4, DAYS, share=(k, 2))] for k in (0, 1)]
    assert halves == [[whole[0], whole[2]], [whole[1], whole[3]]]  # the odd one is left out


def test_unseen_ids_and_missing_numbers_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "log", 0, [(1, 9, 1), (8, 2, 0)], price=[None, 1.0])
    log = log_of(tmp_path / "log")
    batch = rows_of(log)
    assert batch.ids[:, 3].tolist() == [0, 2]
    assert batch.numbers[0].item() == 0
    assert log.counts.unseen == {"user": 1, "query": 1, "item": 1, "creative": 1}
    assert log.counts.missing_numbers == 1


def test_a_broken_part_is_counted_and_left_out(tmp_path: Path) -> None:
    write(tmp_path / "log", 0, [(1, 1, 1)])
    (tmp_path / "log" / "1.parquet").write_bytes(b"PAR1 this is no Parquet")
    write(tmp_path / "log", 2, [(1, 2, 0)])
    log = log_of(tmp_path / "log")
    assert len(rows_of(log)) == 2
    assert log.counts.broken_parts == 1


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "0.parquet").write_bytes(b"nothing")
    with pytest.raises(InputError, match="can be read"):
        list(log_of(tmp_path).batches(4, DAYS))
    with pytest.raises(InputError, match="no Parquet part"):
        list(log_of(tmp_path / "elsewhere").batches(4, DAYS))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"day": [1], "clicked": [0]}), tmp_path / "0.parquet")
    with pytest.raises(InputError, match=r"no column.*creative_id"):
        list(log_of(tmp_path).batches(4, DAYS))


def test_string_labels() -> None:
    column = pa.chunked_array([["0", "1", "True", None]])
    assert read_labels(column, "click").tolist() == [0, 1, 1, -1]
    with pytest.raises(InputError, match="'yes please'"):
        read_labels(pa.chunked_array([["1", "yes please"]]), "click")
    with pytest.raises(InputError, match="click: got 3"):
        read_labels(pa.chunked_array([[0, 3]]), "click")


def test_rows_without_label_are_left_out_and_counted(tmp_path: Path) -> None:
    write(tmp_path / "log", 0, [(1, 1, 1), (1, 2, 0)], click=["1", None])
    log = log_of(tmp_path / "log")
    assert torch.equal(rows_of(log).label, torch.tensor([1.0]))
    assert log.counts.unlabelled == 1
