"""Import creative data of public shapes, as a log and a list of creatives that `mine` reads.

Run: creative4u data import --source FILE --images DIR --out DIR

- impression rows: Parquet, CSV, TSV or JSONL with product, image, impressions and clicks (or a
  CTR), or one row an impression with a click of 0 or 1;
- exports of ad platforms (`--from google-ads`), with their title lines and totals rows;
- an image folder's metadata.jsonl whose rows carry impressions and clicks;
- feedback exported from the page: CreativePair rows in JSONL; they are pairs already.

Nothing is written into the image folder.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import duckdb
from pydantic import ValidationError

from creative4u.errors import InputError
from creative4u.log_import.columns import LogFormat
from creative4u.log_import.image_files import ImageFolder
from creative4u.log_import.imported import (
    Rejects,
    check_target,
    rejected_rows,
    write_origin,
)
from creative4u.log_import.log import Log
from creative4u.log_import.numbers import quote
from creative4u.log_import.open_log import open_log, read_days
from creative4u.schema import CreativePair
from data.creative_pair.mining.image_metadata import CREATIVES
from data.creative_pair.rows import rebase_images, write_pairs

FEEDBACK = "feedback"  # the tag of pairs that people judged on the page


@dataclass(frozen=True)
class Imported:
    """What was written: `log` for `mine` (None for feedback), rows used and rows refused.

    `columns` are our names to the source's, `notes` what was decided by its own evidence.
    """

    folder: Path
    log: Path | None
    rows: int
    rejects: dict[str, int]
    creatives: int = 0
    first_day: str | None = None
    last_day: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def import_creatives(
    source: Path, images: Path, out: Path, read_as: LogFormat | None = None
) -> Imported:
    """Write `out`/log.parquet, creatives.jsonl, rejects.jsonl and import.json.

    Args:
        source: a file with counts.
        images: the image folder; only read. An image is found by its path, its file's name, or that
            without its ending.
        out: a folder that holds no import of another source.
        read_as: what the user says of the source.

    Raises InputError where the columns do not name images and counts, or no row can be imported.
    """
    check_target(out, source, images)
    folder = ImageFolder(images)
    log = open_log([str(source)], out / ".work", read_as, needed=("image",))
    notes, days = list(log.notes), None
    try:
        days = read_days(log, read_as)
    except InputError as error:  # no day is needed here
        notes.append(f"days are not read: {error}")
    if "product_id" not in log.columns:
        notes.append("no column names the product: it is the image's folder, or else one product "
                     "for all rows; --column product_id=NAME names it")
    with duckdb.connect() as db:
        db.execute("SET enable_progress_bar = false")
        try:
            rejects = _count_rows(db, log, folder)
            used = _write_log(db, log, source.stem, out)
        except duckdb.Error as error:
            said = str(error).splitlines()[0]
            raise InputError(f"{source} cannot be read: {said}") from error
    rejects.write(out)
    if not used:
        raise rejects.nothing_left(source, out)
    found = Imported(out, out / "log.parquet", used["rows"], dict(rejects.counts),
                     used["creatives"], days.first if days else None, days.last if days else None,
                     log.columns, tuple(notes))
    write_origin(out, source, {name: value for name, value in asdict(found).items()
                               if name not in ("folder", "log")})
    return found


def _count_rows(db: duckdb.DuckDBPyConnection, log: Log, folder: ImageFolder) -> Rejects:
    """Make table `sums` (image, product, title, query, impressions, clicks, n, file, folder)."""
    shown = f"sum({log.number('impressions')})" if log.summed else "count(*)"
    clicks = f"sum({log.number('clicks' if log.summed else 'click')})"
    image = f"coalesce({log.text('image')}, {log.text('creative_id')})::VARCHAR"
    db.execute(f"""CREATE TEMP TABLE found AS SELECT {image} AS image,
        {log.text("product_id")}::VARCHAR AS product, {log.text("query")}::VARCHAR AS query,
        min({log.text("title")}::VARCHAR) AS title, {shown}::BIGINT AS impressions,
        {clicks}::BIGINT AS clicks, count(*) AS n
        FROM {log.source} WHERE {log.good_row()} GROUP BY 1, 2, 3""")
    rejects = rejected_rows(db, log, log.good_row(), log.reason())
    db.execute("CREATE TEMP TABLE files (image VARCHAR, file VARCHAR, folder VARCHAR)")
    for name, rows in db.execute("SELECT image, sum(n)::BIGINT FROM found GROUP BY 1 ORDER BY 1"
                                 ).fetchall():
        file = folder.find(name)
        if file is None:
            rejects.add("image not in the folder", {"image": name}, rows)
            continue
        inside = file.relative_to(folder.folder)
        db.execute("INSERT INTO files VALUES (?, ?, ?)", [name, inside.as_posix(),
                                                          inside.parent.name])
    db.execute("CREATE TEMP TABLE sums AS FROM found JOIN files USING (image)")
    return rejects


def _write_log(db: duckdb.DuckDBPyConnection, log: Log, product: str, out: Path) -> dict[str, int]:
    """Write log.parquet and creatives.jsonl from `sums`; rows and creatives, {} where none is."""
    (rows,) = db.execute("SELECT sum(n)::BIGINT FROM sums").fetchone() or (None,)
    if not rows:
        return {}
    out.mkdir(parents=True, exist_ok=True)
    named = f"coalesce(product, nullif(folder, ''), {quote(product)})"
    query = ", query" if "query" in log.columns else ""
    part = out / "log.part"
    db.execute(f"""COPY (SELECT {named} AS product_id, image AS creative_id, impressions,
        clicks{query} FROM sums ORDER BY ALL) TO {quote(str(part))}
        (FORMAT parquet, COMPRESSION zstd)""")
    part.replace(out / "log.parquet")
    names = ("file_name", "creative_id", "product_id", "title")
    listed = db.execute(f"SELECT min(file), image, min({named}), coalesce(min(title), min({named}))"
                        " FROM sums GROUP BY image ORDER BY image").fetchall()
    lines = [dict(zip(names, row, strict=True)) for row in listed]
    part = out / f"{CREATIVES}.part"
    part.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    part.replace(out / CREATIVES)
    return {"rows": rows, "creatives": len(lines)}


def import_feedback(source: Path, out: Path) -> Imported:
    """CreativePair rows exported from the page become pairs tagged "feedback", all for training.

    Rows without a clear label (tie, both bad) or that are no pairs are refused with the reason.
    """
    used, rejects = [], Rejects()
    for number, line in enumerate(source.read_text("utf-8").splitlines(), 1):
        try:
            pair = CreativePair.model_validate_json(line)
        except ValidationError as error:
            said = error.errors()[0]["msg"]
            rejects.add("no creative pair", {"line": number, "error": said})
            continue
        if pair.label is None:
            rejects.add("no clear label", {"pair_id": pair.pair_id})
            continue
        used.append(pair.model_copy(update={
            "split": pair.split or "train", "tags": tuple(dict.fromkeys((*pair.tags, FEEDBACK)))}))
    write_pairs(rebase_images(used, source.parent, out), out)
    rejects.write(out)
    return Imported(out, None, len(used), dict(rejects.counts))
