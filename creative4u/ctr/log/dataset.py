"""Read a click log in Parquet parts as batches of numbers, one block in memory at a time.

Parts are read in the order of their names, a block of rows at a time; the rows of a block are
shuffled by a seed that names epoch and block, so that the same command sees the same batches and a
resumed run goes on where it stopped. A user's behaviour at a row is what he clicked in earlier
blocks: never the row itself, never the future.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from creative4u.ctr.log.fields import UNSEEN, Counts, Fields, Vocabulary
from creative4u.ctr.log.history import History
from creative4u.errors import InputError

Ints = NDArray[np.int64]
BLOCK = 262_144  # rows in memory at a time
LABELS = {"0": 0, "1": 1, "false": 0, "true": 1, "0.0": 0, "1.0": 1}


@dataclass(frozen=True)
class Batch:
    """B impressions: ids (B, F), numbers (B, N), position (B,) from 1, behaviour (B, K, 2) of item
    and creative numbers (0: nothing), label (B,)."""

    ids: Tensor
    numbers: Tensor
    position: Tensor
    behaviour: Tensor
    label: Tensor

    def __len__(self) -> int:
        return len(self.label)

    def to(self, device: torch.device) -> Batch:
        """The same rows on a device."""
        return _each(lambda tensor: tensor.to(device), self)


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation (N,) of the number fields, from the training days."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]


def log_parts(log: Path) -> list[Path]:
    """The Parquet files of a log: the folder's, by name, or the one file itself."""
    parts = sorted(log.glob("*.parquet")) if log.is_dir() else [log]
    if not parts or not parts[0].exists():
        raise InputError(f"{log}: no Parquet part; a log is a .parquet file or a folder of them")
    return parts


@dataclass(frozen=True)
class ClickLog:
    """A log, how its columns are read, and what was met on the way (`counts`).

    `keep` takes that share of the rows (a fixed draw); `hidden` are creative ids whose rows only
    `only_hidden` passes give: new items that training must not see.
    """

    log: Path
    fields: Fields
    vocabularies: dict[str, Vocabulary]
    scale: Scale
    counts: Counts
    keep: float = 1.0
    hidden: frozenset[int] = frozenset()

    def batches(
        self,
        size: int,
        days: tuple[int, int],
        epoch: int | None = None,
        skip: int = 0,
        share: tuple[int, int] = (0, 1),
        hidden_only: bool = False,
    ) -> Iterator[Batch]:
        """Batches of `size` rows of days[0] <= day < days[1].

        Args:
            size: rows a batch; a block's rest goes into the next block's first batch.
            days: rows before them only fill the behaviour; reading stops after them.
            epoch: shuffles the rows of each block; None keeps the log's order.
            skip: batches left out at the start, for a resumed run.
            share: (rank, processes): every processes-th batch, from rank on; the last round is
                left out where it is not full, so that all processes take equally many steps.
            hidden_only: give the rows of the hidden creatives instead of all others.
        """
        rank, processes = share
        waiting: list[Batch] = []
        for number, batch in enumerate(self._whole_batches(size, days, epoch, hidden_only)):
            if number >= skip * processes:
                waiting.append(batch)
            if len(waiting) == processes:
                yield waiting[rank]
                waiting = []
        if processes == 1:
            yield from waiting

    def _whole_batches(
        self, size: int, days: tuple[int, int], epoch: int | None, hidden_only: bool
    ) -> Iterator[Batch]:
        history = History(self.vocabularies["user"].size, self.fields.behaviour)
        rest: Batch | None = None
        for number, table in enumerate(read_blocks(self.log, self.fields.columns, self.counts)):
            day = table[self.fields.day].to_numpy()
            if int(day.min()) >= days[1]:
                break
            label = read_labels(table[self.fields.label], self.fields.label)
            if int(day.max()) < days[0]:  # nothing but the past's clicks is needed
                past = np.flatnonzero(label == 1)
                table, day, label = table.take(past), day[past], label[past]
            creatives = table[self.fields.ids[self.fields.place("creative")].column].to_numpy()
            ids = self._ids(table)
            known = label >= 0
            if len(day) and days[0] <= int(day.max()):
                wanted = known & (day >= days[0]) & (day < days[1])
                if self.hidden:
                    wanted &= np.isin(creatives, list(self.hidden)) == hidden_only
                if self.keep < 1:
                    dice = np.random.default_rng([number, 41]).random(len(day))
                    wanted &= dice < self.keep
                rows = np.flatnonzero(wanted)
                if epoch is not None:
                    rows = np.random.default_rng([epoch, number, 43]).permutation(rows)
                found = self._batch(table, ids, label, history, rows)
                self._count(ids[rows], int((~known).sum()))
                rest = found if rest is None else _join(rest, found)
                cut = len(rest) // size * size
                for start in range(0, cut, size):
                    yield _slice(rest, slice(start, start + size))
                rest = _slice(rest, slice(cut, len(rest)))
            clicked = label == 1
            if self.hidden:
                clicked &= ~np.isin(creatives, list(self.hidden))
            place = self.fields.place
            history.add(
                ids[clicked, place("user")],
                ids[clicked, place("item")],
                ids[clicked, place("creative")],
            )
        if rest is not None and len(rest):
            yield rest

    def _ids(self, table: pa.Table) -> Ints:
        columns = [
            self.vocabularies[one.name].numbers(table[one.column].to_numpy())
            for one in self.fields.ids
        ]
        return np.stack(columns, axis=1)  # (n, F)

    def _count(self, ids: Ints, unlabelled: int) -> None:
        self.counts.rows += len(ids)
        self.counts.unlabelled += unlabelled
        for column, one in enumerate(self.fields.ids):
            unseen = int((ids[:, column] == UNSEEN).sum())
            self.counts.unseen[one.name] = self.counts.unseen.get(one.name, 0) + unseen

    def _batch(
        self, table: pa.Table, ids: Ints, label: Ints, history: History, rows: Ints
    ) -> Batch:
        position = np.ones(len(rows), np.int64)
        if self.fields.position:
            raw = table[self.fields.position].to_numpy()[rows]
            position = np.nan_to_num(raw.astype(float), nan=1).astype(np.int64)
        numbers = read_numbers(table, self.fields)[rows]
        self.counts.missing_numbers += int(np.isnan(numbers).sum())
        numbers = np.nan_to_num((numbers - self.scale.mean) / self.scale.deviation)
        return Batch(
            torch.from_numpy(ids[rows]),
            torch.from_numpy(numbers.astype(np.float32)),
            torch.from_numpy(position.clip(1, self.fields.positions)),
            torch.from_numpy(history.of(ids[rows, self.fields.place("user")])),
            torch.from_numpy(label[rows].astype(np.float32)),
        )


def read_blocks(log: Path, columns: tuple[str, ...], counts: Counts) -> Iterator[pa.Table]:
    """Blocks of at most BLOCK rows, part by part; a part that cannot be read is counted and left.

    Raises InputError where a part lacks a column, or where no part can be read.
    """
    parts = log_parts(log)
    good = 0
    for part in parts:
        try:
            file = pq.ParquetFile(part)
        except (pa.ArrowInvalid, OSError):
            counts.broken_parts += 1
            continue
        if missing := set(columns) - set(file.schema_arrow.names):
            raise InputError(
                f"{part}: no column {sorted(missing)}; it has {file.schema_arrow.names}. "
                "The fields file says which column is which"
            )
        good += 1
        try:
            for block in file.iter_batches(BLOCK, columns=list(columns)):
                if block.num_rows:
                    yield pa.Table.from_batches([block])
        except (pa.ArrowInvalid, OSError):
            counts.broken_parts += 1
    if not good:
        raise InputError(f"{log}: none of its {len(parts)} Parquet parts can be read")


def read_labels(column: pa.ChunkedArray, name: str) -> Ints:
    """Labels as 0 or 1, -1 where there is none; "0", "1", "true" and "false" are understood.

    Raises InputError for anything else, with what was got.
    """
    if pa.types.is_integer(column.type) and not column.null_count:
        numbers = column.to_numpy()
        if not np.isin(numbers, (0, 1)).all():
            raise InputError(f"{name}: got {_odd(numbers)}; a label is 0 or 1")
        return np.asarray(numbers.astype(np.int64))
    values = column.to_pylist()
    found = np.array(
        [-1 if value is None else LABELS.get(str(value).strip().lower(), -2) for value in values],
        np.int64,
    )
    if (found == -2).any():
        odd = values[int((found == -2).argmax())]
        raise InputError(f"{name}: got {odd!r}; a label is 0 or 1")
    return found


def read_numbers(table: pa.Table, fields: Fields) -> NDArray[np.float64]:
    """The number fields (n, N), ln(1 + x) where declared, nan where missing."""
    columns = []
    for one in fields.numbers:
        values = table[one.column].to_numpy().astype(np.float64)
        columns.append(np.log1p(np.maximum(values, 0)) if one.log else values)
    return np.stack(columns, axis=1) if columns else np.zeros((table.num_rows, 0))


def _odd(values: NDArray[Any]) -> Any:
    return values[~np.isin(values, (0, 1))][0]


def _each(make: Callable[..., Tensor], *batches: Batch) -> Batch:
    names = ("ids", "numbers", "position", "behaviour", "label")
    return Batch(*(make(*(getattr(batch, name) for batch in batches)) for name in names))


def _join(one: Batch, other: Batch) -> Batch:
    return _each(lambda a, b: torch.cat([a, b]), one, other)


def _slice(batch: Batch, rows: slice) -> Batch:
    return _each(lambda tensor: tensor[rows], batch)
