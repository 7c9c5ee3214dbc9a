"""Count an impression log over a Ray cluster, into the same table `counts` as DuckDB makes.

The way past one machine: each worker counts its own files with DuckDB (`count_sql`, the very same
SQL; how columns are read is decided once, over the whole log), and the partial counts, which are
small, are summed by key. Run: the pairs of `mine(..., count=counting_on_ray(2))` equal those of one
machine.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa

from creative4u.errors import InputError
from creative4u.log_import.log import Log
from data.creative_pair.mining.count_log import Limits, connect, count_log

KEYS = ("product_id", "creative_id", "query")


def count_file(log: Log, number: int, memory: str = "1GB") -> pa.Table:
    """The counts of one file of the log, on whichever machine this runs."""
    with tempfile.TemporaryDirectory() as spill:
        base = connect(Limits(memory, 1, Path(spill)))
        count_log(base, log.file(number))
        table: pa.Table = base.sql("FROM counts").to_arrow_table()
    return table


def counting_on_ray(workers: int) -> Callable[[duckdb.DuckDBPyConnection, Log], None]:
    """What `mine` takes as `count`: makes table `counts` as `aggregate.count_log` does.

    Joins the cluster that RAY_ADDRESS names, or starts one on this machine. The files must be
    readable at the same path from every worker. Raises InputError where Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError("Ray is not installed; pip install 'creative4u[ray]', or count without "
                         "--ray") from error

    def count_all(base: duckdb.DuckDBPyConnection, log: Log) -> None:
        if not ray.is_initialized():
            ray.init(os.environ.get("RAY_ADDRESS", "local"), log_to_driver=False)
        files = ray.data.from_items([{"number": number} for number in range(len(log.files))],
                                    override_num_blocks=len(log.files))
        counted = files.map_batches(_count_batch, batch_size=1, batch_format="pyarrow",
                                    fn_kwargs={"log": log}, concurrency=workers)
        base.register("partial_counts", pa.concat_tables(ray.get(counted.to_arrow_refs())))
        base.execute(f"""CREATE OR REPLACE TABLE counts AS
            SELECT {', '.join(KEYS)}, sum(impressions)::BIGINT AS impressions,
                   sum(clicks)::BIGINT AS clicks, sum(refused)::BIGINT AS refused
            FROM partial_counts GROUP BY {', '.join(KEYS)}""")
        base.unregister("partial_counts")

    return count_all


def _count_batch(batch: pa.Table, log: Log) -> pa.Table:
    return pa.concat_tables([count_file(log, number) for number in batch["number"].to_pylist()])
