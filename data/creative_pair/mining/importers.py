"""Import public shapes of creative data as a log and an image folder.

Run: creative4u data import --source FILE --images DIR --out DIR

- impression rows: Parquet or CSV with item_id, image, date, impressions, clicks;
- creatives with metrics: CSV with an image column and impressions and clicks (or a CTR);
- an image folder with metadata.jsonl whose rows carry impressions and clicks;
- feedback exported from the page: CreativePair rows in JSONL; they are pairs already.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from pydantic import ValidationError

from creative4u.errors import InputError
from creative4u.schema import CreativePair
from data.creative_pair.mining.count_log import ALIASES, quote
from data.creative_pair.rows import METADATA, rebase_images, write_pairs
from data.world.market.impression_log import write_parquet

NAMES = {**ALIASES, "image": ("image", "file_name", "image_path", "creative", "picture"),
         "title": ("title", "product_title", "name", "product_name"),
         "ctr": ("ctr", "click_through_rate")}
FEEDBACK = "feedback"  # the tag of pairs that people judged on the page


@dataclass(frozen=True)
class Imported:
    """What was written: `log` for `mine` (None for feedback), rows used and rows refused."""

    folder: Path
    log: Path | None
    rows: int
    rejects: dict[str, int]


def import_creatives(source: Path, images: Path, out: Path) -> Imported:
    """Write `out`/log.parquet and the image folder's metadata.jsonl (where it has none).

    `source` is a Parquet, CSV or metadata.jsonl file with counts. Impossible numbers are left to
    `mine`, which rejects them with a reason; here only rows without an image, or with a CTR but no
    impressions, are refused. Raises InputError where the columns do not name image and counts.
    """
    used: list[dict[str, Any]] = []
    rejects: list[dict[str, Any]] = []
    for row in _rows(source):
        image = str(row.get("image") or "")
        clicks = row.get("clicks")
        if clicks is None and row.get("ctr") is not None and row.get("impressions"):
            clicks = round(float(row["ctr"]) * float(row["impressions"]))
        if not image or clicks is None or row.get("impressions") is None:
            rejects.append({"reason": "no image" if not image else "no counts", "row": row})
            continue
        used.append({"product_id": str(row.get("product_id") or Path(image).parent.name),
                     "creative_id": image, "impressions": int(row["impressions"]),
                     "clicks": int(clicks), "query": row.get("query"),
                     "title": str(row.get("title") or row.get("product_id") or image)})
    out.mkdir(parents=True, exist_ok=True)
    columns = ["product_id", "creative_id", "impressions", "clicks"]
    if any(row["query"] is not None for row in used):
        columns.append("query")
    write_parquet(pa.Table.from_pylist([{name: row[name] for name in columns} for row in used]),
                  out / "log.parquet")
    if not (images / METADATA).exists():
        known = {row["creative_id"]: row for row in used}
        part = images / f"{METADATA}.part"
        part.write_text("".join(json.dumps(
            {"file_name": name, "creative_id": name, "product_id": row["product_id"],
             "title": row["title"]}, ensure_ascii=False) + "\n"
            for name, row in known.items()), "utf-8")
        part.replace(images / METADATA)
    _write_rejects(rejects, out)
    return Imported(out, out / "log.parquet", len(used), _counted(rejects))


def import_feedback(source: Path, out: Path) -> Imported:
    """CreativePair rows exported from the page become pairs tagged "feedback", all for training.

    Rows without a clear label (tie, both bad) or that are no pairs are refused with the reason.
    """
    used, rejects = [], []
    for number, line in enumerate(source.read_text("utf-8").splitlines(), 1):
        try:
            pair = CreativePair.model_validate_json(line)
        except ValidationError as error:
            said = error.errors()[0]["msg"]
            rejects.append({"reason": "no creative pair", "row": {"line": number, "error": said}})
            continue
        if pair.label is None:
            rejects.append({"reason": "no clear label", "row": {"pair_id": pair.pair_id}})
            continue
        used.append(pair.model_copy(update={
            "split": pair.split or "train", "tags": tuple(dict.fromkeys((*pair.tags, FEEDBACK)))}))
    write_pairs(rebase_images(used, source.parent, out), out)
    _write_rejects(rejects, out)
    return Imported(out, None, len(used), _counted(rejects))


def _rows(source: Path) -> Iterator[dict[str, Any]]:
    """Rows by our names, whatever the file calls them."""
    if not source.is_file():
        raise InputError(f"no file at {source}")
    reader = {".csv": "read_csv", ".parquet": "read_parquet"}.get(source.suffix, "read_json_auto")
    try:
        table = duckdb.connect().execute(f"FROM {reader}({quote(str(source))})")
    except duckdb.Error as error:
        raise InputError(f"{source} cannot be read: {str(error).splitlines()[0]}") from error
    columns = [column[0] for column in table.description]
    ours = {name: next((column for column in theirs if column in columns), None)
            for name, theirs in NAMES.items()}
    if not (ours["image"] and ours["impressions"] and (ours["clicks"] or ours["ctr"])):
        raise InputError(f"{source} has columns {', '.join(columns)}; needed are an image, "
                         "impressions, and clicks or a CTR")
    while batch := table.fetchmany(10_000):
        for values in batch:
            row = dict(zip(columns, values, strict=True))
            yield {name: row[column] for name, column in ours.items() if column is not None}


def _counted(rejects: list[dict[str, Any]]) -> dict[str, int]:
    reasons = [row["reason"] for row in rejects]
    return {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}


def _write_rejects(rejects: list[dict[str, Any]], out: Path) -> None:
    (out / "rejects.jsonl").write_text("".join(
        json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rejects), "utf-8")
