"""Measure rows per second and peak memory of counting a made-up log.

Run: python -m data.creative_pair.mining.benchmark FOLDER --rows 100000000

The same aggregation is timed bare and with our checks, in turn, each in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from creative4u.errors import Creative4UError
from creative4u.log_import.numbers import quote
from creative4u.log_import.open_log import open_log
from data.creative_pair.mining.candidate_pairs import (
    Filter,
    creative_cells,
    main_pairs,
    query_pairs,
)
from data.creative_pair.mining.count_log import Limits, bare_sql, connect, count_log
from data.creative_pair.mining.rejected_rows import refusals

BAD = 100_000  # one row in so many has -1 clicks
PRODUCTS, CREATIVES, QUERIES = 5_000, 13, 10_000


def write_rows(folder: Path, rows: int, files: int = 20) -> Path:
    """A log with skewed products, each creative with its own 1.5 to 7.5 % of clicks.

    Files that are there are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    base = connect(Limits("2GB", 2, folder / "spill"))
    for number in range(files):
        path = folder / f"part-{number:02d}.parquet"
        if path.exists():
            continue
        low, high = rows * number // files, rows * (number + 1) // files
        part = path.with_suffix(".part")
        base.execute(f"""
            COPY (SELECT (i % 30)::SMALLINT AS day, (hash(i) % 5000000)::INT AS user_id,
                         (product * 2 + (hash(i * 7) % 16) * (hash(i * 11) % 2) // 8)::INT
                         % {QUERIES} AS query_id, product::INT AS product_id,
                         (product * {CREATIVES} + hash(i * 3) % {CREATIVES})::INT AS creative_id,
                         (1 + hash(i * 5) % 10)::TINYINT AS position,
                         (CASE WHEN hash(i * 19) % {BAD} = 0 THEN -1 ELSE
                          (hash(i * 13) % 1000 < 15 + hash(product * 99 + hash(i * 3)
                           % {CREATIVES}) % 60)::INT END)::TINYINT AS click, 0::TINYINT AS purchase,
                         9.9::FLOAT AS price
                  FROM (SELECT i, (pow((hash(i * 17) % 1000000) / 1e6, 1.5)
                                   * {PRODUCTS})::INT % {PRODUCTS} AS product
                        FROM range({low}, {high}) t(i)))
            TO {quote(str(part))} (FORMAT parquet, COMPRESSION zstd)""")
        part.replace(path)
    return folder


def time_count(folder: Path, checked: bool, memory: str, threads: int) -> dict[str, float]:
    """Count the log once in this process: seconds, CPU seconds, groups and peak memory in MB.

    The checked run finds the bad rows too, then goes on to the pairs that pass the filter; images
    are not looked at.
    """
    base = connect(Limits(memory, threads, folder / "spill"))
    log = open_log([str(folder)], folder / "spill")
    start, burnt = time.perf_counter(), time.process_time()
    refused = 0
    if checked:
        count_log(base, log)
        refused = sum(refusals(base, log).counts.values())
    else:
        base.execute(f"CREATE TABLE counts AS {bare_sql(log)}")
    seconds, cpu = time.perf_counter() - start, time.process_time() - burnt
    found = base.execute("SELECT count(*), sum(impressions) FROM counts").fetchone()
    assert found is not None
    result = {"seconds": seconds, "cpu": cpu, "groups": found[0], "rows": int(found[1]) + refused,
              "refused": refused}
    if checked:
        rule = Filter()
        creative_cells(base, rule.min_impressions)
        result["pairs"] = len(main_pairs(base, rule, 7)) + len(query_pairs(base, rule, 7))
        result["seconds_to_pairs"] = time.perf_counter() - start
    result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return result


def compare(folder: Path, rounds: int, memory: str, threads: int) -> dict[str, float]:
    """The fastest of `rounds` of each kind, taken in turn so that both see the same machine."""
    runs: dict[str, list[dict[str, float]]] = {"bare": [], "checked": []}
    for _ in range(rounds):
        for kind, found in runs.items():
            command = [sys.executable, "-m", "data.creative_pair.mining.benchmark", str(folder),
                       "--once", kind, "--memory", memory, "--threads", str(threads)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise Creative4UError(done.stderr[-500:])
            found.append(json.loads(done.stdout))
    bare, checked = (min(found, key=lambda run: run["seconds"]) for found in runs.values())
    return {"rows": checked["rows"], "refused": checked["refused"], "groups": checked["groups"],
            "bare_rows_per_second": bare["rows"] / bare["seconds"],
            "checked_rows_per_second": checked["rows"] / checked["seconds"],
            "ratio": bare["seconds"] / checked["seconds"],
            "ratio_of_cpu": min(run["cpu"] for run in runs["bare"])
            / min(run["cpu"] for run in runs["checked"]),
            "ratio_to_pairs": bare["seconds"] / checked["seconds_to_pairs"],
            "pairs": checked["pairs"], "peak_mb": checked["peak_mb"],
            "bare_peak_mb": bare["peak_mb"]}


def main() -> None:
    """Write the log where it is missing, then compare; or count once (`--once`)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", default="2GB")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--once", choices=("bare", "checked"))
    given = parser.parse_args()
    if given.once:
        found = time_count(given.folder, given.once == "checked", given.memory, given.threads)
    else:
        write_rows(given.folder, given.rows)
        found = compare(given.folder, given.rounds, given.memory, given.threads)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
