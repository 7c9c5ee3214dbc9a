"""Judge a file of pairs into a file of verdicts, row by row in the same order; stops and goes on.

Each row is on disk as soon as its batch is done, so a killed run loses at most what is in flight.
Going on goes by what a row holds: rows that were added are judged, rows that were changed and rows
whose image was replaced are judged again, the others are kept. Beside OUT stands OUT.meta.json,
which says what OUT was made from: only the same model goes on, and never with another file.
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from filelock import FileLock, Timeout
from tqdm import tqdm

from creative4u.errors import InputError, WriteError
from creative4u.files.origin import whole_file
from creative4u.files.pairs_file import count_rows
from creative4u.files.verdict_file import CONTENT, origin_file, pairs_hash, read_origin
from creative4u.selector.judge import Selects
from creative4u.serving.batch.local_engine import InProcess
from creative4u.serving.batch.pending_rows import TOLD, Source
from creative4u.serving.batch.resume_journal import (
    check_out,
    drop_cut_line,
    journal_file,
    kept_rows,
    publish,
)
from creative4u.serving.files.verdict_metrics import Tally
from creative4u.serving.files.verdict_row import origin_of
from creative4u.user_paths import is_file, short_name

OTHER_NAME = "choose another name or start over with --no-resume"
_log = logging.getLogger(__name__)


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
        InputError: unreadable input, or `out` is of another input or model, or in use.
        KeyboardInterrupt: as pressed; everything judged so far is on disk.
    """
    config = config or BatchConfig()
    check_out(out)
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
    except OSError as error:
        raise WriteError(_what_is_safe(out, error)) from error


def _what_is_safe(out: Path, error: OSError) -> str:
    """The line for a run that the disk stopped."""
    journal = journal_file(out)
    drop = "" if not is_file(journal) else f"what was judged is safe in {short_name(journal)}; "
    why = error.strerror or str(error)
    return (
        f"{short_name(out)}: {why[:1].lower()}{why[1:]}; {drop}make room or give permission, then "
        "give the same command again: it goes on"
    )


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
    again = out.with_name(out.name + ".retry")  # the new file while rows are judged again
    origin = origin_of(pairs, engine.model, engine.dtype)
    _same_origin(out, origin, config, again)
    drop_cut_line(journal)
    state = _compared(pairs, out, total)
    goal = total if config.limit is None else min(total, max(config.limit, state.rows))
    whole = Source(pairs, out.parent, 0, goal)
    rewrite = state.rows > 0 and (config.retry_errors or state.same < state.rows)
    tally, target = Tally(), journal
    if rewrite:
        target = again
        drop_cut_line(again)
        if _same_rows(again, whole) < sum(1 for _ in kept_rows(again)):
            again.unlink()  # of a run before the last change
    for kept in kept_rows(target):  # what an earlier run has done
        tally.add(kept)
    source = replace(
        whole,
        start=tally.n,
        old=journal if rewrite else None,
        keep_errors=not config.retry_errors,
    )
    with (
        target.open("a", encoding="utf-8", errors="backslashreplace") as file,
        tqdm(total=goal, initial=tally.n, unit="pair", disable=not config.progress) as bar,
    ):
        for row in engine.judged(source) if tally.n < goal else ():
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            tally.add(row)
            bar.set_postfix(tally.counts(), refresh=False)
            bar.update()
    if rewrite:
        os.replace(again, journal)
    _write_origin(out, origin)
    publish(out)
    return tally.figures()


def _same_origin(out: Path, origin: dict[str, str], config: BatchConfig, again: Path) -> None:
    """Start `out` with its origin beside it, or check that model and dtype are the same."""
    beside, journal = origin_file(out), journal_file(out)
    if not journal.exists() and out.exists() and config.resume:
        raise InputError(
            f"{out} exists and {journal.name} does not, so it cannot go on; "
            "choose another name or start over with --no-resume"
        )
    if not journal.exists() or not config.resume:
        for stale in (out, journal, again):
            stale.unlink(missing_ok=True)
        _write_origin(out, origin)
        return
    before = read_origin(out)
    if not before:
        raise InputError(
            f"{out} exists and {beside.name} does not, so what it was made from is unknown; "
            "choose another name or start over with --no-resume"
        )
    dtype = before.get("dtype")  # a server's file does not say
    if dtype is not None and dtype != origin.get("dtype"):
        raise InputError(
            f"{out} was made with dtype {dtype}, not {origin.get('dtype', 'that of a server')}; "
            f"go on with the same --dtype, {OTHER_NAME}"
        )
    if before.get("model") != origin["model"]:
        both = "pairs and " if before.get("pairs_sha256") != origin["pairs_sha256"] else ""
        raise InputError(f"{out} was made from other {both}model; {OTHER_NAME}")


def _write_origin(out: Path, origin: Mapping[str, str]) -> None:
    with whole_file(origin_file(out)) as file:
        file.write(json.dumps(origin, indent=1) + "\n")


@dataclass(frozen=True)
class _State:
    """How many rows a journal has, and how many of them, from the first on, are still the same."""

    rows: int
    same: int


def _compared(pairs: Path, out: Path, total: int) -> _State:
    """Compare the journal with the input; raises InputError where that is another file's."""
    journal = journal_file(out)
    kept = [(row["pair_id"], row.get(CONTENT), "error" in row) for row in kept_rows(journal)]
    before, now = read_origin(out), pairs_hash(pairs)
    same_file = before.get("pairs_sha256") == now
    other = f"{out} was made from other pairs than {short_name(pairs)}; {OTHER_NAME}"
    if len(kept) > total or (not same_file and any(content is None for _, content, _ in kept)):
        raise InputError(other)
    rows = Source(pairs, out.parent, 0, total)
    same = _same_rows(journal, rows) if kept else 0
    if same == len(kept):
        return _State(len(kept), same)
    input_ids: list[str] = []
    contents: Counter[str] = Counter()
    for told, _ in rows:
        input_ids.append(told["pair_id"])
        contents[told[CONTENT]] += 1
    judged = Counter(str(content) for _, content, failed in kept if not failed)
    left = (judged & contents).total()
    ids = sum(one == other for (one, _, _), other in zip(kept, input_ids, strict=False))
    edited = before.get("pairs") == pairs.name and 2 * ids >= len(kept)
    if not (same_file or edited or 2 * left >= judged.total()):
        raise InputError(other)
    _log.warning(
        "%s: %d of %d verdicts are of rows as they are now; the other rows are judged again",
        short_name(out), left, judged.total(),
    )  # fmt: skip
    return _State(len(kept), same)


def _same_rows(journal: Path, rows: Iterable[tuple[dict[str, Any], Any]]) -> int:
    """How many rows of a journal, from the first on, are what the input has in their place."""
    same = 0
    for kept, (told, _) in zip(kept_rows(journal), rows, strict=False):
        keys = TOLD if CONTENT in kept else TOLD - {CONTENT}
        if any(kept.get(key) != told.get(key) for key in keys):
            return same
        same += 1
    return same
