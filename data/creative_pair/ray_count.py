"""An impression log in, the same table `counts` as DuckDB makes out, over a Ray cluster.

The way past one machine: each worker counts its own files with DuckDB (`count_sql`, the very same
SQL), and the partial counts, which are small, are summed by key. Run: the pairs of
`mine(..., count=count_on_ray)` equal those of one machine.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from data.creative_pair.aggregate import Limits, Log, connect, count_log, find_log

if TYPE_CHECKING:
    import duckdb

KEYS = ("product_id", "creative_id", "query")


def count_file(path: str, memory: str = "1GB") -> pa.Table:
    """The counts of one file of the log, on whichever machine this runs."""
    with tempfile.TemporaryDirectory() as spill:
        base = connect(Limits(memory, 1, Path(spill)))
        count_log(base, find_log([path]))
        table: pa.Table = base.execute("FROM counts").to_arrow_table()
    return table


def count_on_ray(base: duckdb.DuckDBPyConnection, log: Log, workers: int = 2) -> None:
    """Make table `counts` in `base`, as `aggregate.count_log` does, with Ray Data's workers.

    Joins the cluster that RAY_ADDRESS names, or starts one on this machine. The files must be
    readable at the same path from every worker.
    """
    import ray

    ray.init(ignore_reinit_error=True, log_to_driver=False)
    files = ray.data.from_items([{"path": path} for path in log.files],
                                override_num_blocks=len(log.files))

    def count(batch: pa.Table) -> pa.Table:
        return pa.concat_tables([count_file(path) for path in batch["path"].to_pylist()])

    counted = files.map_batches(count, batch_size=1, batch_format="pyarrow", concurrency=workers)
    partial = pa.concat_tables(ray.get(counted.to_arrow_refs()))
    base.register("partial_counts", partial)
    base.execute(f"""CREATE OR REPLACE TABLE counts AS
        SELECT {', '.join(KEYS)}, sum(impressions)::BIGINT AS impressions,
               sum(clicks)::BIGINT AS clicks
        FROM partial_counts GROUP BY {', '.join(KEYS)}""")
    base.unregister("partial_counts")
