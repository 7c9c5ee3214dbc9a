"""Stream pending rows as a Ray Data source, read in one task on the driver's node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from creative4u.serving.batch.pending_rows import Source


def pairs_source(source: Source) -> Any:
    """The data source; rows are read only as they are needed."""
    import pyarrow as pa
    from ray.data import Datasource, ReadTask
    from ray.data.block import BlockMetadata

    def read() -> Iterable[Any]:
        from creative4u.serving.batch.ray_engine import COLUMNS, packed

        types = (pa.string(), pa.string(), pa.large_binary(), pa.large_binary())
        schema = pa.schema(list(zip(COLUMNS, types, strict=True)))
        for row in source:
            cells = zip(COLUMNS, packed(*row), strict=True)
            yield pa.table({name: [cell] for name, cell in cells}, schema=schema)

    class PairsSource(Datasource):  # type: ignore[misc]
        @property
        def supports_distributed_reads(self) -> bool:
            return False  # the file lies on the driver's node

        def estimate_inmemory_data_size(self) -> int | None:
            return None

        def get_read_tasks(
            self,
            parallelism: int,
            per_task_row_limit: int | None = None,
            data_context: Any = None,
        ) -> list[Any]:
            metadata = BlockMetadata(
                num_rows=source.stop - source.start,
                size_bytes=None,
                input_files=None,
                exec_stats=None,
            )
            return [ReadTask(read, metadata)]

    return PairsSource()
