"""Read the rows of a file of pairs that are still to be judged: what is known of each, what to ask.

A verdict that an earlier run wrote is found by the row's content, not by its place: rows may be
added, moved or mended in between, and an image may be replaced.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from creative4u.files.pairs_file import PairRow, RowError, read_pairs
from creative4u.files.verdict_file import CONTENT
from creative4u.serving.batch.resume_journal import Earlier
from creative4u.serving.files.verdict_row import error_row

Told = dict[str, Any]
TOLD = frozenset({"pair_id", "image_a", "image_b", "label", "tags", CONTENT})


@dataclass(frozen=True)
class Source:
    """Rows `start` to `stop` (exclusive) of a file of pairs; small, so that it travels.

    `folder` is what image paths in the told rows are relative to. `old` is a journal of verdicts:
    a row whose content it has is told as it is there and not asked again, an error there only
    where `keep_errors`.
    """

    pairs: Path
    folder: Path
    start: int
    stop: int
    old: Path | None = None
    keep_errors: bool = False

    def __iter__(self) -> Iterator[tuple[Told, PairRow | None]]:
        """Each row's own part of the answer, and the pair; None where there is nothing to ask."""
        with Earlier(self.old) as earlier:
            rows = islice(read_pairs(self.pairs, skip=self.start), self.stop - self.start)
            for place, row in enumerate(rows, start=self.start):
                known = told(row, self.folder)
                before = earlier.take(known[CONTENT], place)
                if isinstance(row, RowError):
                    yield known, None
                elif before is not None and (self.keep_errors or not before.get("error")):
                    yield known | {k: v for k, v in before.items() if k not in TOLD}, None
                else:
                    yield known, row


def told(row: PairRow | RowError, folder: Path) -> Told:
    """What is known of a row before it is judged; image paths relative to `folder`."""
    if isinstance(row, RowError):
        return error_row(row) | {CONTENT: row.content()}
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
    return known | {CONTENT: row.content()}
