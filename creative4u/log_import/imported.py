"""Keep what an import leaves beside its log: its origin, and the rows that were left out."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from creative4u.errors import InputError
from creative4u.log_import.log import Log

ORIGIN = "import.json"
MAX_ROWS = 100_000  # rows left out that are written, of each kind; all of them are counted


@dataclass
class Rejects:
    """What was left out: how many rows for each reason, and the rows, {"reason", "row"}."""

    counts: Counter[str] = field(default_factory=Counter)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, reason: str, row: Mapping[str, Any], count: int = 1) -> None:
        """Leave out a row, or `count` rows that are alike."""
        self.counts[reason] += count
        self.rows.append({"reason": reason, "row": row})

    def write(self, out: Path) -> None:
        """Write `out`/rejects.jsonl, a row a line."""
        out.mkdir(parents=True, exist_ok=True)
        lines = (json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in self.rows)
        (out / "rejects.jsonl").write_text("".join(lines), "utf-8")

    def nothing_left(self, source: Path, out: Path) -> InputError:
        """The error of a log of which no row could be used: how many for which reason."""
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.counts.items())
        hint = "; say it with --ctr-unit" if "unit of the CTR" in reasons else ""
        return InputError(f"{source}: no row can be imported: {reasons or 'it has no rows'}{hint}; "
                          f"the rows stand in {out / 'rejects.jsonl'}")  # fmt: skip


def check_target(out: Path, source: Path, images: Path) -> None:
    """Refuse a target folder that holds the user's own files, or the import of another source.

    Raises InputError with what to do instead.
    """
    of_images = os.path.realpath(images)
    if of_images in (os.path.realpath(out), os.path.realpath(out / "images")):
        raise InputError(f"--out {out} would write into the image folder; give another folder")
    held = Path(os.path.realpath(source)).is_relative_to(os.path.realpath(out))
    if os.path.exists(source) and held:
        raise InputError(f"--out {out} holds the log itself; give another folder")
    try:
        before = json.loads((out / ORIGIN).read_text("utf-8"))["source"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if before != os.path.abspath(source):
        raise InputError(
            f"{out} holds the import of {Path(before).name}; give another --out for {source.name}, "
            "so that neither is lost"
        )


def write_origin(out: Path, source: Path, told: Mapping[str, Any]) -> None:
    """Write import.json: the source's path, its content's hash where it is a file, and `told`."""
    digest = None
    if source.is_file():
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    origin = {"source": os.path.abspath(source), "sha256": digest, **told}
    (out / ORIGIN).write_text(json.dumps(origin, ensure_ascii=False, indent=1) + "\n", "utf-8")


def rejected_rows(db: duckdb.DuckDBPyConnection, log: Log, good: str, reason: str) -> Rejects:
    """The rows of a log that are not good, each with its reason, and its unreadable lines.

    Args:
        db: a connection that has read the whole log already.
        log: the log.
        good: the SQL condition of a row that is used.
        reason: the SQL of the reason for which another is not.
    """
    db.execute(f"""CREATE OR REPLACE TEMP TABLE rejected AS SELECT {reason} AS reason,
        to_json(t)::VARCHAR AS said FROM {log.source} t WHERE ({good}) IS NOT TRUE""")
    counts = db.execute("SELECT reason, count(*) FROM rejected GROUP BY 1 ORDER BY 1").fetchall()
    rows = db.execute("FROM rejected ORDER BY reason, said LIMIT ?", [MAX_ROWS]).fetchall()
    rejects = Rejects(Counter(dict(counts)), [{"reason": why, "row": json.loads(said)}
                                              for why, said in rows])  # fmt: skip
    if log.is_csv:
        lines = db.execute(
            """SELECT parse_filename(file_path), line, min(error_message) FROM reject_errors
               JOIN reject_scans USING (scan_id, file_id) GROUP BY ALL ORDER BY ALL"""
        ).fetchall()
        for file, line, error in lines:
            rejects.add("unreadable line", {"file": file, "line": line, "error": error})
    return rejects
