"""A file of pairs in, a file of verdicts out, row by row in the same order; stops and goes on.

Each row is on disk as soon as its batch is done, so a killed run loses at most what is in flight.
Beside OUT stands OUT.meta.json, which says what OUT was made from: only the same input, model and
dtype go on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from filelock import FileLock, Timeout
from tqdm import tqdm

from creative4u.errors import InputError
from creative4u.selector.judge import Selects
from creative4u.serving.evaluate import Tally
from creative4u.serving.in_process import InProcess
from creative4u.serving.journal import drop_cut_line, journal_file, kept_rows, publish
from creative4u.serving.pairs import PairRow, RowError, count_rows, read_pairs
from creative4u.serving.source import Source
from creative4u.serving.verdict_row import origin_file, origin_of


@runtime_checkable
class Engine(Protocol):
    """What judges rows: `in_process.InProcess`, `ray_engine.RayEngine`."""

    @property
    def model(self) -> str: ...

    @property
    def dtype(self) -> str | None: ...

    def judged(self, source: Source) -> Iterator[dict[str, Any]]: ...


@runtime_checkable
class SharesCores(Protocol):
    """A backend in this process that can take several calls at once: `LocalBackend`."""

    def share_cores(self) -> int: ...


@dataclass(frozen=True)
class BatchConfig:
    """How a file is judged; the defaults go on where an earlier run stopped."""

    batch_size: int = 8  # pairs; each is judged in both orders at once
    in_flight: int | None = None  # batches; None: as many as a judge in this process has cores for
    resume: bool = True  # False starts over
    retry_errors: bool = False  # judge again what ended in an error, keep the rest
    limit: int | None = None  # stop after this many rows of the input
    progress: bool = True


def judge_pairs(
    pairs: Path, out: Path, judge: Selects | Engine, config: BatchConfig | None = None
) -> dict[str, Any]:
    """Judge a file of pairs.

    Args:
        pairs: JSONL, CSV or Parquet (see `read_pairs`).
        out: the JSONL or Parquet file of verdicts; a row has pair_id, image_a and image_b (relative
            to `out`), label and tags where known, and the verdict's fields or
            `error: {code, message}`.
        judge: anything with `model` and `select_many`, or an engine.
        config: batch size, resuming, limit.

    Returns:
        The figures of all rows in `out` (`evaluate.Tally.figures`).

    Raises:
        InputError: unreadable input, or `out` is of another input, model or dtype, or in use.
        KeyboardInterrupt: as pressed; everything judged so far is on disk.
    """
    config = config or BatchConfig()
    journal_file(out)  # before anything is read: can it be written?
    total = count_rows(pairs)
    engine = _engine(judge, config, total if config.limit is None else min(total, config.limit))
    try:
        with FileLock(f"{out}.lock", timeout=0) as lock:
            try:
                return _run(pairs, out, engine, config, total)
            finally:
                Path(lock.lock_file).unlink(missing_ok=True)
    except Timeout:
        raise InputError(f"{out}: another run is writing it") from None


def _engine(judge: Selects | Engine, config: BatchConfig, count: int) -> Engine:
    """`count` pairs are cut so that each core has some."""
    if isinstance(judge, Engine):
        return judge
    if config.in_flight is not None:
        return InProcess(judge, config.batch_size, config.in_flight)
    backend = getattr(judge, "backend", None)
    in_flight = backend.share_cores() if isinstance(backend, SharesCores) else 1
    return InProcess(judge, min(config.batch_size, max(1, -(-count // in_flight))), in_flight)


def _run(pairs: Path, out: Path, engine: Engine, config: BatchConfig, total: int) -> dict[str, Any]:
    journal = journal_file(out)
    again = out.with_name(out.name + ".retry")  # the new file while errors are tried again
    _same_origin(out, origin_of(pairs, engine.model, engine.dtype), config, again)
    drop_cut_line(journal)
    done = sum(1 for _ in kept_rows(journal))
    goal = total if config.limit is None else min(total, max(config.limit, done))
    retry = config.retry_errors and done > 0
    target = again if retry else journal
    drop_cut_line(target)
    rows, tally = read_pairs(pairs), Tally()
    for kept in kept_rows(target):  # what an earlier run has done
        _check_match(kept, next(rows, None), target)
        tally.add(kept)
    source = Source(pairs, out.parent, tally.n, goal, journal if retry else None)
    with (
        target.open("a", encoding="utf-8") as file,
        tqdm(total=goal, initial=tally.n, unit="pair", disable=not config.progress) as bar,
    ):
        for row in engine.judged(source) if tally.n < goal else ():
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            tally.add(row)
            bar.set_postfix(tally.counts(), refresh=False)
            bar.update()
    if retry:
        os.replace(again, journal)
    publish(out)
    return tally.figures()


def _same_origin(out: Path, origin: dict[str, str], config: BatchConfig, again: Path) -> None:
    """Start `out` with its origin beside it, or check that it has the same one."""
    beside, journal = origin_file(out), journal_file(out)
    if not journal.exists() and out.exists() and config.resume:
        raise InputError(
            f"{out} exists and {journal.name} does not, so it cannot go on; "
            "choose another name or start over with --no-resume"
        )
    if not journal.exists() or not config.resume:
        for stale in (out, journal, again):
            stale.unlink(missing_ok=True)
        beside.write_text(json.dumps(origin, indent=1) + "\n", "utf-8")
        return
    if not beside.exists():
        raise InputError(
            f"{out} exists and {beside.name} does not, so what it was made from is unknown; "
            "choose another name or start over with --no-resume"
        )
    before = json.loads(beside.read_text("utf-8"))
    dtype = before.get("dtype")  # a server's file does not say
    if dtype is not None and dtype != origin.get("dtype"):
        raise InputError(
            f"{out} was made with dtype {dtype}, not {origin.get('dtype', 'that of a server')}; "
            "go on with the same --dtype, choose another name or start over with --no-resume"
        )
    changed = [key for key in ("pairs_sha256", "model") if before.get(key) != origin[key]]
    if changed:
        names = " and ".join({"pairs_sha256": "pairs", "model": "model"}[key] for key in changed)
        raise InputError(
            f"{out} was made from other {names}; choose another name or start over with --no-resume"
        )


def _check_match(kept: dict[str, Any], row: PairRow | RowError | None, path: Path) -> None:
    if row is None or kept["pair_id"] != row.pair_id:
        got = "the end of the input" if row is None else f"pair {row.pair_id}"
        raise InputError(f"{path}: holds pair {kept['pair_id']} where the input has {got}")
