"""Write the world's truth beside a guard; only evaluation may read it.

Training reads images and logs. The files here have their own suffix, so that no glob over Parquet
finds them, and `read_truth` refuses whoever does not evaluate.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from creative4u.errors import InputError
from data.world.market.effects import FACTORS, Effects
from data.world.market.impression_log import write_parquet

GUARD = "TRUTH-FOR-EVALUATION-ONLY.txt"
TABLES = ("creatives", "queries")  # attraction and CTR by creative; CTR by creative and query


def write_truth(
    folder: Path,
    creatives: pa.Table,
    queries: pa.Table,
    effects: Effects,
    categories: tuple[str, ...],
) -> Path:
    """Write the guard first, then the tables and the effects by category and factor."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / GUARD).write_text(
        "What lies here is what the logs were drawn from. Nothing may be trained or tuned on it;\n"
        "it is read by evaluation alone, through data.world.market.truth.read_truth.\n",
        "utf-8",
    )
    write_parquet(creatives, folder / "creatives.truth")
    write_parquet(queries, folder / "queries.truth")
    by_category = {
        name: dict(zip(FACTORS, map(float, row), strict=True))
        for name, row in zip(categories, effects.table, strict=True)
    }
    (folder / "effects.truth").write_text(json.dumps(by_category, indent=1) + "\n", "utf-8")
    return folder


def read_truth(folder: Path, table: str, purpose: Literal["evaluation"]) -> pa.Table:
    """One table of the truth; raises InputError for any purpose but evaluation."""
    if purpose != "evaluation":
        raise InputError(f"got purpose {purpose!r}; the truth may be read for 'evaluation' only")
    if table not in TABLES:
        raise InputError(f"got truth table {table!r}; there are {', '.join(TABLES)}")
    if not (folder / GUARD).exists():
        raise InputError(f"{folder} holds no truth: {GUARD} is missing")
    return pq.read_table(folder / f"{table}.truth")
