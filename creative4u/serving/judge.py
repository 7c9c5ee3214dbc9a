"""A file of pairs in, a file of verdicts out, row by row in the same order; stops and goes on.

Each row is on disk as soon as its batch is done, so a killed run loses at most that batch. Beside
OUT stands OUT.meta.json, which says what OUT was made from: only the same input and model go on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol

from filelock import FileLock, Timeout
from tqdm import tqdm

from creative4u.errors import CompletionError, Creative4UError, InputError, RefusedError
from creative4u.schema import Verdict
from creative4u.selector.judge import PairRequest
from creative4u.serving.ahead import ahead
from creative4u.serving.evaluate import Tally, read_verdicts
from creative4u.serving.pairs import PairRow, RowError, count_rows, read_pairs
from creative4u.serving.verdict_row import (
    error_row,
    origin_file,
    origin_of,
    outcome_fields,
    prepared,
)

AHEAD = 16  # pairs whose images are decoded while the batch before them is judged
WAITING = 512  # rows held back at most, so that the order of rows never depends on timing


class Selects(Protocol):
    """What the batch judge needs of a judge."""

    model: str

    def select_many(
        self, requests: Sequence[PairRequest]
    ) -> Sequence[Verdict | Creative4UError]: ...


@dataclass(frozen=True)
class BatchConfig:
    """How a file is judged; the defaults go on where an earlier run stopped."""

    batch_size: int = 8  # pairs; each is judged in both orders at once
    resume: bool = True  # False starts over
    retry_errors: bool = False  # judge again what ended in an error, keep the rest
    limit: int | None = None  # stop after this many rows of the input
    progress: bool = True


def judge_pairs(
    pairs: Path, out: Path, judge: Selects, config: BatchConfig | None = None
) -> dict[str, Any]:
    """Judge a file of pairs.

    Args:
        pairs: JSONL, CSV or Parquet (see `read_pairs`).
        out: the JSONL file of verdicts; a row has pair_id, image_a and image_b (relative to `out`),
            label and tags where known, and the verdict's fields or `error: {code, message}`.
        judge: anything with `model` and `select_many`.
        config: batch size, resuming, limit.

    Returns:
        The figures of all rows in `out` (`evaluate.Tally.figures`).

    Raises:
        InputError: unreadable input, or `out` is of another input or model, or in use.
        KeyboardInterrupt: as pressed; everything judged so far is on disk.
    """
    config = config or BatchConfig()
    if out.suffix.lower() != ".jsonl":
        raise InputError(f"{out}: verdicts are written as .jsonl")
    if not out.parent.is_dir():
        raise InputError(f"{out.parent}: no such folder")
    total = count_rows(pairs)
    try:
        with FileLock(f"{out}.lock", timeout=0) as lock:
            try:
                return _run(pairs, out, judge, config, total)
            finally:
                Path(lock.lock_file).unlink(missing_ok=True)
    except Timeout:
        raise InputError(f"{out}: another run is writing it") from None


def _run(pairs: Path, out: Path, judge: Selects, config: BatchConfig, total: int) -> dict[str, Any]:
    again = out.with_name(out.name + ".retry")  # the new file while errors are tried again
    _same_origin(pairs, out, judge.model, config, again)
    _drop_cut_line(out)
    done = sum(1 for _ in _rows(out))
    goal = total if config.limit is None else min(total, max(config.limit, done))
    old = iter(_rows(out)) if config.retry_errors and done else None
    target = again if old else out
    _drop_cut_line(target)
    rows = islice(read_pairs(pairs), goal)
    tally = Tally()
    for kept in _rows(target):  # what an earlier run has done
        _check_match(kept, next(rows, None), target)
        if old:
            next(old, None)
        tally.add(kept)
    with (
        target.open("a", encoding="utf-8") as file,
        tqdm(total=goal, initial=tally.n, unit="pair", disable=not config.progress) as bar,
    ):
        loaded = ahead(_prepared(rows, old, out.parent), min(AHEAD, config.batch_size))
        for row in _judged(loaded, judge, config.batch_size):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            tally.add(row)
            bar.set_postfix(tally.counts(), refresh=False)
            bar.update()
    if old:
        os.replace(again, out)
    return tally.figures()


def _prepared(
    rows: Iterator[PairRow | RowError], old: Iterator[dict[str, Any]] | None, folder: Path
) -> Iterator[tuple[dict[str, Any], PairRequest | None]]:
    """Each row with what to ask for it; no request for what is known already or cannot be asked."""
    for row in rows:
        before = next(old, None) if old else None
        if before is not None and not before.get("error"):
            yield before, None
        elif isinstance(row, RowError):
            yield error_row(row), None
        else:
            yield prepared(row, folder)


def _judged(
    rows: Iterator[tuple[dict[str, Any], PairRequest | None]], judge: Selects, batch_size: int
) -> Iterator[dict[str, Any]]:
    """Rows in their order; those with a request wait until a batch of them is full."""
    ready: list[dict[str, Any]] = []
    asked: list[tuple[int, PairRequest]] = []  # where in `ready`, and what

    def flush() -> list[dict[str, Any]]:
        for (place, _), outcome in zip(asked, _asked(judge, asked), strict=True):
            ready[place] |= outcome_fields(outcome)
        done = ready[:]
        ready.clear()
        asked.clear()
        return done

    for told, request in rows:
        if request is not None:
            asked.append((len(ready), request))
        ready.append(told)
        if len(asked) >= batch_size or len(ready) >= WAITING:
            yield from flush()
    yield from flush()


def _asked(
    judge: Selects, asked: Sequence[tuple[int, PairRequest]]
) -> Sequence[Verdict | Creative4UError]:
    if not asked:
        return []
    try:
        return judge.select_many([request for _, request in asked])
    except (CompletionError, RefusedError) as error:
        if len(asked) == 1:
            return [error]
        return [outcome for one in asked for outcome in _asked(judge, [one])]  # one is to blame
    except Creative4UError as error:  # the whole batch failed: each of its rows says so
        return [error] * len(asked)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    return (dict(row) for row in read_verdicts(path)) if path.exists() else iter(())


def _same_origin(pairs: Path, out: Path, model: str, config: BatchConfig, again: Path) -> None:
    """Start `out` with its origin beside it, or check that it has the same one."""
    beside = origin_file(out)
    origin = origin_of(pairs, model)
    if not out.exists() or not config.resume:
        out.unlink(missing_ok=True)
        again.unlink(missing_ok=True)
        beside.write_text(json.dumps(origin, indent=1) + "\n", "utf-8")
        return
    if not beside.exists():
        raise InputError(
            f"{out} exists and {beside.name} does not, so what it was made from is unknown; "
            "choose another name or start over with --no-resume"
        )
    before = json.loads(beside.read_text("utf-8"))
    changed = [key for key in origin if before.get(key) != origin[key]]
    if changed:
        names = " and ".join({"pairs_sha256": "pairs", "model": "model"}[key] for key in changed)
        raise InputError(
            f"{out} was made from other {names}; choose another name or start over with --no-resume"
        )


def _check_match(kept: dict[str, Any], row: PairRow | RowError | None, path: Path) -> None:
    if row is None or kept["pair_id"] != row.pair_id:
        got = "the end of the input" if row is None else f"pair {row.pair_id}"
        raise InputError(f"{path}: holds pair {kept['pair_id']} where the input has {got}")


def _drop_cut_line(path: Path) -> None:
    """Cut off what a killed run left after the last whole line."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        file.truncate(_end_of_last_line(file))


def _end_of_last_line(file: IO[bytes], step: int = 1 << 16) -> int:
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - step)
        file.seek(start)
        cut = file.read(end - start).rfind(b"\n")
        if cut >= 0:
            return start + cut + 1
        end = start
    return 0
