"""Mine pairs.jsonl, pairs.parquet and rejects.jsonl from an impression log and an image folder.

Run: creative4u data pairs --log LOG --images DIR --out DIR
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from creative4u.log_import.columns import LogFormat
from creative4u.log_import.log import Log
from creative4u.log_import.numbers import quote
from creative4u.log_import.open_log import open_log
from creative4u.metrics import smoothed_ctr
from creative4u.schema import CreativePair
from data.creative_pair.mining.candidate_pairs import (
    Candidate,
    Filter,
    creative_cells,
    frequent_queries,
    main_pairs,
    query_pairs,
)
from data.creative_pair.mining.count_log import Limits, connect, count_log, count_sql
from data.creative_pair.mining.image_hashes import Fingerprint, fingerprints
from data.creative_pair.mining.image_metadata import Shop, read_queries, read_shop
from data.creative_pair.mining.rejected_rows import Refusals, refusals
from data.creative_pair.mining.splits import product_groups, split_products
from data.creative_pair.rows import write_pairs

Counting = Callable[[duckdb.DuckDBPyConnection, Log], None]
Progress = Callable[[str], None]
QUERIES_DECIDE = "queries decide"  # the tag of pairs whose label turns with the queries


@dataclass(frozen=True)
class MineConfig:
    """How pairs are mined; `queries` spells out query ids (by default the queries.parquet next to
    the image folder), `memory` is DuckDB's limit, `read_as` what the user says of the log."""

    rule: Filter = field(default_factory=Filter)
    queries_per_pair: int = 5
    queries: Path | None = None
    seed: int = 7
    memory: str = "2GB"
    threads: int = 2
    read_as: LogFormat = field(default_factory=LogFormat)


@dataclass(frozen=True)
class MineReport:
    """What came out: counts by split and by reason, and where the files are."""

    pairs: Path
    by_split: dict[str, int]
    queries_decide: int
    rejects: dict[str, int]
    unknown_columns: tuple[str, ...]
    columns: dict[str, str]  # our names to the log's, as they were found
    notes: tuple[str, ...]  # what was decided by the log's own evidence


def mine(log: str | Sequence[str], images: Path, out: Path, config: MineConfig | None = None,
         count: Counting = count_log, progress: Progress = lambda line: None) -> MineReport:
    """Mine creative pairs from a log of any size.

    Args:
        log: Parquet, CSV, TSV or JSONL files, folders or globs.
        images: a folder with images; its metadata.jsonl, or creatives.jsonl beside the log, which
            `data import` writes, names them (see `shop`).
        out: where the files go; what a killed run left there is used again.
        count: who makes the table of counts; `ray_count.counting_on_ray` does it on a cluster.

    Raises InputError where log or images cannot be read at all; bad rows go to rejects.jsonl (the
    first 100,000 of the log, sorted), and all of them are counted in the report.
    """
    config = config or MineConfig()
    rule, work = config.rule, out / ".work"
    spelt = read_queries(config.queries or _beside(images))
    patterns = [log] if isinstance(log, str) else list(log)
    found = open_log(patterns, work / "utf8", config.read_as)
    shop = read_shop(images, sorted({Path(path).parent for path in found.files}))
    base = connect(Limits(config.memory, config.threads, work / "spill"))
    progress(f"log: {len(found.files)} files")
    for note in found.notes:
        progress(f"log: {note}")
    refused = _counted(base, found, work, count)
    progress(f"log: {_total(base):,} impressions counted")
    rejects = [*shop.rejects, *refused.rows]

    wanted = creative_cells(base, rule.min_impressions)
    marks = fingerprints(images, (shop.creatives[name].image for _, name in wanted
                                  if name in shop.creatives), work / "fingerprints.jsonl",
                         config.threads, progress)
    usable, unusable = _usable(wanted, shop, marks)
    rejects += unusable
    base.register("usable", pa.table({
        "product_id": pa.array([product for product, _ in usable], pa.string()),
        "creative_id": pa.array([name for _, name in usable], pa.string())}))
    base.execute("CREATE OR REPLACE TABLE cells AS "
                 "FROM cells SEMI JOIN usable USING (product_id, creative_id)")
    candidates = [*main_pairs(base, rule, config.seed), *query_pairs(base, rule, config.seed)]
    split = _split(candidates, usable, shop, marks, config.seed)
    pairs = list(_pairs(candidates, shop, split, frequent_queries(base, config.queries_per_pair),
                        spelt, os.path.relpath(images, out), config.seed))
    write_pairs(pairs, out)
    _write(out / "rejects.jsonl", "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n"
                                          for row in rejects))
    counts = Counter(str(row["reason"]).split(":")[0] for row in [*shop.rejects, *unusable])
    report = MineReport(
        out / "pairs.jsonl", dict(Counter(pair.split or "" for pair in pairs)),
        sum(QUERIES_DECIDE in pair.tags for pair in pairs), refused.counts | dict(counts),
        (*found.unknown, *shop.unknown), found.columns, found.notes)
    _write(out / "mining.json", json.dumps(
        {"filter": asdict(rule), "seed": config.seed, "by_split": report.by_split,
         "queries_decide": report.queries_decide, "rejects": report.rejects,
         "unknown_columns": report.unknown_columns}, indent=1) + "\n")
    return report


def _counted(base: duckdb.DuckDBPyConnection, log: Log, work: Path, count: Counting) -> Refusals:
    """Make table `counts` in `base`, or read what an earlier run of the same log counted."""
    key = hashlib.sha256((log.signature + count_sql(log)).encode()).hexdigest()[:16]
    counted, refused = work / f"counts-{key}.parquet", work / f"refused-{key}.json"
    if not refused.exists():
        count(base, log)
        part = counted.with_suffix(".part")
        base.execute(f"COPY counts TO {quote(str(part))} (FORMAT parquet)")
        os.replace(part, counted)
        _write(refused, json.dumps(asdict(refusals(base, log)), default=str))
    base.execute(f"CREATE OR REPLACE TABLE counts AS FROM {quote(str(counted))} "
                 "WHERE impressions IS NOT NULL")
    return Refusals(**json.loads(refused.read_text("utf-8")))


def _total(base: duckdb.DuckDBPyConnection) -> int:
    return int((base.execute("SELECT coalesce(sum(impressions), 0) FROM counts").fetchone()
                or (0,))[0])


def _beside(images: Path) -> Path | None:
    """The queries.parquet that a world keeps next to its image folder, if it is there."""
    path = Path(os.path.realpath(images)).parent / "queries.parquet"
    return path if path.is_file() else None


def _usable(wanted: list[tuple[str, str]], shop: Shop, marks: dict[str, Fingerprint],
            ) -> tuple[list[tuple[str, str]], list[dict[str, Any]]]:
    """(product, creative) whose image is good; and a reject for each of the others."""
    good, bad = [], []
    for product, name in wanted:
        shown = shop.creatives.get(name)
        reason = "creative unknown to the image folder" if shown is None else (
            marks[shown.image].error)
        if reason:
            bad.append({"reason": reason, "row": {"product_id": product, "creative_id": name}})
        else:
            good.append((product, name))
    return good, bad


def _split(candidates: list[Candidate], usable: list[tuple[str, str]], shop: Shop,
           marks: dict[str, Fingerprint], seed: int) -> dict[str, str]:
    owners: dict[str, set[str]] = {}
    for product, name in usable:
        owners.setdefault(shop.creatives[name].image, set()).add(product)
    groups = product_groups({image: marks[image] for image in owners}, owners)
    return split_products(groups, Counter(pair.product_id for pair in candidates), seed)


def _pairs(candidates: list[Candidate], shop: Shop, split: dict[str, str],
           queries: dict[str, tuple[str, ...]], spelt: dict[str, str], folder: str,
           seed: int) -> list[CreativePair]:
    """Rows with sides dealt out: within a split, every second pair in seeded order has label A."""
    def dice(pair: Candidate) -> str:
        sides = ":".join(sorted((pair.better, pair.worse)))
        return hashlib.sha256(f"{seed}:{pair.product_id}:{sides}".encode()).hexdigest()

    dealt: Counter[tuple[str, bool]] = Counter()
    rows = []
    for pair in sorted(candidates, key=lambda one: (dice(one), one.query)):
        decided = pair.query != ""
        if decided:  # both rows of a turned pair keep their sides, so one has label A, one has B
            better_is_a = (pair.better < pair.worse) == (dice(pair)[0] < "8")
        else:
            better_is_a = dealt[split[pair.product_id], decided] % 2 == 0
            dealt[split[pair.product_id], decided] += 1
        order = (0, 1) if better_is_a else (1, 0)
        names = [(pair.better, pair.worse)[side] for side in order]
        ctrs = [float(smoothed_ctr(pair.clicks[side], pair.impressions[side])) for side in order]
        shown = [shop.creatives[name] for name in names]
        product = shown[0].product_id or pair.product_id
        asked = (pair.query,) if decided else queries.get(pair.product_id, ())
        tags: tuple[str, ...] = (QUERIES_DECIDE,) if decided else ()
        if shown[0].variant_of == names[1] or shown[1].variant_of == names[0]:
            tags += (f"variant: {shown[0].factor if shown[0].variant_of else shown[1].factor}",)
        rows.append(CreativePair(
            pair_id="-".join([product, *names, *([f"q{pair.query}"] if decided else [])]),
            product_id=product, product_title=shown[0].title,
            queries=tuple(spelt.get(query, query) for query in asked),
            image_a=Path(folder, shown[0].image), image_b=Path(folder, shown[1].image),
            label="A" if better_is_a else "B",
            ctr_a=round(ctrs[0], 6), ctr_b=round(ctrs[1], 6),
            impressions_a=pair.impressions[order[0]], impressions_b=pair.impressions[order[1]],
            split=split[pair.product_id], tags=tags))
    return rows


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, "utf-8")
    os.replace(part, path)
