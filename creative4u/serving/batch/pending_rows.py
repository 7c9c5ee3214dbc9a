"""Read the rows of a pairs file that are still to be judged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from creative4u.serving.files.pairs_file import PairRow, RowError, read_pairs
from creative4u.serving.files.verdict_metrics import read_verdicts
from creative4u.serving.files.verdict_row import error_row

Told = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """Rows `start` to `stop` (exclusive) of a file of pairs; small, so that it travels.

    `folder` is what image paths in the told rows are relative to. `old` is a file of verdicts of
    the same rows: what is no error there is told as it is and not asked again.
    """

    pairs: Path
    folder: Path
    start: int
    stop: int
    old: Path | None = None

    def __iter__(self) -> Iterator[tuple[Told, PairRow | None]]:
        """Each row's own part of the answer, and the pair; None where there is nothing to ask."""
        old = islice(read_verdicts(self.old), self.start, None) if self.old else None
        for row in islice(read_pairs(self.pairs, skip=self.start), self.stop - self.start):
            before = next(old, None) if old else None
            if before is not None and not before.get("error"):
                yield dict(before), None
            elif isinstance(row, RowError):
                yield error_row(row), None
            else:
                yield told(row, self.folder), row


def told(row: PairRow, folder: Path) -> Told:
    """What is known of a pair before it is judged; image paths relative to `folder`."""
    known: Told = {"pair_id": row.pair_id}
    for key, path, data in (
        ("image_a", row.image_a, row.bytes_a),
        ("image_b", row.image_b, row.bytes_b),
    ):
        if data is None:
            known[key] = os.path.relpath(path, folder)
    if row.label is not None:
        known["label"] = row.label
    if row.tags:
        known["tags"] = list(row.tags)
    return known
